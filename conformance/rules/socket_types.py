"""Types that a client may not send, binary frames, and what every ERROR must be (WSX-2, WSX-3, WSX-4, WSX-7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from conformance.asked import texts
from conformance.dialogue import ANSWER_SECONDS, Said, current, is_valid, refusal, said
from conformance.remembered import remembered
from conformance.rule import Finding, Rule
from conformance.timeline import MISSING, VALID, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.link import Link
    from conformance.world.world import World

TRACE = re.compile(
    r'Traceback \(most recent|File "[^"]+", line \d+|\n\s+at \S+ ?\(|\(node:internal|at (?<=\bat ).+\.[jt]s:\d+:\d+'
)


def unknown_types(t: Timeline) -> Iterator[Said]:
    """Each message of a type that the contract does not know, on an initialised connection."""
    known = t.contract.types
    return (s for s in _enveloped(t) if s.sent.type not in known)


def wrong_types(t: Timeline) -> Iterator[Said]:
    """Each message of a type that belongs to the other role or the other direction, on an initialised connection."""
    for s in _enveloped(t):
        if s.sent.type in t.contract.types and t.contract.message(f"from-{s.connection.role}", s.sent.type) is None:
            yield s


@remembered
def _enveloped(t: Timeline) -> Iterator[Said]:
    accepts = t.contract.shapes.accepts
    for s in said(t):
        right = s.ready and s.sent.value is not MISSING
        if right and (is_valid(s, t) or accepts("envelope-client.json", s.sent.value)):
            yield s


def refused_as_unknown(s: Said, t: Timeline) -> Iterator[Finding]:
    """ERROR UNKNOWN_MESSAGE_TYPE; the connection goes on."""
    yield from refusal(s, t, "a message of an unknown type", "UNKNOWN_MESSAGE_TYPE")


def refused_as_misplaced(s: Said, t: Timeline) -> Iterator[Finding]:
    """ERROR INVALID_MESSAGE_TYPE; the connection goes on."""
    yield from refusal(s, t, f"{s.sent.type} from {s.connection.role}s", "INVALID_MESSAGE_TYPE")


def binaries(t: Timeline) -> Iterator[tuple[Connection, Frame]]:
    """Each binary frame of the tester on a socket with a good token."""
    for c in t.connections:
        if current(c) and c.credential == VALID:
            yield from ((c, f) for f in c.sent if f.binary is not None and (c.closed is None or f.seq < c.closed.seq))


def binary_refused(occasion: tuple[Connection, Frame], t: Timeline) -> Iterator[Finding]:
    """ERROR, or close 1003."""
    connection, sent = occasion
    expected = "ERROR, or close 1003"
    if connection.of_kind("ERROR", after=sent.seq):
        return
    end = connection.closed
    if end is not None and end.by == "backend":
        if end.code != 1003:  # noqa: PLR2004 - the contract's code
            yield Finding(
                "a binary frame ended the connection with the wrong code", end, "", expected, end.code, (sent,)
            )
    elif connection.until >= t.bound(sent.at, ANSWER_SECONDS):
        yield Finding("a binary frame was taken without a word", sent, "", expected, "nothing")


def errors(t: Timeline) -> Iterator[Frame]:
    """Each ERROR from the backend."""
    return (f for c in filter(current, t.connections) for f in c.of_kind("ERROR"))


def fit_to_show(error: Frame, t: Timeline) -> Iterator[Finding]:
    """It has code, message and recoverable, and no stack trace."""
    for v in t.contract.violations("messages/any/ERROR.json", error.payload):
        name = v.pointer.strip("/") or "payload"
        says = f"ERROR without a right {name}: clients cannot act on it"
        yield Finding(says, error, "/payload" + v.pointer, v.expected, v.got)
    if found := TRACE.search("\n".join(texts(error.payload))):
        says = "an ERROR holds a stack trace: it tells strangers how the backend is built"
        yield Finding(says, error, "/payload", "a sentence for people", found.group()[:200])


def _no(code: str, **more: object) -> dict[str, Any]:
    return {"code": code, "message": "No", "recoverable": True, **more}


def unknown_refused(s: Scene) -> None:
    dashboard = s.dashboard()
    sent = dashboard.sends("MAKE_COFFEE")
    dashboard.gets("ERROR", _no("UNKNOWN_MESSAGE_TYPE", originalMessageId=sent.id))


def unknown_accepted(s: Scene) -> None:
    agent = s.agent("a1")
    agent.gets("ACK", {"messageId": agent.sends("MAKE_COFFEE").id, "success": True})


def unknown_is_just_invalid(s: Scene) -> None:
    agent = s.agent("a1")
    agent.gets("ERROR", _no("INVALID_MESSAGE", originalMessageId=agent.sends("MAKE_COFFEE").id))


def misplaced_refused(s: Scene) -> None:
    dashboard = s.dashboard()
    for kind in ("AGENT_HEARTBEAT", "AGENT_STATUS", "ACK"):
        dashboard.gets("ERROR", _no("INVALID_MESSAGE_TYPE", originalMessageId=dashboard.sends(kind).id))


def misplaced_served(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    dashboard.gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 1})


def misplaced_is_unknown(s: Scene) -> None:
    agent = s.agent("a1")
    agent.gets("ERROR", _no("UNKNOWN_MESSAGE_TYPE", originalMessageId=agent.sends("ACK", {"success": True}).id))


def _binary(s: Scene, socket: str) -> None:
    s.add(Frame, connection=socket, direction="to_server", binary=b"{}")


def binary_closed(s: Scene) -> None:
    dashboard = s.dashboard()
    _binary(s, dashboard.name)
    dashboard.closes(by="backend", code=1003)


def binary_swallowed(s: Scene) -> None:
    _binary(s, s.dashboard().name)
    s.wait(3)


def binary_breaks_the_server(s: Scene) -> None:
    dashboard = s.dashboard()
    _binary(s, dashboard.name)
    dashboard.closes(by="backend", code=1011)


def error_without_code(s: Scene) -> None:
    s.dashboard().gets("ERROR", {"message": "No", "recoverable": True})


def error_with_trace(s: Scene) -> None:
    trace = 'Traceback (most recent call last):\n  File "app.py", line 3, in f'
    s.dashboard().gets("ERROR", _no("INVALID_MESSAGE", details={"trace": trace}))


async def strange_types(world: World) -> None:
    """Both roles send types that nobody knows, the other role's, and the server's own; each then pings."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    status = {
        "agentId": agent.id,
        "healthMetrics": {"cpuUsage": 1, "memoryUsage": 1, "uptime": 1, "commandsProcessed": 730_003},
    }
    misplaced: list[tuple[Link, str, dict[str, Any]]] = [
        (dashboard.link, "MAKE_COFFEE", {}),
        (dashboard.link, "AGENT_HEARTBEAT", status),
        (dashboard.link, "DASHBOARD_READY", {"dashboardId": "d", "timestamp": 1}),
        (agent.link, "MAKE_COFFEE", {}),
        (agent.link, "DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True}),
        (agent.link, "ACK", {"success": True}),
    ]
    for link, kind, payload in misplaced:
        sent = await link.send(kind, payload)
        await link.answer(sent, "SERVER_HEARTBEAT", within=ANSWER_SECONDS)
    await dashboard.link.fence()
    await agent.link.fence()


async def binary_frames(world: World) -> None:
    """Both roles send a PING as a binary frame."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for link in (dashboard.link, agent.link):
        sent = await link.send_binary(b'{"type": "PING", "payload": {"timestamp": 1}}')
        await link.outcome(sent, "PONG", within=ANSWER_SECONDS)


RULES = (
    Rule(
        id="errors.unknown-type",
        clauses=("WSX-2",),
        judges="A message of a type the contract does not know gets ERROR UNKNOWN_MESSAGE_TYPE.",
        when=unknown_types,
        check=refused_as_unknown,
        good=(unknown_refused,),
        bad=(unknown_accepted, unknown_is_just_invalid),
        cases=(strange_types,),
    ),
    Rule(
        id="errors.misplaced-type",
        clauses=("WSX-3",),
        judges="A message of the other role or direction gets ERROR INVALID_MESSAGE_TYPE.",
        when=wrong_types,
        check=refused_as_misplaced,
        good=(misplaced_refused,),
        bad=(misplaced_served, misplaced_is_unknown),
        cases=(strange_types,),
    ),
    Rule(
        id="errors.binary-frame",
        clauses=("WSX-4",),
        judges="A binary frame gets an ERROR or ends the connection with 1003.",
        when=binaries,
        check=binary_refused,
        good=(binary_closed,),
        bad=(binary_swallowed, binary_breaks_the_server),
        cases=(binary_frames,),
    ),
    Rule(
        id="errors.fit-to-show",
        clauses=("WSX-7",),
        judges="Every ERROR has code, message and recoverable, and never a stack trace.",
        when=errors,
        check=fit_to_show,
        good=(unknown_refused,),
        bad=(error_without_code, error_with_trace),
        cases=(strange_types,),
    ),
)
