"""Quiet moments: what each channel shows of an agent between two changes, and where two of them disagree (CNS-1)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_life import NOTICED
from conformance.remembered import remembered
from conformance.rule import Finding
from conformance.timeline import Closed
from conformance.views import Item, causes, connections_of, deletions, items_of, losses, narrowed, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.timeline import Event, Exchange, Frame, Timeline

MILLISECOND = 0.0011
OK, NOT_FOUND, PAGE = 200, 404, 100
EVENTS = ("AGENT_STATUS", "AGENT_CONNECTED", "AGENT_DISCONNECT")
SETTLED = 2.0
"""Seconds after a change by which every channel shows it without anybody waiting: twice the contract's bound."""


@dataclass(frozen=True, slots=True)
class View:
    """An agent as one channel shows it at a quiet moment. Fields a channel does not tell are left out."""

    channel: str
    where: Event
    pointer: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """A quiet moment: all that was seen of one agent between two changes, once the first had settled."""

    agent: Connection
    since: float
    """When it began; seconds."""
    views: list[View] = field(default_factory=list)


def _fields(value: dict[str, Any], **names: str) -> dict[str, Any]:
    """The comparable fields of an agent object, under the names of one channel."""
    found: dict[str, Any] = {}
    for plain, name in names.items():
        if name in value:
            found[plain] = value[name]
    if isinstance(found.get("capabilities"), list):
        found["capabilities"] = sorted(map(str, found["capabilities"]))
    if "heartbeat" in found:
        found["heartbeat"] = _instant(found["heartbeat"])
    if "metrics" in found and isinstance(found["metrics"], dict):
        found["metrics"] = {
            n: found["metrics"].get(n) for n in ("commandsExecuted", "uptime", "memoryUsage", "cpuUsage")
        }
    return found


def _instant(text: Any) -> Any:
    """A time as seconds since 1970, where it is one."""
    try:
        return datetime.fromisoformat(text.upper()).timestamp() if isinstance(text, str) else text
    except ValueError:
        return text


def _differ(name: str, left: Any, right: Any) -> bool:
    """Whether two channels tell different things; times may differ in their precision below a millisecond."""
    if name == "heartbeat" and isinstance(left, float) and isinstance(right, float):
        return abs(left - right) > MILLISECOND
    return bool(left != right)


SHARED = {"name": "name", "status": "status", "version": "version", "capabilities": "capabilities"}
REST = SHARED | {"type": "agent_type", "metrics": "last_metrics", "heartbeat": "last_heartbeat"}
SNAPSHOT = SHARED | {"type": "type", "metrics": "metrics", "heartbeat": "lastHeartbeat"}
STATUS = SHARED | {"type": "type", "metrics": "metrics"}
CONNECTED = {"name": "name", "version": "version", "capabilities": "capabilities", "type": "agentType"}


class Span(NamedTuple):
    """A stretch of time in which nothing changes an agent, and what did before it has settled; seconds."""

    start: float
    end: float

    def holds(self, e: Exchange | Frame) -> bool:
        """Whether it was asked for, and came, within it."""
        return self.start <= e.at and getattr(e, "ended", e.at) < self.end


@remembered
def moments(t: Timeline) -> Iterator[Moment]:
    """Each quiet moment of each agent of ours that more than one channel showed."""
    for agent in {(a.user, a.agent_id): a for a in t.agents}.values():
        if not deletions(t, agent.agent_id):
            for span in _spans(t, agent):
                moment = Moment(agent, span.start, [*_views(t, agent, span), *_counts(t, agent, span)])
                if len({v.channel for v in moment.views}) > 1:
                    yield moment


def _spans(t: Timeline, agent: Connection) -> Iterator[Span]:
    """What the tester noted as quiet, up to the next change; and each stretch that lasted long enough by itself."""
    marks = [n.at for n in t.notes if n.kind == "quiet"]
    changes = sorted((e.at, _taken(t, agent, e)) for e in causes(t, agent.agent_id or ""))
    lives = _lives(t, agent)
    done = settled = 0.0
    for (_, ended), (following, _) in pairwise([*changes, (math.inf, math.inf)]):
        done, settled = max(done, ended), max(settled, t.bound(ended, SETTLED))
        end = min(following, _given_up(t, lives, following))
        noted = [m for m in marks if done <= m < end]
        yield from (Span(*stretch) for stretch in pairwise([*noted, end]))
        if not noted and settled < end and not _told_between(t, agent, settled, end):
            yield Span(settled, end)


