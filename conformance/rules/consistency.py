"""All channels say the same: list, single, fresh snapshot, and snapshot plus events (CNS-1, DSH-4)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.views import causes, items_of, narrowed, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Connection, Event, Frame, Timeline
    from conformance.world.world import World

MILLISECOND = 0.0011
OK, NOT_FOUND, PAGE = 200, 404, 100
EVENTS = ("AGENT_STATUS", "AGENT_CONNECTED", "AGENT_DISCONNECT")


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


def when(t: Timeline) -> Iterator[Moment]:
    """Each quiet moment of each agent of ours that more than one channel showed."""
    marks = [n for n in t.notes if n.kind == "quiet"]
    for agent in {(a.user, a.agent_id): a for a in t.agents}.values():
        changes = sorted(e.seq for e in causes(t, agent.agent_id or ""))
        for index, mark in enumerate(marks):
            later = [s for s in changes if s > mark.seq]
            end = min(later[0] if later else 10**9, marks[index + 1].seq if index + 1 < len(marks) else 10**9)
            if any(s < mark.seq for s in changes) and not _deleted(t, agent):
                moment = Moment(agent, [*_views(t, agent, mark.seq, end), *_counts(t, agent, mark.seq, end)])
                if len({v.channel for v in moment.views}) > 1:
                    yield moment


def _counts(t: Timeline, agent: Connection, start: int, end: int) -> Iterator[View]:
    """How often each channel that shows all agents shows this one: a list of one page, a fresh snapshot, the single."""
    for e in t.calls("listAgents", "getAgent"):
        if not (start < e.seq < end and e.user == agent.user):
            continue
        found = reading.rows(e.value)
        whole = e.query.get("offset") == "0" and e.query.get("limit") == "100" and len(found or ()) < PAGE
        if e.operation == "listAgents" and e.status == OK and found is not None and whole:
            yield View(
                "GET /agents", e, "/data", {"presence": sum(reading.agent_id(r) == agent.agent_id for r in found)}
            )
        elif e.operation == "getAgent" and e.path.endswith(f"/{agent.agent_id}") and e.status in {OK, NOT_FOUND}:
            yield View("GET /agents/{agentId}", e, "", {"presence": int(e.status == OK)})
    for dashboard in t.dashboards_of(agent.user):
        for frame in dashboard.snapshots:
            asked = any(f.type == "DASHBOARD_INIT" and start < f.seq < frame.seq for f in dashboard.sent)
            if start < frame.seq < end and asked and isinstance(frame.payload.get("agents"), list):
                times = sum(i.agent_id == agent.agent_id for i in items_of(frame))
                yield View("a fresh snapshot", frame, "/payload/agents", {"presence": times})


def _views(t: Timeline, agent: Connection, start: int, end: int) -> Iterator[View]:
    for item in reads(t, agent):
        if start < item.where.seq < end:
            channel = "GET /agents" if item.pointer != "/data" else "GET /agents/{agentId}"
            yield View(channel, item.where, item.pointer, _fields(item.value, **REST))
    for dashboard in t.dashboards_of(agent.user):
        fresh = [f for f in dashboard.snapshots if start < f.seq < end]
        asked = [f for f in dashboard.sent if f.type == "DASHBOARD_INIT" and start < f.seq < end]
        if fresh and asked:
            yield from (
                View("a fresh snapshot", i.where, i.pointer, _fields(i.value, **SNAPSHOT))
                for i in items_of(fresh[-1])
                if i.agent_id == agent.agent_id
            )
        if not narrowed(dashboard) and (folded := _folded(dashboard, agent, end)) is not None:
            yield folded


def _folded(dashboard: Connection, agent: Connection, until: int) -> View | None:
    """The agent after a dashboard's snapshot and every event up to a moment; None when it was not there all along."""
    base = next((f for f in reversed(dashboard.snapshots) if f.seq < until), None)
    if base is None or (dashboard.closed is not None and dashboard.closed.seq < until):
        return None
    state: dict[str, Any] = {}
    where: Frame = base
    pointer = "/payload/agents"
    for item in items_of(base):
        if item.agent_id == agent.agent_id:
            state, pointer = _fields(item.value, **SNAPSHOT), item.pointer
    for event in dashboard.about(agent.agent_id or "", *EVENTS, after=base.seq):
        if event.seq > until:
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


def check(moment: Moment, t: Timeline) -> Iterator[Finding]:
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


def _deleted(t: Timeline, agent: Connection) -> bool:
    return any(e.operation == "deleteAgent" and agent.agent_id in e.path.split("/") for e in t.exchanges)


def _left_open(t: Timeline, agent: Connection, name: str, value: Any) -> bool:
    """After a reconnect, metrics in events may be null until the next heartbeat."""
    if name != "metrics" or value is not None:
        return False
    same = [a for a in t.agents if a.agent_id == agent.agent_id and a.user == agent.user]
    return len(same) > 1 and not any(f.type == "AGENT_HEARTBEAT" for f in same[-1].sent)


def early_events(t: Timeline) -> Iterator[tuple[Frame, list[Frame]]]:
    """Each dashboard's first snapshot, with what was said of agents before it."""
    for dashboard in t.dashboards:
        if dashboard.snapshots:
            yield dashboard.snapshots[0], dashboard.of_kind(*EVENTS, "AGENT_ERROR")


def none_before(occasion: tuple[Frame, list[Frame]], _t: Timeline) -> Iterator[Finding]:
    """No event about an agent comes before the snapshot."""
    snapshot, events = occasion
    for event in events:
        if event.seq < snapshot.seq:
            says = f"{event.type} comes before the snapshot: the dashboard knows no such agent yet"
            yield Finding(says, event, "", "dashboard:connected first", event.type, (snapshot,))


