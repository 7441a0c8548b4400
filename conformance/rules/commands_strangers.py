"""An agent speaks of its own commands only, and in its own name (CMD-4, ISO-1, CON-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance import reading
from conformance.command_orders import orders
from conformance.command_scene import TWO, acks, asks, completes, takes
from conformance.dialogue import Said, is_valid, refusal, said
from conformance.rule import Finding, Rule, provocation
from conformance.rules.commands_machine import SPOKEN, spoken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

ABOUT_COMMANDS = (*SPOKEN, "TERMINAL_OUTPUT", "TRACE_EVENT", "INVESTIGATION_REPORT")


def about_nothing(t: Timeline) -> Iterator[Said]:
    """Each message of an agent about a command that does not exist."""
    unknown = {n.data["command"] for n in t.notes if n.kind == "unknown-command"}
    return (s for s in spoken(t, *ABOUT_COMMANDS) if s.sent.payload["commandId"] in unknown)


def about_foreign(t: Timeline) -> Iterator[Said]:
    """Each message of an agent about a command of another user."""
    for s in spoken(t, *ABOUT_COMMANDS):
        order = orders(t).get(reading.command_id(s.sent.payload) or "")
        if order is not None and order.user != s.connection.user and order.settled < s.sent.at:
            yield s


def not_found(s: Said, t: Timeline) -> Iterator[Finding]:
    """NOT_FOUND."""
    yield from refusal(s, t, f"{s.sent.type} of a command that is none of the user's", "NOT_FOUND")


def spoofed(t: Timeline) -> Iterator[Said]:
    """Each valid word about a command in the name of another agent."""
    for s in said(t):
        c = s.connection
        names = {c.agent_id, c.init and c.init.payload.get("agentId")}
        is_word = s.sent.type in SPOKEN and c.role == "agent" and s.ready and is_valid(s, t)
        if is_word and s.sent.payload["agentId"] not in names and (s.answers or s.unanswered(t)):
            yield s


def own_name_only(s: Said, t: Timeline) -> Iterator[Finding]:
    """FORBIDDEN; of a command that is none of the user's NOT_FOUND is as right (CMD-4): it may be looked up first."""
    order = orders(t).get(reading.command_id(s.sent.payload) or "")
    codes = ("FORBIDDEN",) if order and order.user == s.connection.user else ("FORBIDDEN", "NOT_FOUND")
    yield from refusal(s, t, f"{s.sent.type} in the name of another agent", *codes)


def of_nothing(s: Scene, code: str = "NOT_FOUND") -> None:
    s.note("unknown-command", command=TWO)
    agent = s.agent("a1")
    acks(agent, TWO, code=code)
    completes(agent, TWO, code=code)


def of_nothing_accepted(s: Scene) -> None:
    of_nothing(s, "")


def of_nothing_refused_otherwise(s: Scene) -> None:
    of_nothing(s, "INVALID_STATE")


def of_alice(s: Scene, code: str = "NOT_FOUND") -> None:
    agent, thief = s.agent("a1"), s.agent("b1", "bob")
    asks(s.dashboard())
    takes(agent)
    acks(thief, code=code)


def of_alice_betrayed(s: Scene) -> None:
    of_alice(s, "INVALID_STATE")


def in_another_name(s: Scene, code: str = "FORBIDDEN") -> None:
    agent, other = s.agent("a1"), s.agent("a2")
    asks(s.dashboard())
    takes(agent)
    acks(other, code=code, agentId="a1")
    completes(other, code=code, agentId="a1")


def in_another_name_to_another_user(s: Scene) -> None:
    agent, thief = s.agent("a1"), s.agent("b1", "bob")
    asks(s.dashboard())
    takes(agent)
    acks(thief, code="NOT_FOUND", agentId="a1")


def in_another_name_not_found(s: Scene) -> None:
    in_another_name(s, "NOT_FOUND")


def in_another_name_accepted(s: Scene) -> None:
    in_another_name(s, "")


async def commands_that_are_not_there(world: World) -> None:
    """An agent speaks of a command that does not exist, and of one that does."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command, unknown = await dashboard.request(agent), world.unknown_command()
    await agent.takes(command)
    for one in (unknown, command):
        await agent.ack(one)
        await agent.complete(one)
    await world.quiet()


@provocation(needs="second-user commands")
async def another_users_agent_meddles(world: World) -> None:
    """Another user's agent acknowledges and completes a command, as itself and in the name of the agent that has it."""
    user, other = world.user(), world.user(1)
    dashboard, agent, thief = await user.dashboard(), await user.agent(), await other.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    for fields in ({}, {"agentId": agent.id}):
        await thief.ack(command, **fields)
        await thief.complete(command, **fields)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")
    await agent.ack(command)
    await agent.complete(command)
    await dashboard.sees_command(command, "COMPLETED")


@provocation(needs="commands")
async def in_the_name_of_another(world: World) -> None:
    """An agent speaks of a command in the name of the agent that has it, which then does so itself."""
    user = world.user()
    dashboard, agent, other = await user.dashboard(), await user.agent(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    for speaker in (other, agent):
        await speaker.ack(command, agentId=agent.id)
        await speaker.complete(command, agentId=agent.id)
    await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()


RULES = (
    Rule(
        id="command.unknown-in-agent-message",
        clauses=("CMD-4",),
        judges="What an agent says of a command that does not exist is refused as NOT_FOUND.",
        when=about_nothing,
        check=not_found,
        good=(of_nothing,),
        bad=(of_nothing_accepted, of_nothing_refused_otherwise),
        cases=(commands_that_are_not_there,),
    ),
    Rule(
        id="command.foreign-in-agent-message",
        clauses=("ISO-1",),
        judges="What an agent says of another user's command is refused as for one that does not exist.",
        when=about_foreign,
        check=not_found,
        good=(of_alice,),
        bad=(of_alice_betrayed,),
        cases=(another_users_agent_meddles,),
    ),
    Rule(
        id="command.own-name-only",
        clauses=("CON-6",),
        judges="COMMAND_ACK and COMMAND_COMPLETE in the name of another agent are FORBIDDEN.",
        when=spoofed,
        check=own_name_only,
        good=(in_another_name, in_another_name_to_another_user),
        bad=(in_another_name_accepted, in_another_name_not_found),
        cases=(in_the_name_of_another,),
    ),
)
