"""Every message has exactly one answer, and PING's is PONG (ACK-1, PING-1)."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from conformance.dialogue import ANSWER_SECONDS, OWN_ANSWER, Said, current, ended_over, is_valid, said_on
from conformance.rule import Finding, Rule
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.link import Link
    from conformance.world.world import World

UNHURRIED = 40
"""Messages a second on one connection, up to which no rate limit can be the reason for anything."""


def _unhurried(t: Timeline) -> Iterator[Connection]:
    for c in t.connections:
        if current(c) and c.credential == VALID:
            times = [f.at for f in c.sent]
            if all(bisect_right(times, at + 1.0) - i <= UNHURRIED for i, at in enumerate(times)):
                yield c


def messages(t: Timeline) -> Iterator[Said]:
    """Each valid message with an id of its own, after the role message was accepted, and each role message."""
    for c in _unhurried(t):
        ids = [f.id for f in c.sent]
        for s in said_on(c):
            role_message = s.sent is c.init
            if s.sent.id is None or ids.count(s.sent.id) > 1 or s.sent.type == "PONG" or not is_valid(s, t):
                continue
            if (s.ready or role_message) and (s.answers or s.unanswered(t)) and not ended_over(s, t):
                yield s


def one_answer(s: Said, _t: Timeline) -> Iterator[Finding]:
    """One, of the right kind, that names the message."""
    kind = s.sent.type
    right = OWN_ANSWER.get(kind, "ACK")
    expected = f"one {right} (or ERROR)"
    if not s.answers:
        yield Finding(f"{kind} got no answer: its sender waits for ever", s.sent, "", expected, "nothing")
        return
    first, *more = s.answers
    for again in more:
        says = f"{kind} was answered twice: clients that count answers take the second for another message's"
        yield Finding(says, again, "/type", expected, " and ".join(a.type for a in s.answers), (s.sent, first))
    if first.kind == "ACK" and kind == "DASHBOARD_INIT":
        return  # another handshake, which DSH-1 tells: it is answered, and once
    if first.kind == "ACK" and right != "ACK":
        yield Finding(f"{kind} was answered by ACK instead of {right}", first, "/type", expected, "ACK", (s.sent,))
    elif first.kind == "ACK" and first.payload.get("messageId") != s.sent.id:
        says = f"the ACK to {kind} does not name it: clients cannot tell which message was accepted"
        got = first.payload.get("messageId", "nothing")
        yield Finding(says, first, "/payload/messageId", "the id of the accepted message", got, (s.sent,))


def pings(t: Timeline) -> Iterator[Said]:
    """Each valid PING on an initialised connection."""
    for c in _unhurried(t):
        for s in said_on(c):
            if s.sent.type == "PING" and s.ready and is_valid(s, t) and (s.answers or s.unanswered(t)):
                yield s


def ponged(s: Said, t: Timeline) -> Iterator[Finding]:
    """PONG within two seconds, that echoes timestamp and sequence."""
    pong = next((a for a in s.answers if a.kind == "PONG"), None)
    expected = "PONG within 2 s"
    if pong is None:
        where, got = (s.answers[0], s.answers[0].type) if s.answers else (s.sent, "nothing")
        says = "PING is not answered by PONG: clients think the connection is dead"
        yield Finding(says, where, "" if where is s.sent else "/type", expected, got, (s.sent,))
        return
    if pong.at > t.bound(s.sent.at, ANSWER_SECONDS):
        yield Finding("PONG came late", pong, "", expected, f"{pong.at - s.sent.at:.2f} s later", (s.sent,))
    for name in ("timestamp", "sequence"):
        asked, echoed = s.sent.payload.get(name), pong.payload.get(name)
        if asked != echoed or isinstance(asked, bool) != isinstance(echoed, bool):
            says = f"PONG does not echo the {name}: clients cannot tell which PING it answers"
            shown: Any = "nothing" if echoed is None else echoed
            yield Finding(says, pong, f"/payload/{name}", f"the PING's {name}", shown, (s.sent,))


def each_once(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.heartbeats()
    ask = dashboard.sends("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True})
    dashboard.gets("PING", {"timestamp": s.now})
    pong = dashboard.sends("PONG", {"timestamp": s.now})
    dashboard.gets("ACK", {"messageId": pong.id, "success": True})
    dashboard.gets("ACK", {"messageId": ask.id, "success": True, "further": 1})
    foreign = agent.sends("AGENT_HEARTBEAT", {"agentId": "a2", "healthMetrics": s.health})
    agent.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": True, "originalMessageId": foreign.id})
    s.wait(3)


def pings_cross(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("PING", {"timestamp": 1, "sequence": 1})
    dashboard.sends("PING", {"timestamp": 2})
    dashboard.gets("PONG", {"timestamp": 2.0, "sequence": None})
    dashboard.gets("PONG", {"timestamp": 1, "sequence": 1})


def heartbeat_swallowed(s: Scene) -> None:
    s.agent("a1").sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    s.wait(3)


def heartbeat_answered_twice(s: Scene) -> None:
    agent = s.agent("a1")
    agent.heartbeats()
    agent.gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 1})


def heartbeat_acked_as_well(s: Scene) -> None:
    agent = s.agent("a1")
    agent.gets("ACK", {"messageId": agent.heartbeats().id, "success": True})


def ack_without_name(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True})
    dashboard.gets("ACK", {"success": True})


def ping_acked(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.gets("ACK", {"messageId": dashboard.sends("PING", {"timestamp": 1}).id, "success": True})


def ping_ignored(s: Scene) -> None:
    s.agent("a1").sends("PING", {"timestamp": 1, "sequence": 1})
    s.wait(3)


def pong_late(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("PING", {"timestamp": 1})
    s.wait(2.5)
    dashboard.gets("PONG", {"timestamp": 1})


def pong_without_sequence(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("PING", {"timestamp": 1, "sequence": 7})
    dashboard.gets("PONG", {"timestamp": 1})


def pong_with_own_time(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("PING", {"timestamp": 1, "sequence": 7})
    dashboard.gets("PONG", {"timestamp": s.now, "sequence": 7})


async def one_of_each(world: World) -> None:
    """A dashboard and an agent send one message of each kind that needs no command, one after the other."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for kind in ("DASHBOARD_UNSUBSCRIBE", "DASHBOARD_SUBSCRIBE"):
        for what in ("agent", "terminal"):
            sent = await dashboard.link.send(kind, {"type": what, "all": True})
            await dashboard.link.answer(sent, within=ANSWER_SECONDS)
    again = await dashboard.link.send("DASHBOARD_INIT", {"dashboardId": world.new_id()})
    await dashboard.link.answer(again, "DASHBOARD_READY", within=ANSWER_SECONDS)
    await agent.heartbeat()
    fault = {"agentId": agent.id, "errorType": "RESOURCE", "message": "Disk nearly full", "recoverable": True}
    sent = await agent.link.send("AGENT_ERROR", fault)
    await agent.link.answer(sent, within=ANSWER_SECONDS)
    await world.quiet()


