"""A client's message without id or timestamp, as the plan's own examples send it, is served like any other (WSE-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.dialogue import ANSWER_SECONDS, OWN_ANSWER, Said, ended_over, is_valid, said_as
from conformance.rule import Finding, Rule, provocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

SERVED = ("DASHBOARD_INIT", "AGENT_CONNECT", "AGENT_HEARTBEAT", "PING", "AGENT_ERROR", "DASHBOARD_SUBSCRIBE")
ROLE_MESSAGES = ("DASHBOARD_INIT", "AGENT_CONNECT")
NEITHER: dict[str, Any] = {"id": ..., "timestamp": ...}
LACKING: tuple[dict[str, Any], ...] = ({}, {"id": ...}, {"timestamp": ...}, NEITHER)
"""What is left out, one after the other; nothing at first."""


def when(t: Timeline) -> Iterator[Said]:
    """Each valid message without id or timestamp; beside role messages, only of types that are answered when whole."""
    everything = said_as(t, *SERVED)
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


def check(s: Said, t: Timeline) -> Iterator[Finding]:
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
    elif kind == "AGENT_ERROR":
        yield from _forwarded(s, lacks, t)


def _forwarded(s: Said, lacks: str, t: Timeline) -> Iterator[Finding]:
    """Dashboards that are shown the agent's whole errors are shown this one too."""
    within = t.contract.within("agent.error", "to-dashboard.AGENT_ERROR")
    whole = [f for f in s.connection.sent if f.type == "AGENT_ERROR" and {"id", "timestamp"} <= set(f.value)]
    for dashboard in t.dashboards_of(s.connection.user):
        shown = {f.payload.get("message"): f for f in dashboard.about(s.connection.agent_id or "", "AGENT_ERROR")}
        beside = [shown[f.payload["message"]] for f in whole if f.payload.get("message") in shown]
        long_enough = dashboard.until >= t.bound(s.sent.at, within)
        if beside and long_enough and s.sent.payload["message"] not in shown:
            says = f"AGENT_ERROR without {lacks} is not shown to dashboards, to which the whole one was"
            expected = f"AGENT_ERROR within {within:g} s"
            yield Finding(says, s.sent, "", expected, "none", (beside[0],))


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


def others_without(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    for number, lacking in enumerate(LACKING):
        ping = agent.sends("PING", {"timestamp": number}, **lacking)
        agent.gets("PONG", {"timestamp": ping.payload["timestamp"]})
        fault = agent.sends("AGENT_ERROR", _fault(f"Disk {number}"), **lacking)
        agent.gets("ACK", {"success": True, "messageId": fault.id})
        dashboard.gets("AGENT_ERROR", _fault(f"Disk {number}") | {"timestamp": s.now})
        ask = dashboard.sends("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True}, **lacking)
        dashboard.gets("ACK", {"success": True, "messageId": ask.id})
    s.wait(3)


def ping_ignored(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("PING", {"timestamp": 1})
    dashboard.gets("PONG", {"timestamp": 1})
    dashboard.sends("PING", {"timestamp": 2}, **NEITHER)
    s.wait(3)


def subscription_refused(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True}, **NEITHER)
    dashboard.gets("ERROR", {"code": "INVALID_MESSAGE", "message": "id is missing", "recoverable": True})


def error_acked_and_dropped(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    whole = agent.sends("AGENT_ERROR", _fault("Whole"))
    agent.gets("ACK", {"success": True, "messageId": whole.id})
    dashboard.gets("AGENT_ERROR", _fault("Whole") | {"timestamp": s.now})
    agent.sends("AGENT_ERROR", _fault("Without"), **NEITHER)
    agent.gets("ACK", {"success": True})
    s.wait(3)


def _fault(message: str, agent_id: str = "a1") -> dict[str, object]:
    return {"agentId": agent_id, "errorType": "RESOURCE", "message": message, "recoverable": True}


ABLE = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": False}


async def as_in_the_plan(world: World) -> None:
    """A dashboard and an agent speak as the plan's examples do, without id and timestamp, on their own endpoints."""
    await _speak(world, "dashboard", "agent")


async def as_in_the_plan_on_the_shared_socket(world: World) -> None:
    """The same at the shared endpoint, where the plan's own example connects."""
    await _speak(world, "shared", "shared")


async def pings_without_ids(world: World) -> None:
    """A dashboard and an agent send PING whole, without id, without timestamp, without both."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for link in (dashboard.link, agent.link) if world.site.answers_ping else ():
        for number, lacking in enumerate(LACKING):
            ping = await link.send("PING", {"timestamp": 1_760_000_000_000 + number, "sequence": number}, **lacking)
            if not await link.answer(ping, "PONG", within=ANSWER_SECONDS):
                break


@provocation(budget=20.0)
async def errors_and_subscriptions_without_ids(world: World) -> None:
    """AGENT_ERROR, then DASHBOARD_SUBSCRIBE, each whole, without id, without timestamp, without both."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    patience = ANSWER_SECONDS + world.site.terms.slack + 0.3
    for number, lacking in enumerate(LACKING):
        fault = _fault(f"Disk nearly full ({number})", agent.id)
        sent = await agent.link.send("AGENT_ERROR", fault, **lacking)
        acked = await agent.link.answer(sent, within=patience, expected=False)
        says = fault["message"]
        told = await dashboard.sees("AGENT_ERROR", agent, since=sent.seq, within=patience, message=says, expected=False)
        if not (acked and told):
            break
    for lacking in LACKING:
        ask = await dashboard.link.send("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True}, **lacking)
        if not await dashboard.link.answer(ask, within=patience, expected=False):
            break


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
    good=(agent_without, dashboard_without, others_without),
    bad=(
        init_refused,
        init_ignored,
        connect_closed,
        heartbeat_ignored,
        ping_ignored,
        subscription_refused,
        error_acked_and_dropped,
    ),
    cases=(
        as_in_the_plan,
        as_in_the_plan_on_the_shared_socket,
        pings_without_ids,
        errors_and_subscriptions_without_ids,
    ),
)
