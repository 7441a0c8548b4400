"""A silent agent is given up after three missed heartbeats, not before and not after four (DIS-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.endings import goes_away
from conformance.rule import Finding, Rule, provocation
from conformance.views import watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World


OTHER_REASONS = frozenset({1003, 1007, 1009, 4001, 4002, 4003, 4004, 4005, 4006, 4008})
"""Close codes that say a socket was ended for something else than silence."""


class Silence(NamedTuple):
    """The time after an agent's last sign of life, as one dashboard of its user saw it."""

    agent: Connection
    last: Frame
    dashboard: Connection
    interval: float
    told: Frame | None


def when(t: Timeline) -> Iterator[Silence]:
    """Each agent that said nothing for four intervals, or was given up while its socket was open."""
    for agent in t.agents:
        lives = [f for f in agent.sent if f.type in {"AGENT_CONNECT", "AGENT_HEARTBEAT"}]
        if agent.closed is not None and (agent.closed.code in OTHER_REASONS or goes_away(t, agent)):
            continue
        if not lives or len([a for a in t.agents if a.agent_id == agent.agent_id]) > 1:
            continue
        last, interval = lives[-1], interval_of(agent, t)
        ended_by_us = agent.closed is not None and agent.closed.by != "backend"
        for dashboard in watchers(t, agent.user, last):
            told = next(iter(dashboard.about(agent.agent_id or "", "AGENT_DISCONNECT", after=last.seq)), None)
            given_up = told is not None and not (agent.closed and ended_by_us and told.at >= agent.closed.at)
            if given_up or (not ended_by_us and dashboard.until > last.at + 4 * interval + 1):
                yield Silence(agent, last, dashboard, interval, told)


def interval_of(agent: Connection, t: Timeline) -> float:
    """The heartbeat interval in seconds: the one its ACK advertises, else the contract's."""
    told = agent.accepted.payload.get("heartbeatIntervalMs") if agent.accepted else None
    return told / 1000 if isinstance(told, int | float) and told > 0 else t.terms.heartbeat_interval


def check(s: Silence, t: Timeline) -> Iterator[Finding]:
    """Given up between three and four intervals after the last sign of life."""
    expected = f"AGENT_DISCONNECT between {3 * s.interval:g} and {4 * s.interval:g} s after the last heartbeat"
    if s.told is None:
        yield Finding("a silent agent stays online for ever", s.last, "", expected, "none")
        return
    after = s.told.at - s.last.at
    if after < 3 * s.interval - t.terms.slack:
        yield Finding("an agent was given up too early", s.told, "", expected, f"{after:.2f} s", (s.last,))
    elif s.told.at > t.bound(s.last.at, 4 * s.interval + 1):
        yield Finding("a silent agent was given up too late", s.told, "", expected, f"{after:.2f} s", (s.last,))


def given_up(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.heartbeats()
    s.wait(100)
    dashboard.told_gone("a1", reason="heartbeat_timeout")


def its_server_goes_away(s: Scene) -> None:
    given_up(s)
    watching, other = s.dashboard(), s.agent("a2")
    s.wait(1)
    for away in (other, s.agent("a3")):
        away.closes(by="backend", code=1001)
    watching.told_gone("a2")
    watching.told_gone("a3")


def given_up_as_if_the_server_went_away(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    s.wait(1)
    agent.closes(by="backend", code=1001)
    dashboard.told_gone("a1")


def never(s: Scene) -> None:
    s.dashboard()
    s.agent("a1").heartbeats()
    s.wait(130)


def too_early(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    s.wait(60)
    agent.heartbeats()
    s.wait(30)
    dashboard.told_gone("a1")


@provocation(needs="short-heartbeat", budget=90.0, waits=True)
async def falls_silent(world: World) -> None:
    """Two agents, one of them in ERROR, beat for a while, then say nothing more; a third one goes on."""
    user = world.user()
    dashboard = await user.dashboard()
    silent, faulty, lively = await user.agent(), await user.agent(), await user.agent()
    fault = {"agentId": faulty.id, "errorType": "EXECUTION", "message": "out of order", "recoverable": False}
    await faulty.link.answer(await faulty.link.send("AGENT_ERROR", fault))
    interval = world.site.terms.heartbeat_interval
    for _ in range(2):
        for agent in (silent, faulty, lively):
            await agent.heartbeat()
        await dashboard.link.until("AGENT_DISCONNECT", since=user.last, within=interval * 0.7, expected=False)
    for _ in range(7):
        before = user.last
        await lively.heartbeat()
        if await dashboard.sees("AGENT_DISCONNECT", faulty, since=before, within=interval * 0.7, expected=False):
            break
    await world.quiet()


RULE = Rule(
    id="silence.given-up-in-time",
    clauses=("DIS-3",),
    judges="An agent that is silent for three heartbeat intervals is announced as gone before the fourth is over.",
    when=when,
    check=check,
    good=(given_up, its_server_goes_away),
    bad=(given_up_as_if_the_server_went_away, never, too_early),
    cases=(falls_silent,),
)