async def pings_from_both(world: World) -> None:
    """A dashboard and an agent send PINGs with and without a sequence, on their own endpoints and the shared one."""
    user = world.user()
    for channels in (("dashboard", "agent"), ("shared", "shared")):
        dashboard = await user.bare_dashboard(channel=channels[0])
        if not dashboard.link.is_open:
            return
        await dashboard.init(dashboardId=world.new_id())
        agent = user.new_agent()
        await agent.connect(channel=channels[1])
        for link in (dashboard.link, agent.link):
            await _ping(link)


async def _ping(link: Link) -> None:
    for payload in (
        {"timestamp": 1_760_000_000_123, "sequence": 41},
        {"timestamp": 1_760_000_000_124},
        {"timestamp": 0, "sequence": 0},
    ):
        sent = await link.send("PING", payload)
        await link.until("PONG", since=sent.seq, within=ANSWER_SECONDS)


RULES = (
    Rule(
        id="answers.exactly-one",
        clauses=("ACK-1",),
        judges="Every client message gets exactly one answer: its own reply, an ACK that names it, or an ERROR.",
        when=messages,
        check=one_answer,
        good=(each_once, pings_cross),
        bad=(
            heartbeat_swallowed,
            heartbeat_answered_twice,
            heartbeat_acked_as_well,
            ack_without_name,
            ping_acked,
            ping_ignored,
        ),
        cases=(one_of_each,),
    ),
    Rule(
        id="answers.ping-pong",
        clauses=("PING-1",),
        judges="PING is answered within 2 seconds by PONG that echoes its timestamp and sequence.",
        when=pings,
        check=ponged,
        good=(pings_cross,),
        bad=(ping_acked, ping_ignored, pong_late, pong_without_sequence, pong_with_own_time),
        cases=(pings_from_both,),
    ),
)