def _taken(t: Timeline, agent: Connection, cause: Event) -> float:
    """By when a cause has taken effect: of a loss that the backend did not make itself, when it says so (DIS-1)."""
    is_loss = isinstance(cause, Closed) and cause.by != "backend" and any(x.closed is cause for x in losses(t))
    if not is_loss:
        return getattr(cause, "ended", cause.at)
    said = [i for i in reads(t, agent) if reading.status(i.value) == "OFFLINE"]
    for dashboard in t.dashboards_of(agent.user):
        said += [Item(f, "", f.payload) for f in dashboard.about(agent.agent_id or "", "AGENT_DISCONNECT")]
        items = (i for f in dashboard.snapshots for i in t.remember(_shown)[f.seq].get(agent.agent_id, ()))
        said += [i for i in items if reading.status(i.value) == "OFFLINE"]
    known = [getattr(i.where, "ended", i.where.at) for i in said if i.where.at >= cause.at]
    return min([*known, t.bound(cause.at, NOTICED)])


def _lives(t: Timeline, agent: Connection) -> list[tuple[float, Connection]]:
    """When the agent said that it is alive, and on which connection, in order."""
    alive = {"AGENT_CONNECT", "AGENT_HEARTBEAT"}
    mine = (a for a in connections_of(t, agent.agent_id) if a.user == agent.user)
    return sorted(((f.at, a) for a in mine for f in a.sent if f.type in alive and f.at < a.until), key=itemgetter(0))


def _given_up(t: Timeline, lives: list[tuple[float, Connection]], before: float) -> float:
    """When a backend may first take the agent for lost, by what it last said before a moment (DIS-3); not before."""
    if not (count := bisect_left(lives, before, key=itemgetter(0))):
        return math.inf
    last, live = lives[count - 1]
    told = live.accepted.payload.get("heartbeatIntervalMs") if live.accepted else None
    interval = told / 1000 if isinstance(told, int | float) and told > 0 else t.terms.heartbeat_interval
    return last + 3 * interval - t.terms.slack


def _told_between(t: Timeline, agent: Connection, start: float, end: float) -> bool:
    """Whether anything was told of the agent then: a change that the tester did not cause, or not by itself."""
    about = (d.about(agent.agent_id or "", *EVENTS, "AGENT_ERROR") for d in t.dashboards_of(agent.user))
    return any(start <= f.at < end for frames in about for f in frames)


def _counts(t: Timeline, agent: Connection, span: Span) -> Iterator[View]:
    """How often each channel that shows all agents shows this one: a list of one page, a fresh snapshot, the single."""
    for e in t.calls("listAgents", "getAgent"):
        if not (span.holds(e) and e.user == agent.user):
            continue
        found = reading.rows(e.value)
        whole = e.query.get("offset") == "0" and e.query.get("limit") == "100" and len(found or ()) < PAGE
        if e.operation == "listAgents" and e.status == OK and found is not None and whole:
            yield View("GET /agents", e, "/data", {"presence": t.remember(_listed)[e.seq][agent.agent_id]})
        elif e.operation == "getAgent" and e.path.endswith(f"/{agent.agent_id}") and e.status in {OK, NOT_FOUND}:
            yield View("GET /agents/{agentId}", e, "", {"presence": int(e.status == OK)})
    for dashboard in t.dashboards_of(agent.user):
        for frame in _fresh(dashboard, span):
            if isinstance(frame.payload.get("agents"), list):
                times = len(t.remember(_shown)[frame.seq].get(agent.agent_id, ()))
                yield View("a fresh snapshot", frame, "/payload/agents", {"presence": times})


def _listed(t: Timeline) -> dict[int, Counter[str | None]]:
    """How often each list names each agent, by the answer's `seq`."""
    return {e.seq: Counter(map(reading.agent_id, reading.rows(e.value) or ())) for e in t.calls("listAgents")}


