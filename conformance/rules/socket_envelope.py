"""What every server message is: one JSON text frame in the envelope, of a known type and shape (WSE-1 to WSE-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.dialogue import current
from conformance.rule import Finding, Rule
from conformance.timeline import Closed, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

Occasion = tuple["Connection", "Frame | Closed"]

BROKEN = {
    1002: "broke the WebSocket protocol",
    1007: "sent text that is not UTF-8",
    1009: "sent a frame that is far too big",
}
WORDS = frozenset({"status", "type", "agentType", "agent_type", "activityState", "errorType"})
"""Fields whose words CASE-1 judges."""


def every_frame(t: Timeline) -> Iterator[Occasion]:
    """Each frame from the backend, and each end that the tester had to make because of one."""
    for connection in filter(current, t.connections):
        yield from ((connection, frame) for frame in connection.received)
        end = connection.closed
        if end is not None and end.by == "tester" and end.code in BROKEN:
            yield connection, end


def enveloped(occasion: Occasion, t: Timeline) -> Iterator[Finding]:
    """One JSON text frame, four envelope fields, a type of this channel, a payload of that type's shape."""
    connection, what = occasion
    if isinstance(what, Closed):
        says = f"the backend {BROKEN[what.code or 1002]}: the tester had to end the connection, as browsers do"
        yield Finding(says, what, "", "JSON text frames", what.reason or what.code)
    elif what.text is None:
        yield Finding("a binary frame came: clients read text", what, "", "one JSON text frame", "a binary frame")
    elif not isinstance(what.value, dict):
        says = "a frame came that is no JSON object: clients cannot read it"
        yield Finding(says, what, "", "one JSON object", what.text[:200])
    else:
        yield from _fields(what, t)
        yield from _content(connection, what, t)


def _fields(frame: Frame, t: Timeline) -> Iterator[Finding]:
    for v in t.contract.violations("envelope-server.json", frame.value):
        name = v.pointer.strip("/").split("/")[0]
        says = (
            f"the envelope has no {name}"
            if v.keyword == "required"
            else f"{name} in the envelope is not what it must be"
        )
        yield Finding(f"{says}: clients that read it break", frame, v.pointer, v.expected, v.got)


def _content(connection: Connection, frame: Frame, t: Timeline) -> Iterator[Finding]:
    if not frame.type:
        return
    role = connection.channel if connection.channel in {"agent", "dashboard"} else connection.role
    message = t.contract.message(f"to-{role}", frame.type)
    if message is None:
        says = f"{frame.type:.60} is no type that the contract lets a server send to {role}s: they do not know it"
        yield Finding(says, frame, "/type", f"a type of a server's message to {role}s", frame.type)
        return
    payload = frame.value.get("payload")
    if not isinstance(payload, dict):
        return
    for v in t.contract.violations(message.schema, payload):
        name = v.pointer.rsplit("/", 1)[-1]
        if v.keyword in {"enum", "const"} and name in WORDS:
            continue
        wrong = f"has no {name}" if v.keyword == "required" else f"has {name or 'a payload'} out of shape"
        yield Finding(f"{frame.type} {wrong}: clients read undefined", frame, "/payload" + v.pointer, v.expected, v.got)


def talks(t: Timeline) -> Iterator[Connection]:
    """Each socket on which the backend said more than one thing."""
    return (c for c in t.connections if current(c) and len(c.received) > 1)


def unique_ids(connection: Connection, _t: Timeline) -> Iterator[Finding]:
    """No id comes twice and none is empty."""
    seen: dict[str, Frame] = {}
    for frame in connection.received:
        name = frame.id
        if name is None:
            continue
        if not name:
            says = "a message has an empty id: clients cannot refer to it"
            yield Finding(says, frame, "/id", "an id that is not empty", name)
        elif name in seen:
            says = "two messages on one connection have the same id: clients that drop repetitions lose one"
            yield Finding(says, frame, "/id", "an id of its own", name, (seen[name],))
        seen.setdefault(name, frame)


def forward_in_time(connection: Connection, _t: Timeline) -> Iterator[Finding]:
    """The envelope's timestamp never goes back: from frame to frame, and from message to message inside BATCHes."""
    before: dict[bool, Frame] = {}
    for frame in connection.received:
        stamp = _stamp(frame)
        if not isinstance(stamp, int | float):
            continue
        last = before.get(frame.batch is None)
        if last is not None and stamp < _stamp(last):
            says = "the timestamp goes back from one message to the next: dashboards show things in the wrong order"
            yield Finding(says, frame, "/timestamp", "not before the message before it", stamp, (last,))
        before[frame.batch is None] = frame


def _stamp(frame: Frame) -> Any:
    return frame.value.get("timestamp") if isinstance(frame.value, dict) else None


