# ruff: noqa: INP001 -- a directory of scripts, not a package
"""The second backend's sockets: one loop, one writer per socket, and the timers of the contract's section 3 and 4."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from aiohttp import WSMsgType

from conformance.tests.backends import tokens
from conformance.tests.backends.second_connection import FASTEST, Connection, Json, Subscriptions, milliseconds
from conformance.tests.backends.second_messages import FROM, ROLE_MESSAGES, Message, RefusedError, judge, read
from conformance.tests.backends.second_pace import Outflow, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.tests.backends.second_agents import Agent, Agents


MIB = 2**20
LARGEST = {"agent": MIB, "dashboard": MIB // 2}  # WSX-5
ROLE_WITHIN = 30.0  # WSA-3
SILENCE = 100.0  # DIS-3: nothing is advertised, so three times 30 s at least and four times at most
PING_EVERY = 6.0  # PING-1: a server may


GREETING = ("DASHBOARD_READY", "dashboard:connected")
"""What a dashboard is sent at its DASHBOARD_INIT, in order."""


class Hub:
    """Who is connected, and what each message causes."""

    def __init__(self, agents: Agents, users: frozenset[str], greeting: tuple[str, ...] = GREETING) -> None:
        self._greeting = greeting
        self.agents = agents
        self.users = users
        self.everyone: set[Connection] = set()
        self._of_agent: dict[str, Connection] = {}
        self._paces: dict[str, Outflow] = {}
        self._serve: dict[str, Callable[[Connection, Message], None]] = {
            "AGENT_CONNECT": self._connect_again,
            "AGENT_HEARTBEAT": self._heartbeat,
            "AGENT_ERROR": self._error,
            "DASHBOARD_INIT": self._dashboard,
            "DASHBOARD_SUBSCRIBE": self._subscribe,
            "DASHBOARD_UNSUBSCRIBE": self._unsubscribe,
            "AGENT_CONTROL": self._control,
            "TOKEN_REFRESH": self._refresh,
            "PING": self._ping,
            "PONG": self._pong,
        }

    # --- one socket's life

    async def run(self, connection: Connection, expires: float) -> None:
        """Serve one socket until it ends."""
        writer = asyncio.create_task(connection.write())
        self.everyone.add(connection)
        connection.after("role", ROLE_WITHIN, lambda: self._no_role(connection))
        connection.after("token", expires - time.time(), lambda: self.end(connection, 4002))
        try:
            async for frame in connection.socket:
                self._frame(connection, frame.type, frame.data)
        finally:
            self.everyone.discard(connection)
            self._leave(connection)
            connection.close(1000)
            connection.forget()
            with contextlib.suppress(ConnectionError):
                await writer

    def end(self, connection: Connection, code: int) -> None:
        """Close a socket; what that causes does not wait for the other side (DIS-1)."""
        connection.close(code)
        self._leave(connection)

    def _no_role(self, connection: Connection) -> None:
        connection.refuse(RefusedError("AUTH_TIMEOUT", "No role was taken in time.", closes=4001), None)

    def _frame(self, connection: Connection, kind: WSMsgType, data: str | bytes) -> None:
        if connection.closing or kind is WSMsgType.ERROR:
            return
        if len(data) > MIB // 8 and self._too_large(connection, data):
            self.end(connection, 1009)
        elif (verdict := connection.inflow.one_more(asyncio.get_running_loop().time())) is not Verdict.SERVE:
            self._slow_down(connection, verdict)
        elif kind is WSMsgType.TEXT and isinstance(data, str):
            self._message(connection, data)
        else:  # WSX-4
            connection.refuse(RefusedError("INVALID_MESSAGE", "Only text frames are read here."), None)

    def _too_large(self, connection: Connection, data: str | bytes) -> bool:
        """WSX-5; on the shared endpoint the role decides, and before it the larger limit."""
        size = len(data.encode() if isinstance(data, str) else data)
        return size > LARGEST[connection.role or connection.endpoint or "agent"]

    def _slow_down(self, connection: Connection, verdict: Verdict) -> None:
        if verdict is Verdict.CUT:
            self.end(connection, 4004)
        elif verdict is Verdict.DROP_AND_TELL:
            connection.refuse(RefusedError("RATE_LIMIT", "Too much at once."), None)

    def _message(self, connection: Connection, text: str) -> None:
        try:
            message = read(text)
        except RefusedError as refusal:
            connection.refuse(refusal, refusal.original)
            return
        try:
            self._route(connection, message)
        except RefusedError as refusal:
            connection.refuse(refusal, message.id)
            if refusal.closes is not None:
                self._leave(connection)

    def _route(self, connection: Connection, message: Message) -> None:
        if connection.role is None:
            self._begin(connection, message)
            return
        judge(connection.role, message)
        self._serve[message.type](connection, message)

    def _begin(self, connection: Connection, message: Message) -> None:
        """WSA-2: the role message, and nothing before it."""
        role = ROLE_MESSAGES.get(message.type)
        if role is None:
            raise RefusedError("NOT_INITIALIZED", "Who are you? Say that first.")
        if connection.endpoint not in (None, role):
            raise RefusedError("INVALID_MESSAGE_TYPE", "That role has another endpoint.")
        judge(role, message)
        self._connect(connection, message) if role == "agent" else self._dashboard(connection, message)
        connection.role = role
        connection.inflow.limit = FASTEST[role]
        connection.forget("role")
        connection.after("ping", PING_EVERY / 2, lambda: self._ping_them(connection, 0))

    def _ping_them(self, connection: Connection, sequence: int) -> None:
        connection.send("PING", {"sequence": sequence, "timestamp": milliseconds()})
        connection.after("ping", PING_EVERY, lambda: self._ping_them(connection, sequence + 1))

    # --- agents

    def _connect(self, connection: Connection, message: Message) -> None:
        """CON-1 to CON-5."""
        given = message.payload["agentId"]
        agent = self.agents.known(connection.user, given) or self.agents.make(connection.user, given)
        before = self._of_agent.get(agent.id)
        self._of_agent[agent.id] = connection
        connection.agent = agent
        if before:
            before.close(4008)
            before.forget()
        agent.connected, agent.broken = True, False
        agent.follow(message.payload)
        self._listen_for(connection)
        connection.ack(message, agentId=agent.id, welcome=True)
        self.tell_status(agent)

    def _connect_again(self, connection: Connection, message: Message) -> None:
        """CON-1: the same AGENT_CONNECT again is acknowledged; what it changes is announced, if anything."""
        agent = _agent_of(connection)
        if self.agents.known(connection.user, message.payload["agentId"]) is not agent:
            raise RefusedError("FORBIDDEN", "This connection speaks for another agent.")
        before = agent.for_status()
        agent.follow(message.payload)
        connection.ack(message, agentId=agent.id)
        if agent.for_status() != before:
            self.tell_status(agent)

    def _heartbeat(self, connection: Connection, message: Message) -> None:
        """HB-1, HB-2, STA-2."""
        agent = _spoken_for(connection, message)
        agent.beat(message.payload["healthMetrics"])
        self._listen_for(connection)
        connection.send("SERVER_HEARTBEAT", {"nextPingExpected": 30000.0, "serverTime": milliseconds()})
        self._pace(agent).soon()

    def _error(self, connection: Connection, message: Message) -> None:
        """AER-1, STA-8: the error, then the status it leaves."""
        agent = _spoken_for(connection, message)
        agent.broken = agent.broken or not message.payload["recoverable"]
        agent.touch()
        connection.ack(message)
        kept = ("details", "recoverable", "message")
        event: Json = {key: message.payload[key] for key in kept if key in message.payload}
        event |= {"errorType": message.payload["errorType"], "agentId": agent.id, "timestamp": milliseconds()}
        self._tell(agent, "AGENT_ERROR", event)
        self.tell_status(agent)

    def _listen_for(self, connection: Connection) -> None:
        """DIS-3: an agent that is silent for too long is cut, and so lost."""
        connection.after("silence", SILENCE, lambda: self.end(connection, 1008))

    def _leave(self, connection: Connection) -> None:
        """DIS-1, CON-4: only the socket that the agent has now can lose it, and only once."""
        agent = connection.agent
        if agent is None or self._of_agent.get(agent.id) is not connection:
            return
        del self._of_agent[agent.id]
        self._pace(agent).flush()
        agent.connected = agent.broken = False
        agent.touch()
        self._tell(agent, "AGENT_DISCONNECT", {"timestamp": milliseconds(), "agentId": agent.id})
        self.tell_status(agent)

    # --- what REST causes

    def tell_status(self, agent: Agent) -> None:
        """STA-2, STA-8: never held back."""
        self._pace(agent).now()

    def remove(self, agent: Agent) -> None:
        """AGT-11, DIS-4: dashboards hear of it although its socket ended long ago."""
        self._pace(agent).drop()
        del self._paces[agent.id]
        self._tell(agent, "AGENT_DISCONNECT", {"timestamp": milliseconds(), "agentId": agent.id})
        self.agents.remove(agent)

    def control(self, agent: Agent, action: str, reason: str | None) -> bool:
        """AGT-12, CTL-1: to that agent's socket; False when it has none."""
        connection = self._of_agent.get(agent.id)
        if connection is None:
            return False
        payload: Json = {"action": action, "agentId": agent.id}
        connection.send("AGENT_CONTROL", payload if reason is None else {**payload, "reason": reason})
        return True

    def _pace(self, agent: Agent) -> Outflow:
        if agent.id not in self._paces:
            self._paces[agent.id] = Outflow(lambda: self._status_now(agent))
        return self._paces[agent.id]

    def _status_now(self, agent: Agent) -> None:
        self._tell(agent, "AGENT_STATUS", {"timestamp": milliseconds(), **agent.for_status()})

    def _tell(self, agent: Agent, kind: str, payload: Json) -> None:
        """ISO, SUB-2: dashboards of that user that want that agent."""
        for connection in self.everyone:
            wanted = connection.subscriptions and connection.subscriptions.wants(agent)
            if connection.user == agent.user and wanted:
                connection.send(kind, payload)

    # --- dashboards

    def _dashboard(self, connection: Connection, message: Message) -> None:
        """DSH-1 to DSH-6: nothing can happen between the snapshot and the subscription, for nothing is awaited."""
        payload = message.payload
        if payload.get("userId", connection.user) != connection.user:
            raise RefusedError("FORBIDDEN", "That is another user.", closes=4003)  # WSA-4
        mine = self.agents.of(connection.user)
        dashboard = payload.get("dashboardId") or f"board:{id(connection):x}"
        ready = {"motd": "hello", "timestamp": milliseconds(), "dashboardId": dashboard}
        snapshot = {"count": len(mine), "timestamp": milliseconds(), "agents": [agent.for_snapshot() for agent in mine]}
        for kind in self._greeting:
            if kind == "ACK":
                connection.ack(message)
            else:
                connection.send(kind, ready if kind == "DASHBOARD_READY" else snapshot)
        connection.subscriptions = Subscriptions(
            payload.get("subscriptions", {}), lambda: [agent.id for agent in self.agents.of(connection.user)]
        )

    def _subscribe(self, connection: Connection, message: Message) -> None:
        self._resubscribe(connection, message, add=True)

    def _unsubscribe(self, connection: Connection, message: Message) -> None:
        self._resubscribe(connection, message, add=False)

    def _resubscribe(self, connection: Connection, message: Message, *, add: bool) -> None:
        subscriptions = connection.subscriptions
        assert subscriptions is not None
        if subscriptions.change(message.payload, add=add):
            connection.ack(message, subscriptions=subscriptions.for_ack())
        else:  # SUB-4
            connection.ack(message, success=False, error="NOT_FOUND", subscriptions=subscriptions.for_ack())

    def _control(self, connection: Connection, message: Message) -> None:
        agent = self.agents.get(connection.user, message.payload["agentId"])
        if agent is None:
            raise RefusedError("NOT_FOUND", "No such agent.")
        if not self.control(agent, message.payload["action"], message.payload.get("reason")):
            raise RefusedError("AGENT_OFFLINE", "That agent has no connection.")
        connection.ack(message)

    # --- both

    def _pong(self, connection: Connection, message: Message) -> None:
        """ACK-1 lets a server acknowledge even this."""
        connection.ack(message)

    def _ping(self, connection: Connection, message: Message) -> None:
        """PING-1: both echoed, to the letter."""
        connection.send("PONG", {"pong": True, **message.payload})

    def _refresh(self, connection: Connection, message: Message) -> None:
        """WSA-5."""
        try:
            claims = tokens.check(message.payload["accessToken"], self.users)
        except tokens.BadTokenError as error:
            raise RefusedError("FORBIDDEN", "That token extends nothing.") from error
        if claims.user != connection.user:
            raise RefusedError("FORBIDDEN", "That token is another user's.")
        connection.after("token", claims.expires - time.time(), lambda: self.end(connection, 4002))
        connection.ack(message)


def _agent_of(connection: Connection) -> Agent:
    assert connection.agent is not None
    return connection.agent


def _spoken_for(connection: Connection, message: Message) -> Agent:
    """CON-6: the connection's agent, by its made id or (CON-1, MAY) the announced one."""
    agent = _agent_of(connection)
    if message.payload["agentId"] not in (agent.id, agent.announced):
        raise RefusedError("FORBIDDEN", "This connection speaks for another agent.")
    return agent


assert set(ROLE_MESSAGES.values()) == set(FROM)
