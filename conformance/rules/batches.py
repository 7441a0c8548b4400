"""BATCH: only for dashboards that accept it, and everything in it as if it had come one by one (STA-7).

What is inside stands on the timeline as messages of their own, so that every other rule judges it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from conformance.rule import Finding, Rule
from conformance.views import narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

OWN = frozenset({"timestamp", "serverTime"})
"""Fields in which two dashboards may be told the same thing differently."""


def plain_dashboards(t: Timeline) -> Iterator[Connection]:
    """Each dashboard that did not say acceptBatches in one of its DASHBOARD_INIT."""
    return (d for d in t.dashboards if d.accepted and any(not _accepts(f) for f in _inits(d)))


def only_asked(dashboard: Connection, _t: Timeline) -> Iterator[Finding]:
    """No BATCH comes while the DASHBOARD_INIT in force does not say acceptBatches."""
    ready = dashboard.of_kind("DASHBOARD_READY")
    for frame in dashboard.of_kind("BATCH"):
        said = [f for f in _inits(dashboard) if f.seq < frame.seq]
        answered = max((r.seq for r in ready if r.seq < frame.seq), default=-1)
        in_force = [f for f in said if f.seq < answered][-1:] + [f for f in said if f.seq > answered]
        if not any(_accepts(f) for f in in_force):
            says = "a BATCH was sent to a dashboard that did not say acceptBatches: it does not know the type"
            yield Finding(says, frame, "/type", "messages one by one", "BATCH", tuple(said[-1:]))


def _inits(dashboard: Connection) -> list[Frame]:
    return [f for f in dashboard.sent if f.type == "DASHBOARD_INIT"]


def _accepts(init: Frame) -> bool:
    return init.payload.get("acceptBatches") is True


Orders = dict[tuple[str, str], tuple[list["Frame"], list["Frame"]]]


class Pair(NamedTuple):
    """Two dashboards of one user, told the same things: one takes batches, the other does not."""

    batched: Connection
    plain: Connection
    orders: Orders
    """The messages of one kind about one command (else agent) that both got once, in the order of each."""


def pairs(t: Timeline) -> Iterator[Pair]:
    """Each dashboard that accepts batches, with one that does not, where they were told two things in common."""
    for batched in t.dashboards:
        if not batched.init or not _accepts(batched.init) or narrowed(batched):
            continue
        for plain in t.dashboards_of(batched.user):
            if plain is not batched and plain.init and not _accepts(plain.init) and not narrowed(plain):
                orders = _in_common(batched, plain)
                if any(len(one) > 1 for one, _ in orders.values()):
                    yield Pair(batched, plain, orders)


def _in_common(batched: Connection, plain: Connection) -> Orders:
    one, other = _told(batched), _told(plain)
    orders: Orders = {}
    for mine, theirs, side in ((one, other, 0), (other, one, 1)):
        for key, frame in mine.items():
            if frame is not None and theirs.get(key) is not None:
                orders.setdefault((key[0], frame.kind), ([], []))[side].append(frame)
    return orders


def _told(dashboard: Connection) -> dict[tuple[str, bytes], Frame | None]:
    """What a dashboard was told, by whom it is of and what it says; None for what it was told twice."""
    found: dict[tuple[str, bytes], Frame | None] = {}
    for frame in dashboard.received:
        about = frame.payload.get("commandId", frame.payload.get("agentId"))
        if isinstance(about, str):
            key = (about, _said(frame))
            found[key] = None if key in found else frame
    return found


def _said(frame: Frame) -> bytes:
    rest: dict[str, Any] = {k: v for k, v in frame.payload.items() if k not in OWN}
    return orjson.dumps([frame.kind, rest], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def same_order(pair: Pair, _t: Timeline) -> Iterator[Finding]:
    """What both were told of one command or agent, they were told in the same order."""
    for mine, theirs in pair.orders.values():
        for index, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            if _said(a) != _said(b):
                says = "a dashboard that accepts batches is told things in another order than one that does not"
                expected = "the order of what happened"
                yield Finding(says, a, "", expected, f"{a.label} before {b.label}", (b, *mine[index + 1 : index + 2]))
                break


def _watch(s: Scene, **init: Any) -> Socket:
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {"dashboardId": "d1", **init})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": s.now})
    socket.snapshot()
    return socket


def _status(s: Scene, socket: Socket, count: int) -> dict[str, Any]:
    payload = {"agentId": "a1", "status": "ONLINE", "metrics": s.metrics | {"commandsExecuted": count}}
    return socket.message("AGENT_STATUS", payload | {"timestamp": s.now + count})


def _told_both(s: Scene, *order: int) -> None:
    batched, plain = _watch(s, acceptBatches=True), _watch(s)
    for count in range(3):
        plain.gets("AGENT_STATUS", _status(s, plain, count)["payload"])
    batched.gets_batch(*(_status(s, batched, count) for count in order))


def asked_for(s: Scene) -> None:
    _told_both(s, 0, 1, 2)


def asked_for_and_not_used(s: Scene) -> None:
    batched, plain = _watch(s, acceptBatches=True), _watch(s, acceptBatches=False)
    for socket in (batched, plain):
        socket.told("a1")
        socket.told("a1", status="ERROR")


def coalesced(s: Scene) -> None:
    _told_both(s, 0, 2)


def other_order(s: Scene) -> None:
    _told_both(s, 1, 0, 2)


def unasked(s: Scene) -> None:
    s.dashboard().gets_batch()


def refused(s: Scene) -> None:
    _watch(s, acceptBatches=False).gets_batch()


def taken_back(s: Scene) -> None:
    socket = _watch(s, acceptBatches=True)
    socket.gets_batch()
    socket.sends("DASHBOARD_INIT", {"dashboardId": "d1"})
    socket.gets_batch()
    socket.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": s.now})
    socket.gets_batch()


def asked_for_later(s: Scene) -> None:
    socket = _watch(s)
    socket.sends("DASHBOARD_INIT", {"dashboardId": "d1", "acceptBatches": True})
    socket.gets_batch()
    socket.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": s.now})
    socket.gets_batch()


async def batches_or_not(world: World) -> None:
    """Dashboards that accept batches, refuse them, or do not speak of them watch three agents that beat in a breath."""
    user = world.user()
    wishes: tuple[dict[str, Any], ...] = ({"acceptBatches": True}, {"acceptBatches": False}, {})
    dashboards = [await user.dashboard(**init) for init in wishes]
    agents = [await user.agent() for _ in range(3)]
    for number in range(4):
        for agent in agents:
            beat = await agent.say_heartbeat(commandsProcessed=60 + number)
    for dashboard in dashboards:
        await dashboard.sees_beat(agents[-1], beat)
    fault = {"agentId": agents[0].id, "errorType": "RESOURCE", "message": "Disk nearly full", "recoverable": True}
    sent = await agents[0].link.send("AGENT_ERROR", fault)
    before = await agents[1].leave()
    for dashboard in dashboards:
        await dashboard.sees("AGENT_ERROR", agents[0], since=sent.seq)
        await dashboard.sees("AGENT_DISCONNECT", agents[1], since=before)
    await world.quiet()


RULES = (
    Rule(
        id="batches.only-if-asked",
        clauses=("STA-7",),
        judges="Only dashboards that said acceptBatches are sent BATCH.",
        when=plain_dashboards,
        check=only_asked,
        good=(asked_for, asked_for_and_not_used, asked_for_later),
        bad=(unasked, refused, taken_back),
        cases=(batches_or_not,),
    ),
    Rule(
        id="batches.order-kept",
        clauses=("STA-7",),
        judges="A dashboard that accepts batches is told things in the same order as any other one.",
        when=pairs,
        check=same_order,
        good=(asked_for, asked_for_and_not_used, coalesced),
        bad=(other_order,),
        cases=(batches_or_not,),
    ),
)
