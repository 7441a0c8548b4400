"""An emergency stop tells true counts of what it stopped (STP-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_scene import ONE, TWO, accepts, resource, told
from conformance.rest_views import judged
from conformance.rule import Finding, Rule
from conformance.rules.emergency_stop import (
    TOTALS,
    Stop,
    all_stopped,
    all_stopped_over_rest,
    all_stops,
    before_it,
    stops_all,
    tells_of_it,
    the_red_button,
)
from conformance.timeline import Exchange
from conformance.views import COMMANDING, OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Event, Frame, Timeline


class Count(NamedTuple):
    """What an emergency stop says it did, where the lists just before it tell what there was to do."""

    stop: Stop
    where: Frame | Exchange
    pointer: str
    value: dict[str, Any]
    agents: int
    commands: int
    doubtful: int
    """How many of these may be for several agents, one of which has failed: they end as FAILED and do not count."""
    evidence: tuple[Exchange, ...]


def counts(t: Timeline) -> Iterator[Count]:
    """Each answer and each message of a stop that the user's lists, read just before it, let us judge."""
    for stop in all_stops(t):
        if (seen := _totals(t, stop)) is None:
            continue
        agents = sum(_total(seen[name]) for name in TOTALS[:2])
        commands = sum(_total(seen[name]) for name in TOTALS[2:])
        told = (agents, commands, sum(_doubtful(seen[name]) for name in TOTALS[2:]), tuple(seen.values()))
        if isinstance(stop.by, Exchange) and (data := reading.one(stop.by.value)) is not None:
            yield Count(stop, stop.by, "/data", data, *told)
        for dashboard in t.dashboards_of(stop.user):
            frames = [f for f in dashboard.of_kind("EMERGENCY_STOP") if f.at >= stop.where.at]
            if frames and frames[0].payload.get("reason") == stop.reason:
                yield Count(stop, frames[0], "/payload", frames[0].payload, *told)


def _totals(t: Timeline, stop: Stop) -> dict[str, Exchange] | None:
    """The filtered lists of the user's agents and commands, read after all else and before the stop."""
    seen: dict[str, Exchange] = {}
    for e in judged(t):
        status = e.query.get("status", "")
        before = e.user == stop.user and e.status == OK and e.ended < stop.where.at
        filtered = e.operation in {"listAgents", "listCommands"} and set(e.query) <= {"status", "limit"}
        if before and filtered and status in TOTALS:
            seen[status] = e
    if len(seen) < len(TOTALS) or any(_total(e) < 0 for e in seen.values()):
        return None
    since = min(e.at for e in seen.values())
    sent = [f.at for c in t.connections if c.user == stop.user for f in c.sent if f.type not in {"PING", "PONG"}]
    busy = any(since < at < stop.where.at for at in sent) or any(_meanwhile(t, stop, since))
    return None if busy or any(since < at < stop.settled for at in _endings(t, stop.user)) else seen


def _meanwhile(t: Timeline, stop: Stop, since: float) -> Iterator[Event]:
    """What else changes what there is to stop, taken before the stop or after it: nobody knows which."""
    for e in t.exchanges:
        if (
            e.user == stop.user
            and e.method != "GET"
            and e is not stop.where
            and e.at < stop.settled
            and e.ended > since
        ):
            yield e
    for c in t.connections:
        if c.user == stop.user:
            mine = (f for f in c.sent if f.type in COMMANDING | {"AGENT_CONNECT"} and f is not stop.where)
            yield from (f for f in mine if since < f.at < stop.settled)
            if c.role == "agent" and c.closed and since < c.closed.at < stop.settled:
                yield c.closed


def _endings(t: Timeline, user: str) -> Iterator[float]:
    """When dashboards were told that something ended by itself: no emergency stop completes or fails a command."""
    for dashboard in t.dashboards_of(user):
        for frame in dashboard.of_kind("AGENT_DISCONNECT", "COMMAND_STATUS"):
            if frame.kind == "AGENT_DISCONNECT" or reading.status(frame.payload) in {"COMPLETED", "FAILED"}:
                yield frame.at


def _doubtful(e: Exchange) -> int:
    rows = [r for r in reading.rows(e.value) or [] if isinstance(r, dict)]
    return _total(e) - len(rows) + sum(r.get("broadcast") is True or len(r.get("targetAgents") or []) > 1 for r in rows)


def _total(e: Exchange) -> int:
    page = e.value.get("pagination") if isinstance(e.value, dict) else None
    total = page.get("total") if isinstance(page, dict) else None
    return total if isinstance(total, int) else -1


def true_counts(count: Count, _t: Timeline) -> Iterator[Finding]:
    """AgentsStopped and commandsCancelled are what there was."""
    for name, most, less in (("agentsStopped", count.agents, 0), ("commandsCancelled", count.commands, count.doubtful)):
        got = count.value.get(name, "nothing")
        if got not in range(most - less, most + 1):
            says = f"{name} of an emergency stop is not true: the page tells its user a wrong number"
            expected = f"{f'{most - less} to ' if less else ''}{most}, as the lists before it say"
            yield Finding(says, count.where, f"{count.pointer}/{name}", expected, got, count.evidence)


def one_had_failed(s: Scene) -> None:
    agent, dashboard, _ = before_it(s, resource(TWO, "EXECUTING", targetAgents=["a1", "a2"]))
    accepts(dashboard, stops_all(dashboard, "Fire"))
    agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": "Fire"})
    told(dashboard, "CANCELLED")
    tells_of_it(s, dashboard, "Fire")


def one_was_cancelled_at_the_same_time(s: Scene) -> None:
    all_stopped(s)
    _, dashboard, _ = before_it(s)
    sent, asked = stops_all(dashboard, "Smoke"), s.seconds
    s.rest("POST", f"/commands/{ONE}/cancel", 200, at=asked)
    accepts(dashboard, sent)
    tells_of_it(s, dashboard, "Smoke", commands=0)


def one_too_many(s: Scene) -> None:
    _, dashboard, _ = before_it(s, resource(TWO, "EXECUTING", targetAgents=["a1", "a2"]))
    accepts(dashboard, stops_all(dashboard))
    tells_of_it(s, dashboard, commands=3)


def zeros(s: Scene) -> None:
    _, dashboard, _ = before_it(s)
    accepts(dashboard, stops_all(dashboard))
    tells_of_it(s, dashboard, agents=0, commands=0)


RULES = (
    Rule(
        id="emergency-stop.true-counts",
        clauses=("STP-1",),
        judges="agentsStopped and commandsCancelled are the connected agents and unfinished commands there were.",
        when=counts,
        check=true_counts,
        good=(all_stopped, all_stopped_over_rest, one_had_failed, one_was_cancelled_at_the_same_time),
        bad=(zeros, one_too_many),
        cases=(the_red_button,),
    ),
)
