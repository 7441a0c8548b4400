"""What still comes on a connection that was replaced changes nothing: another one speaks for the agent (CON-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule, provocation
from conformance.views import connections_of, reads, snapshot_items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Event, Frame, Timeline
    from conformance.world.world import World

REPLACED = 4008
HALF_OPEN = "half-open"
"""The kind of note that says: the peer of `connection` answers nothing any more."""
TOLD = {"AGENT_HEARTBEAT": "AGENT_STATUS", "AGENT_ERROR": "AGENT_ERROR", "TERMINAL_OUTPUT": "TERMINAL_STREAM"}
"""What an agent says → what tells dashboards of it."""


class Old(NamedTuple):
    """A half-open connection that was replaced, and what came on it after the backend had closed it."""

    connection: Connection
    late: list[Frame]


def replaced(t: Timeline) -> Iterator[Old]:
    """Each, even where the line was gone before anything could be late on it."""
    for note in t.notes:
        c = t.connection(str(note.data.get("connection"))) if note.kind == HALF_OPEN else None
        if c is not None and c in t.agents and c.closed is not None and c.closed.code == REPLACED:
            yield Old(c, c.late)


def changes_nothing(old: Old, t: Timeline) -> Iterator[Finding]:
    """Nobody is told or shown what came late."""
    for late in old.late:
        if not _is_said_otherwise(late, old.connection, t) and (shown := next(_shown(late, old.connection, t), None)):
            says = f"{late.type} on a connection that was replaced is served: who is gone speaks for the new one"
            evidence = (late, *((old.connection.closed,) if old.connection.closed else ()))
            yield Finding(says, shown, "", "nothing of it: another connection has taken its place", "served", evidence)


def _shown(late: Frame, c: Connection, t: Timeline) -> Iterator[Event]:
    """Where it can be seen."""
    kind = TOLD.get(late.type)
    for dashboard in t.dashboards_of(c.user):
        frames = dashboard.of_kind(kind, after=late.seq) if kind else ()
        yield from (f for f in frames if _is_of(c, f) and _means(f) == _means(late))
    if late.type == "AGENT_HEARTBEAT":
        told = [i for i in (*reads(t, c), *snapshot_items(t)) if i.agent_id == c.agent_id and i.where.seq > late.seq]
        yield from (i.where for i in told if reading.same_metrics(reading.metrics(i.value), _reported(late)))


def _is_of(c: Connection, frame: Frame) -> bool:
    return reading.agent_id(frame.payload) == c.agent_id


def _is_said_otherwise(late: Frame, c: Connection, t: Timeline) -> bool:
    """Whether the agent said the same in time as well: then nobody knows which of them is seen."""
    others = (f for a in connections_of(t, c.agent_id) for f in a.sent if f is not late and f.type == late.type)
    return any(_means(f) == _means(late) for f in others)


def _reported(frame: Frame) -> dict[str, object]:
    return reading.reported(frame.payload.get("healthMetrics"))


def _means(frame: Frame) -> object:
    """What a message says, alike for what an agent sends and what a dashboard is told."""
    p = frame.payload
    match frame.kind:
        case "AGENT_HEARTBEAT":
            return sorted((k, float(v)) for k, v in _reported(frame).items() if isinstance(v, int | float))
        case "AGENT_STATUS":
            found = reading.metrics(p) or {}
            return sorted((k, float(v)) for k, v in found.items() if isinstance(v, int | float))
        case "AGENT_ERROR":
            return p.get("errorType"), p.get("message"), p.get("recoverable")
        case "TERMINAL_OUTPUT" | "TERMINAL_STREAM":
            return p.get("sequence"), p.get("streamType"), p.get("content")
    return frame.text


def nothing_came_of_it(s: Scene) -> None:
    dashboard, old = s.dashboard(), s.agent("a1")
    s.note(HALF_OPEN, connection=old.name)
    new = s.agent("a1")
    old.closes(by="backend", code=REPLACED)
    old.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health | {"cpuUsage": 77}})
    new.heartbeats()
    dashboard.told("a1", metrics=s.metrics)
    s.shows(s.row("a1", last_metrics=s.metrics))


def the_line_was_gone(s: Scene) -> None:
    old = s.agent("a1")
    s.note(HALF_OPEN, connection=old.name)
    s.agent("a1")
    old.closes(by="backend", code=REPLACED)


def said_in_time_as_well(s: Scene) -> None:
    dashboard, old = s.dashboard(), s.agent("a1")
    s.note(HALF_OPEN, connection=old.name)
    new = s.agent("a1")
    old.closes(by="backend", code=REPLACED)
    old.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    new.heartbeats()
    dashboard.told("a1", metrics=s.metrics)


def served_to_dashboards(s: Scene) -> None:
    dashboard, old = s.dashboard(), s.agent("a1")
    s.note(HALF_OPEN, connection=old.name)
    s.agent("a1")
    old.closes(by="backend", code=REPLACED)
    old.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    dashboard.told("a1", metrics=s.metrics)


def kept(s: Scene) -> None:
    old = s.agent("a1")
    s.note(HALF_OPEN, connection=old.name)
    s.agent("a1")
    old.closes(by="backend", code=REPLACED)
    old.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    s.shows(s.row("a1", last_metrics=s.metrics))


def error_passed_on(s: Scene) -> None:
    dashboard, old = s.dashboard(), s.agent("a1")
    s.note(HALF_OPEN, connection=old.name)
    s.agent("a1")
    old.closes(by="backend", code=REPLACED)
    fault = {"agentId": "a1", "errorType": "RESOURCE", "message": "Disk full", "recoverable": False}
    old.sends("AGENT_ERROR", fault)
    dashboard.gets("AGENT_ERROR", {**fault, "timestamp": s.now})


@provocation(needs="faults")
async def comes_back_before_it_is_missed(world: World) -> None:
    """An agent's line is half open; it comes back on another one, and what it had still to say comes through."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    await agent.heartbeat()
    old = agent.link
    old.fall_silent()
    sent = await agent.connect()
    await dashboard.sees("AGENT_STATUS", agent, since=sent.seq)
    if await old.ended(within=1.0) is None:
        return
    health = {"cpuUsage": 71.5, "memoryUsage": 17, "uptime": 7171, "commandsProcessed": 717}
    fault = {"agentId": agent.id, "errorType": "UNKNOWN", "message": "The line was bad", "recoverable": True}
    await old.send_late("AGENT_HEARTBEAT", {"agentId": agent.id, "healthMetrics": health})
    await old.send_late("AGENT_ERROR", fault)
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}")
    await old.drop()
    beat = await agent.heartbeat(cpuUsage=99)
    await dashboard.sees_beat(agent, beat)
    await user.rest.shows(agent.id, status="ONLINE", beat=beat)


RULE = Rule(
    id="connection.late-changes-nothing",
    clauses=("CON-4",),
    judges="What comes on a half-open connection of an agent after another one has replaced it changes nothing.",
    when=replaced,
    check=changes_nothing,
    good=(nothing_came_of_it, the_line_was_gone, said_in_time_as_well),
    bad=(served_to_dashboards, kept, error_passed_on),
    cases=(comes_back_before_it_is_missed,),
)
