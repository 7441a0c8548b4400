"""A client's message without id or timestamp, as the plan's own examples send it, is served like any other (WSE-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.dialogue import OWN_ANSWER, Said, ended_over, is_valid, said
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

SERVED = ("DASHBOARD_INIT", "AGENT_CONNECT", "AGENT_HEARTBEAT", "PING")
ROLE_MESSAGES = ("DASHBOARD_INIT", "AGENT_CONNECT")
NEITHER: dict[str, object] = {"id": ..., "timestamp": ...}


def when(t: Timeline) -> Iterator[Said]:
    """Each valid message without id or timestamp; beside role messages, only of types that are answered when whole."""
    everything = [s for s in said(t) if s.sent.type in SERVED and isinstance(s.sent.value, dict)]
    answered = {
        s.sent.type for s in everything if s.answers and not s.errors and {"id", "timestamp"} <= set(s.sent.value)
    }
    for s in everything:
        if {"id", "timestamp"} <= set(s.sent.value) or not is_valid(s, t):
            continue
        if not (s.ready or s.sent.type in ROLE_MESSAGES) or s.sent.payload.get("userId") is not None:
            continue
        if s.answers or ended_over(s, t) or (s.unanswered(t) and s.sent.type in (*ROLE_MESSAGES, *answered)):
            yield s


def check(s: Said, _t: Timeline) -> Iterator[Finding]:
    """It is answered as its whole neighbour is, and not refused."""
    kind = s.sent.type
    lacks = " and ".join(name for name in ("id", "timestamp") if name not in s.sent.value)
    expected = OWN_ANSWER.get(kind, "ACK")
    if s.errors:
        says = f"{kind} without {lacks} is refused: clients written after the plan's examples cannot connect"
        yield Finding(says, s.errors[0], "/type", expected, s.errors[0].payload.get("code", "ERROR"), (s.sent,))
    elif not s.answers:
        says = f"{kind} without {lacks} is not served: clients written after the plan's examples wait for ever"
        end = s.connection.closed
        yield Finding(says, end or s.sent, "", expected, f"close {end.code}" if end else "nothing")


def agent_without(s: Scene) -> None:
    socket = s.socket("agent")
    connect = {"agentId": "a1", "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": ABLE}
    socket.sends("AGENT_CONNECT", connect, **NEITHER)
    socket.gets("ACK", {"success": True, "agentId": "x-1", "messageId": None})
    socket.sends("AGENT_HEARTBEAT", {"agentId": "x-1", "healthMetrics": s.health}, id=...)
    socket.gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 1})
    s.wait(3)


def dashboard_without(s: Scene) -> None:
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {"dashboardId": "test-dashboard"}, **NEITHER)
    socket.gets("PING", {"timestamp": s.now})
    socket.gets("DASHBOARD_READY", {"dashboardId": "test-dashboard", "timestamp": s.now})
    socket.snapshot()


def init_refused(s: Scene) -> None:
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {"dashboardId": "d"}, **NEITHER)
    socket.gets("ERROR", {"code": "INVALID_MESSAGE", "message": "id is missing", "recoverable": True})


def init_ignored(s: Scene) -> None:
    s.socket("dashboard").sends("DASHBOARD_INIT", {}, id=...)
    s.wait(3)


def connect_closed(s: Scene) -> None:
    socket = s.socket("agent")
    connect = {"agentId": "a1", "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": ABLE}
    socket.sends("AGENT_CONNECT", connect, timestamp=...)
    socket.closes(by="backend", code=1008)


def heartbeat_ignored(s: Scene) -> None:
    agent = s.agent("a1")
    agent.heartbeats()
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health}, **NEITHER)
    s.wait(3)


ABLE = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": False}


async def as_in_the_plan(world: World) -> None:
    """A dashboard and an agent speak as the plan's examples do, without id and timestamp, on their own endpoints."""
    await _speak(world, "dashboard", "agent")


async def as_in_the_plan_on_the_shared_socket(world: World) -> None:
    """The same at the shared endpoint, where the plan's own example connects."""
    await _speak(world, "shared", "shared")


async def _speak(world: World, dashboard_channel: str, agent_channel: str) -> None:
    user = world.user()
    dashboard = await user.bare_dashboard(channel=dashboard_channel)
    if not dashboard.link.is_open:
        return
    init = await dashboard.init(NEITHER, dashboardId="test-dashboard")
    await dashboard.link.until("DASHBOARD_READY", "ACK", "ERROR", since=init.seq, within=2.0)
    agent = user.new_agent()
    await agent.connect(channel=agent_channel, envelope=NEITHER)
    await agent.heartbeat()
    for missing in (NEITHER, {"id": ...}, {"timestamp": ...}):
        beat = await agent.heartbeat(missing, commandsProcessed=len(missing))
        await dashboard.sees_beat(agent, beat)


RULE = Rule(
    id="envelope.id-may-be-missing",
    clauses=("WSE-4",),
    judges="A client's message without id or timestamp is served just as one that has both.",
    when=when,
    check=check,
    good=(agent_without, dashboard_without),
    bad=(init_refused, init_ignored, connect_closed, heartbeat_ignored),
    cases=(as_in_the_plan, as_in_the_plan_on_the_shared_socket),
)
