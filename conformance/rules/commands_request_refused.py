"""A COMMAND_REQUEST for an agent that is none of the user's is refused, and nothing comes of it (CMD-1, ISO-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.command_orders import requests
from conformance.command_scene import ONE, THREE, TWO, asks, refuses, takes
from conformance.dialogue import Said, refusal
from conformance.rest_views import unknown_agents
from conformance.rule import Finding, Rule, provocation
from conformance.rules.commands_request import judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World


def nowhere(t: Timeline) -> Iterator[Said]:
    """Each request for an agent that does not exist."""
    unknown = unknown_agents(t)
    return (s for s in requests(t) if s.sent.payload["agentId"] in unknown and judged(s, t))


def foreign(t: Timeline) -> Iterator[Said]:
    """Each request for an agent of another user."""
    for s in requests(t):
        if t.owners.get(s.sent.payload["agentId"], s.connection.user) != s.connection.user and judged(s, t):
            yield s


def _is_known(s: Said, t: Timeline) -> bool:
    """Whether somebody else had asked for a command of that id by then: then it may be told so first (CMD-6)."""
    command, until = s.sent.payload.get("commandId"), s.answers[0].at if s.answers else t.end
    others = (r.sent.payload for r in requests(t) if r.sent is not s.sent and r.sent.at < until)
    return command is not None and any(payload.get("commandId") == command for payload in others)


def goes_nowhere(s: Said, t: Timeline) -> Iterator[Finding]:
    """NOT_FOUND; nothing is delivered or told."""
    what = "COMMAND_REQUEST for an agent that is none of the user's"
    if not _is_known(s, t):
        yield from refusal(s, t, what, "NOT_FOUND")
    content = s.sent.payload["content"]
    others = [r.sent.payload for r in requests(t) if r.sent is not s.sent]
    others += [e.request for e in t.calls("createCommand") if isinstance(e.request, dict)]
    if any(other.get("content") == content for other in others):
        return  # somebody else asked for the very same, whatever became of it
    for agent in t.agents:
        for frame in agent.of_kind("COMMAND_REQUEST", after=s.sent.seq):
            if frame.payload.get("content") == content:
                says = f"{what} reached an agent: strangers can make it run anything"
                yield Finding(says, frame, "", "no COMMAND_REQUEST", "COMMAND_REQUEST", (s.sent,))


def for_nobody(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.agent("a1")
    for dashboard, agent, command in ((s.dashboard(), "zz", TWO), (s.dashboard(user="bob"), "a1", THREE)):
        payload = {"commandId": command, "agentId": agent, "content": "secret", "type": "PLAN"}
        refuses(dashboard, dashboard.sends("COMMAND_REQUEST", payload), "NOT_FOUND")


def for_nobody_what_its_owner_asks_for(s: Scene) -> None:
    for_nobody(s)
    agent = s.agent("a2")
    same = {"agentId": "a2", "content": "ls", "type": "PLAN"}
    s.dashboard().sends("COMMAND_REQUEST", same | {"commandId": ONE})
    stranger = s.dashboard(user="bob")
    refuses(stranger, stranger.sends("COMMAND_REQUEST", same | {"commandId": TWO}), "NOT_FOUND")
    takes(agent, content="ls")


def for_nobody_while_its_owner_asks_for_that_id(s: Scene) -> None:
    s.agent("a1")
    dashboard, stranger = s.dashboard(), s.dashboard(user="bob")
    sent = stranger.sends("COMMAND_REQUEST", {"commandId": ONE, "agentId": "a1", "content": "x", "type": "PLAN"})
    asks(dashboard)
    refuses(stranger, sent, "INVALID_STATE")


def for_nobody_under_a_known_id(s: Scene) -> None:
    for_nobody(s)
    s.agent("b1", user="bob")
    dashboard = s.dashboard()
    asks(dashboard)
    for agent in ("zz", "b1"):
        payload = {"commandId": ONE, "agentId": agent, "content": "else", "type": "PLAN"}
        refuses(dashboard, dashboard.sends("COMMAND_REQUEST", payload), "INVALID_STATE")


def for_nobody_under_an_id_of_its_owner(s: Scene) -> None:
    for_nobody(s)
    s.agent("a2")
    asks(s.dashboard(), agent="a2")
    stranger = s.dashboard(user="bob")
    payload = {"commandId": ONE, "agentId": "a2", "content": "else", "type": "PLAN"}
    refuses(stranger, stranger.sends("COMMAND_REQUEST", payload), "INVALID_STATE")


def delivered_under_a_known_id(s: Scene) -> None:
    for_nobody_under_a_known_id(s)
    theirs = s.agent("b2", user="bob")
    dashboard = s.dashboard()
    payload = {"commandId": ONE, "agentId": "b2", "content": "rm -rf", "type": "PLAN"}
    refuses(dashboard, dashboard.sends("COMMAND_REQUEST", payload), "INVALID_STATE")
    takes(theirs, content="rm -rf")


def for_nobody_accepted(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    asks(s.dashboard(), agent="zz")


def for_nobody_forbidden(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.agent("a1")
    for dashboard, agent, command in ((s.dashboard(), "zz", TWO), (s.dashboard(user="bob"), "a1", THREE)):
        payload = {"commandId": command, "agentId": agent, "content": "secret", "type": "PLAN"}
        refuses(dashboard, dashboard.sends("COMMAND_REQUEST", payload), "FORBIDDEN")


def refused_and_delivered(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard(user="bob")
    payload = {"agentId": "a1", "content": "rm -rf", "type": "PLAN"}
    refuses(dashboard, dashboard.sends("COMMAND_REQUEST", payload), "NOT_FOUND")
    takes(agent, content="rm -rf")


async def for_an_unknown_agent(world: World) -> None:
    """A command for an agent that does not exist, and the same for one that does."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    await dashboard.request(world.unknown_agent(), "Nobody hears this")
    command = await dashboard.request(agent)
    await agent.runs(command)


@provocation(needs="second-user commands")
async def for_a_foreign_agent(world: World) -> None:
    """A second user's dashboard asks for a command on the first one's agent; the owner does the same."""
    user, other = world.user(), world.user(1)
    dashboard, stranger, agent = await user.dashboard(), await other.dashboard(), await user.agent()
    await stranger.request(agent, "A stranger's wish", priority=100)
    command = await dashboard.request(agent, "The owner's wish")
    await agent.runs(command)
    await world.quiet()


RULES = (
    Rule(
        id="command.for-unknown-agent-refused",
        clauses=("CMD-1",),
        judges="A COMMAND_REQUEST for an agent that does not exist is refused as NOT_FOUND.",
        when=nowhere,
        check=goes_nowhere,
        good=(for_nobody, for_nobody_under_a_known_id, for_nobody_what_its_owner_asks_for),
        bad=(for_nobody_accepted, for_nobody_forbidden),
        cases=(for_an_unknown_agent,),
    ),
    Rule(
        id="command.for-foreign-agent-refused",
        clauses=("ISO-1",),
        judges="A COMMAND_REQUEST for another user's agent is refused as for an unknown one, and reaches nobody.",
        when=foreign,
        check=goes_nowhere,
        good=(
            for_nobody,
            for_nobody_under_a_known_id,
            for_nobody_while_its_owner_asks_for_that_id,
            for_nobody_under_an_id_of_its_owner,
            for_nobody_what_its_owner_asks_for,
        ),
        bad=(for_nobody_forbidden, refused_and_delivered, delivered_under_a_known_id),
        cases=(for_a_foreign_agent,),
    ),
)