def right_and_more(s: Scene) -> None:
    dashboard = s.dashboard(s.item("a1", further=True))
    dashboard.told("a1", activityState="IDLE", further={"of": "our own"})
    dashboard.gets("PING", {"timestamp": s.now}, further=1)
    dashboard.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": float(s.now)}, timestamp=float(s.now))


def wrong_case_is_not_ours(s: Scene) -> None:
    s.dashboard(s.item("a1", status="online")).told("a1", type="claude")


def not_json(s: Scene) -> None:
    s.dashboard().gets_text("hello")


def snapshot_by_another_name(s: Scene) -> None:
    s.dashboard().gets("dashboard_connected", {"agents": [], "timestamp": s.now})


def without_id(s: Scene) -> None:
    s.dashboard().told("a1")
    s.agent("a1").gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 1}, id=...)


def time_as_text(s: Scene) -> None:
    s.dashboard().gets("PING", {"timestamp": 0}, timestamp="2025-10-09T08:00:00Z")


def flat(s: Scene) -> None:
    s.dashboard().gets_text('{"type": "AGENT_DISCONNECT", "id": "1", "timestamp": 1, "agentId": "a1"}')


def invented_type(s: Scene) -> None:
    s.dashboard().gets("AGENT_ONLINE", {"agentId": "a1"})


def other_channel(s: Scene) -> None:
    s.dashboard().gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 1})


def payload_out_of_shape(s: Scene) -> None:
    s.dashboard().told_gone("a1", agentId=7)


def broken_text(s: Scene) -> None:
    s.dashboard().closes(by="tester", code=1007)


def same_id(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.gets("PING", {"timestamp": s.now}, id="x")
    dashboard.gets("PING", {"timestamp": s.now}, id="x")


def empty_id(s: Scene) -> None:
    s.dashboard().gets("PING", {"timestamp": s.now}, id="")


def back_in_time(s: Scene) -> None:
    s.dashboard().gets("PING", {"timestamp": s.now}, timestamp=s.now - 1000)


def in_a_batch(s: Scene) -> None:
    dashboard = s.dashboard()
    early = [dashboard.message("PING", {"timestamp": s.now}) for _ in range(2)]
    dashboard.gets("PING", {"timestamp": s.now})
    dashboard.gets_batch(*early)


def same_id_in_a_batch(s: Scene) -> None:
    dashboard = s.dashboard()
    once = dashboard.gets("PING", {"timestamp": s.now})
    dashboard.gets_batch(dashboard.message("PING", {"timestamp": s.now}, id=once.id))


def back_in_time_in_a_batch(s: Scene) -> None:
    dashboard = s.dashboard()
    before, after = (dashboard.message("PING", {"timestamp": s.now}, timestamp=s.now + n) for n in (0, 1))
    dashboard.gets_batch(after, before)


def out_of_shape_in_a_batch(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.gets_batch(dashboard.message("AGENT_DISCONNECT", {"agentId": 7, "timestamp": s.now}))


async def everything_it_says(world: World) -> None:
    """An agent comes, reports, is answered and leaves, while two dashboards look on and ask."""
    user = world.user()
    first = await user.dashboard()
    agent = await user.agent()
    second = await user.dashboard()
    for step in range(3):
        beat = await agent.heartbeat(commandsProcessed=step)
        await first.sees_beat(agent, beat)
    await second.link.fence()
    before = await agent.leave()
    await second.sees("AGENT_DISCONNECT", agent, since=before)
    await world.quiet()


RULES = (
    Rule(
        id="envelope.server-messages",
        clauses=("WSE-1",),
        judges="Every frame from the server is one JSON message in the envelope, of a type and payload of its channel.",
        when=every_frame,
        check=enveloped,
        good=(right_and_more, wrong_case_is_not_ours, in_a_batch),
        bad=(
            not_json,
            snapshot_by_another_name,
            without_id,
            time_as_text,
            flat,
            invented_type,
            other_channel,
            payload_out_of_shape,
            broken_text,
            out_of_shape_in_a_batch,
        ),
        cases=(everything_it_says,),
    ),
    Rule(
        id="envelope.ids-unique",
        clauses=("WSE-2",),
        judges="No two messages of the server on one connection have the same id, and none is empty.",
        when=talks,
        check=unique_ids,
        good=(right_and_more, in_a_batch),
        bad=(same_id, empty_id, same_id_in_a_batch),
        cases=(everything_it_says,),
    ),
    Rule(
        id="envelope.time-goes-forward",
        clauses=("WSE-3",),
        judges="On one connection the envelope's timestamp never goes back.",
        when=talks,
        check=forward_in_time,
        good=(right_and_more, in_a_batch),
        bad=(back_in_time, back_in_time_in_a_batch),
        cases=(everything_it_says,),
    ),
)