def agree(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics)
    s.note("quiet")
    row = s.row("a1", last_heartbeat="2025-10-09T08:53:20.123456+00:00", last_metrics=s.metrics)
    s.shows(row)
    s.lists(row)
    s.dashboard(s.item("a1", lastHeartbeat="2025-10-09T08:53:20.123Z"))
    s.wait(1)


def agree_on_lost(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    s.note("quiet")
    s.shows(s.row("a1", status="OFFLINE"))
    s.wait(1)


def list_differs(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.note("quiet")
    s.shows(s.row("a1", last_metrics=s.metrics))
    s.lists(s.row("a1", last_metrics=s.metrics | {"cpuUsage": 0}))
    s.wait(1)


def snapshot_forgets(s: Scene) -> None:
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.dashboard(s.item("a2"))
    s.wait(1)


def listed_twice(s: Scene) -> None:
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.lists(s.row("a1"), s.row("a1"), query={"limit": "100", "offset": "0"})
    s.wait(1)


def snapshot_stale(s: Scene) -> None:
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.dashboard(s.item("a1", status="OFFLINE"))
    s.wait(1)


def event_lost(s: Scene) -> None:
    s.dashboard(s.item("a1", status="OFFLINE"))
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.wait(1)


def older_event_after_snapshot(s: Scene) -> None:
    s.agent("a1").closes()
    dashboard = s.dashboard(s.item("a1", status="OFFLINE"))
    dashboard.told("a1", status="ONLINE")
    s.note("quiet")
    s.shows(s.row("a1", status="OFFLINE"))
    s.wait(1)


def mixed_case(s: Scene) -> None:
    s.dashboard().told("a1", status="online")
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.wait(1)


def event_first(s: Scene) -> None:
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.told("a1")
    dashboard.snapshot(s.item("a1"))


async def several_agents(world: World) -> None:
    """Agents of each type connect, beat and leave while a dashboard watches; then every channel is read."""
    user = world.user()
    early = await user.dashboard()
    agents = await asyncio.gather(*(user.agent(agentType=kind) for kind in ("CLAUDE", "GEMINI", "CODEX")))
    for step, agent in enumerate(agents):
        beat = await agent.heartbeat(
            commandsProcessed=step + 1, uptime=10 + step, memoryUsage=300 + step, cpuUsage=1.5 + step
        )
        await early.sees_beat(agent, beat)
        await user.rest.shows(agent.id, beat=beat)
    before = await agents[0].leave()
    await early.sees("AGENT_DISCONNECT", agents[0], since=before)
    await user.rest.shows(agents[0].id, status="OFFLINE")
    await world.quiet()
    await _read_all(world, [a.id for a in agents])


async def coming_and_going_while_dashboards_open(world: World) -> None:
    """Agents connect, beat and leave while dashboards ask for their snapshots, all at the same time."""
    user = world.user()
    agents = [user.new_agent() for _ in range(4)]

    async def live(number: int) -> Frame:
        agent = agents[number]
        await agent.connect()
        await agent.heartbeat(commandsProcessed=number, uptime=100 + number)
        beat = await agent.heartbeat(commandsProcessed=10 + number, uptime=200 + number)
        if number % 2:
            await agent.leave()
        return beat

    lives = asyncio.gather(*(live(n) for n in range(4)))
    await asyncio.gather(lives, *(user.dashboard() for _ in range(4)))
    for number, beat in enumerate(await lives):
        await user.rest.shows(agents[number].id, status="OFFLINE" if number % 2 else "ONLINE", beat=beat)
    await world.quiet()
    await _read_all(world, [a.id for a in agents])


async def dashboards_open_at_a_loss(world: World) -> None:
    """Agents beat and leave, and at each of these moments a dashboard asks for its snapshot; then all is read."""
    user = world.user()
    agents = []
    for number in range(3):
        agent = await user.agent()
        await agent.say_heartbeat(commandsProcessed=40 + number)
        opening = asyncio.gather(user.dashboard(), user.dashboard())
        await agent.leave()
        await opening
        await user.dashboard()
        agents.append(agent)
    for agent in agents:
        await user.rest.shows(agent.id, status="OFFLINE")
    await world.quiet()
    await _read_all(world, [a.id for a in agents])


async def _read_all(world: World, ids: list[str]) -> None:
    user = world.user()
    for agent_id in ids:
        await user.rest.get(f"/agents/{agent_id}")
    await user.rest.all_agents()
    await user.dashboard()


RULES = (
    Rule(
        id="consistency.channels-agree",
        clauses=("CNS-1",),
        judges="At a quiet moment list, single, fresh snapshot and snapshot plus events say the same of each agent.",
        when=when,
        check=check,
        good=(agree, agree_on_lost),
        bad=(list_differs, snapshot_stale, snapshot_forgets, listed_twice, event_lost, mixed_case),
        cases=(several_agents,),
    ),
    Rule(
        id="consistency.nothing-lost-around-snapshot",
        clauses=("DSH-4", "CNS-2"),
        judges="A snapshot and the events after it give the present state, whatever happened while it was made.",
        when=when,
        check=check,
        good=(agree, agree_on_lost),
        bad=(event_lost, snapshot_stale, older_event_after_snapshot),
        cases=(coming_and_going_while_dashboards_open, dashboards_open_at_a_loss),
    ),
    Rule(
        id="consistency.no-event-before-snapshot",
        clauses=("DSH-4",),
        judges="No event about an agent reaches a dashboard before its snapshot.",
        when=early_events,
        check=none_before,
        good=(agree,),
        bad=(event_first,),
        cases=(coming_and_going_while_dashboards_open,),
    ),
)
