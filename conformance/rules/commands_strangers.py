"""What an agent says of a command that is none of its user's is refused (CMD-4, ISO-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance import reading
from conformance.command_orders import orders
from conformance.command_scene import TWO, acks, asks, completes, takes
from conformance.dialogue import Said, refusal
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
)
