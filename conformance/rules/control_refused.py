"""Nobody controls an agent that is none of the user's (CTL-1, AGT-12, ISO-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.command_scene import refuses
from conformance.dialogue import Said, refusal
from conformance.resources import follows_schema
from conformance.rest_views import agent_of, is_failure, judged, unknown_agents
from conformance.rule import Finding, Rule, provocation
from conformance.rules.control import (
    ACTIONS,
    NOT_FOUND,
    asked,
    controls,
    reason_of,
    tells,
    told_by_a_dashboard,
    told_over_rest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


def to_nobody(t: Timeline) -> Iterator[Said]:
    """Each AGENT_CONTROL for an agent that does not exist."""
    unknown = unknown_agents(t)
    return (s for s in controls(t) if s.sent.payload["agentId"] in unknown)


def to_others(t: Timeline) -> Iterator[Said]:
    """Each AGENT_CONTROL for another user's agent."""
    for s in controls(t):
        if t.owners.get(s.sent.payload["agentId"], s.connection.user) != s.connection.user:
            yield s


def reaches_nobody(s: Said, t: Timeline) -> Iterator[Finding]:
    """NOT_FOUND, and no agent hears of it."""
    what = "AGENT_CONTROL for an agent that is none of the user's"
    yield from refusal(s, t, what, "NOT_FOUND")
    reason = s.sent.payload.get("reason")
    if isinstance(reason, str) and asked(t, reason) == 1:
        for agent in t.agents:
            for frame in agent.of_kind("AGENT_CONTROL", after=s.sent.seq):
                if reason_of(frame) == reason:
                    yield Finding(f"{what} reached an agent", frame, "", "no AGENT_CONTROL", "AGENT_CONTROL", (s.sent,))


def unknown_over_rest(t: Timeline) -> Iterator[Exchange]:
    """Each stop and restart of an agent that does not exist."""
    unknown = unknown_agents(t)
    return (e for e in judged(t) if e.operation in ACTIONS and agent_of(e) in unknown and follows_schema(t, e))


def not_there(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """404 with the failure body."""
    if e.status != NOT_FOUND:
        yield Finding(f"{e.label} with an unknown id is not answered 404", e, "", "404", e.status)
    elif not is_failure(e.value):
        yield Finding("the 404 has no failure body", e, "", "success false and error", e.text[:80])


def for_nobody(s: Scene, code: str = "NOT_FOUND") -> None:
    s.note("unknown-agent", agent="zz")
    s.agent("a1")
    mine, bobs = s.dashboard(), s.dashboard(user="bob")
    refuses(mine, tells(mine, agent="zz", reason="Nobody"), code)
    refuses(bobs, tells(bobs, reason="Not mine"), code)


def for_nobody_offline(s: Scene) -> None:
    for_nobody(s, "AGENT_OFFLINE")


def refused_while_the_owner_says_the_same(s: Scene) -> None:
    agent, bobs = s.agent("a1"), s.dashboard(user="bob")
    refuses(bobs, tells(bobs, reason=""), "NOT_FOUND")
    s.rest("POST", "/agents/a1/restart", 202, {"success": True, "data": {}}, request={"reason": ""})
    agent.gets("AGENT_CONTROL", {"action": "RESTART", "reason": ""})


def refused_and_done(s: Scene) -> None:
    agent, bobs = s.agent("a1"), s.dashboard(user="bob")
    refuses(bobs, tells(bobs, reason="Not mine"), "NOT_FOUND")
    agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": "Not mine"})


def nothing_there(s: Scene, status: int = 404) -> None:
    s.note("unknown-agent", agent="zz")
    s.fails("POST", "/agents/zz/stop", status)


def nothing_there_offline(s: Scene) -> None:
    nothing_there(s, 409)


@provocation(needs="second-user control")
async def told_by_a_stranger(world: World) -> None:
    """A second user's dashboard tells an agent to stop; then its owner does."""
    user, other = world.user(), world.user(1)
    dashboard, stranger, agent = await user.dashboard(), await other.dashboard(), await user.agent()
    await stranger.control(agent, "STOP", reason=f"Not mine {world.new_id()}")
    await dashboard.control(agent, "STOP")
    await agent.is_told("AGENT_CONTROL")
    await world.quiet()


RULES = (
    Rule(
        id="control.unknown-is-404",
        clauses=("AGT-12",),
        judges="Stop and restart of an agent that does not exist are answered 404.",
        when=unknown_over_rest,
        check=not_there,
        good=(nothing_there,),
        bad=(nothing_there_offline,),
        cases=(told_over_rest,),
    ),
    Rule(
        id="control.of-unknown-refused",
        clauses=("CTL-1",),
        judges="AGENT_CONTROL for an agent that does not exist is refused as NOT_FOUND.",
        when=to_nobody,
        check=reaches_nobody,
        good=(for_nobody,),
        bad=(for_nobody_offline,),
        cases=(told_by_a_dashboard,),
    ),
    Rule(
        id="control.of-foreign-refused",
        clauses=("ISO-1",),
        judges="AGENT_CONTROL for another user's agent is refused as for an unknown one, and reaches nobody.",
        when=to_others,
        check=reaches_nobody,
        good=(for_nobody, refused_while_the_owner_says_the_same),
        bad=(for_nobody_offline, refused_and_done),
        cases=(told_by_a_stranger,),
    ),
)