def _shown(t: Timeline) -> dict[int, dict[str | None, list[Item]]]:
    """What each snapshot shows of each agent, by the frame's `seq`."""
    found: dict[int, dict[str | None, list[Item]]] = {}
    for dashboard in t.dashboards:
        for frame in dashboard.snapshots:
            of = found.setdefault(frame.seq, {})
            for item in items_of(frame):
                of.setdefault(item.agent_id, []).append(item)
    return found


def _fresh(dashboard: Connection, span: Span) -> list[Frame]:
    """The snapshots that a dashboard asked for, and got, within a span."""
    asked = [f for f in dashboard.sent if f.type == "DASHBOARD_INIT" and span.holds(f)]
    return [f for f in dashboard.snapshots if span.holds(f) and asked and asked[0].seq < f.seq]


def _views(t: Timeline, agent: Connection, span: Span) -> Iterator[View]:
    for item in reads(t, agent):
        if span.holds(item.where):
            channel = "GET /agents" if item.pointer != "/data" else "GET /agents/{agentId}"
            yield View(channel, item.where, item.pointer, _fields(item.value, **REST))
    for dashboard in t.dashboards_of(agent.user):
        if fresh := _fresh(dashboard, span):
            yield from (
                View("a fresh snapshot", i.where, i.pointer, _fields(i.value, **SNAPSHOT))
                for i in t.remember(_shown)[fresh[-1].seq].get(agent.agent_id, ())
            )
        if not narrowed(dashboard) and (folded := _folded(t, dashboard, agent, span.end)) is not None:
            yield folded


def _folded(t: Timeline, dashboard: Connection, agent: Connection, until: float) -> View | None:
    """The agent after a dashboard's snapshot and every event up to a moment; None when it was not there all along."""
    base = next((f for f in reversed(dashboard.snapshots) if f.at < until), None)
    if base is None or any(e is not None and e.at < until for e in (dashboard.closed, dashboard.stalled)):
        return None
    state: dict[str, Any] = {}
    where: Frame = base
    pointer = "/payload/agents"
    for item in t.remember(_shown)[base.seq].get(agent.agent_id, ()):
        state, pointer = _fields(item.value, **SNAPSHOT), item.pointer
    for event in dashboard.about(agent.agent_id or "", *EVENTS, after=base.seq):
        if event.at >= until:
            break
        where, pointer = event, "/payload"
        if event.kind == "AGENT_DISCONNECT":
            state["status"] = _cased(state.get("status"), "OFFLINE")
        else:
            state |= _fields(event.payload, **(STATUS if event.kind == "AGENT_STATUS" else CONNECTED))
    state.pop("heartbeat", None)
    return View("snapshot + events", where, pointer, state) if state else None


def _cased(before: Any, word: str) -> str:
    """AGENT_DISCONNECT carries no status word: it is read in the casing that this channel uses."""
    return word.lower() if isinstance(before, str) and before.islower() else word


def disagreements(moment: Moment, t: Timeline) -> Iterator[Finding]:
    """Each channel agrees with REST's single answer, else with whatever was seen first, in all that both tell."""
    singles = [v for v in moment.views if v.channel == "GET /agents/{agentId}"]
    for view in moment.views:
        base = next((v for v in [*singles, *moment.views] if v.fields.keys() & view.fields.keys()), view)
        if view.channel == base.channel:
            continue
        for name in sorted(base.fields.keys() & view.fields.keys()):
            left, right = base.fields[name], view.fields[name]
            if _differ(name, left, right) and not _left_open(t, moment.agent, name, right):
                says = f"{view.channel} and {base.channel} disagree about the agent's {name}"
                yield Finding(
                    says, view.where, view.pointer, f"{name}: {left} as in {base.channel}", right, (base.where,)
                )


def _left_open(t: Timeline, agent: Connection, name: str, value: Any) -> bool:
    """After a reconnect, metrics in events may be null until the next heartbeat."""
    if name != "metrics" or value is not None:
        return False
    same = [a for a in t.agents if a.agent_id == agent.agent_id and a.user == agent.user]
    return len(same) > 1 and not any(f.type == "AGENT_HEARTBEAT" for f in same[-1].sent)
