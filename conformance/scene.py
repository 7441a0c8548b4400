"""Writes timelines by hand, for the good and bad examples of rules: a few words a line, right in all they leave out."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from conformance import reading
from conformance.terms import Terms
from conformance.timeline import MISSING, VALID, Closed, Event, Exchange, Frame, Note, Opened, Timeline

if TYPE_CHECKING:
    from conformance.contract import Contract

EPOCH = 1_760_000_000.0
BORN = "2025-10-09T08:00:00Z"
METRICS = {"commandsExecuted": 3, "uptime": 60, "memoryUsage": 512, "cpuUsage": 12.5}
HEALTH = {"commandsProcessed": 3, "uptime": 60, "memoryUsage": 512, "cpuUsage": 12.5}
CAPABILITIES = {"maxTokens": 8192, "supportsInterrupt": True, "supportsTrace": False}


def row(agent_id: str = "a1", /, **changes: Any) -> dict[str, Any]:
    """An agent as REST shows it; `None` and all other values given replace the right ones, `...` removes a field."""
    right = {
        "agent_id": agent_id,
        "name": "Ada",
        "agent_type": "CLAUDE",
        "status": "ONLINE",
        "version": "1.2.0",
        "capabilities": ["basic", "interrupt"],
        "last_heartbeat": None,
        "last_metrics": None,
        "created_at": BORN,
        "updated_at": BORN,
    }
    return _changed(right, changes)


def item(agent_id: str = "a1", /, **changes: Any) -> dict[str, Any]:
    """An agent as the snapshot shows it."""
    right = {
        "agentId": agent_id,
        "name": "Ada",
        "type": "CLAUDE",
        "status": "ONLINE",
        "version": "1.2.0",
        "capabilities": ["basic", "interrupt"],
        "lastHeartbeat": None,
    }
    return _changed(right, changes)


def _changed(right: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in (right | changes).items() if v is not ...}


class Socket:
    """One socket of a scene."""

    def __init__(self, scene: Scene, name: str, agent_id: str = "") -> None:
        self._scene = scene
        self.name = name
        self.agent_id = agent_id
        self._ids = itertools.count(1)

    def sends(self, kind: str, payload: Any = None, **envelope: Any) -> Frame:
        """A message from the tester; envelope fields given replace the right ones, `...` removes one."""
        return self._frame("to_server", kind, payload, envelope)

    def gets(self, kind: str, payload: Any = None, **envelope: Any) -> Frame:
        """A message from the backend."""
        return self._frame("to_client", kind, payload, envelope)

    def gets_batch(self, *messages: dict[str, Any]) -> Frame:
        """A BATCH from the backend of messages made by `message`."""
        return self.gets("BATCH", {"messages": list(messages)})

    def message(self, kind: str, payload: Any = None, **envelope: Any) -> dict[str, Any]:
        """A message from the backend, not sent: for a BATCH."""
        return self._message("to_client", kind, payload, envelope)

    def gets_text(self, text: str) -> Frame:
        """A text frame from the backend, as it is."""
        return self._scene.frame(self.name, "to_client", text)

    def sends_text(self, text: str) -> Frame:
        """A text frame from the tester, as it is."""
        return self._scene.frame(self.name, "to_server", text)

    def heartbeats(self, **changes: Any) -> Frame:
        """An AGENT_HEARTBEAT and its answer."""
        health = HEALTH | changes
        beat = self.sends("AGENT_HEARTBEAT", {"agentId": self.agent_id, "healthMetrics": health})
        self.gets("SERVER_HEARTBEAT", {"serverTime": self._scene.now, "nextPingExpected": 30000})
        return beat

    def told(self, agent_id: str = "a1", /, **changes: Any) -> Frame:
        """An AGENT_STATUS from the backend."""
        right = {
            "agentId": agent_id,
            "status": "ONLINE",
            "timestamp": self._scene.now,
            "metrics": None,
            "name": "Ada",
            "type": "CLAUDE",
            "version": "1.2.0",
            "capabilities": ["basic", "interrupt"],
        }
        return self.gets("AGENT_STATUS", _changed(right, changes))

    def told_gone(self, agent_id: str = "a1", /, **changes: Any) -> Frame:
        """An AGENT_DISCONNECT from the backend."""
        return self.gets("AGENT_DISCONNECT", _changed({"agentId": agent_id, "timestamp": self._scene.now}, changes))

    def snapshot(self, *items: dict[str, Any]) -> Frame:
        """A `dashboard:connected` from the backend."""
        return self.gets("dashboard:connected", {"agents": list(items), "timestamp": self._scene.now})

    def closes(self, by: str = "tester", code: int | None = 1000) -> Closed:
        """The end of the socket."""
        return self._scene.add(Closed, connection=self.name, by=by, code=code)  # type: ignore[no-any-return]

    def _frame(self, direction: Any, kind: str, payload: Any, envelope: dict[str, Any]) -> Frame:
        message = self._message(direction, kind, payload, envelope)
        return self._scene.frame(self.name, direction, orjson.dumps(message).decode())

    def _message(self, direction: str, kind: str, payload: Any, envelope: dict[str, Any]) -> dict[str, Any]:
        sender = "b" if direction == "to_client" else "t"
        right = {
            "type": kind,
            "id": f"{sender}{next(self._ids)}",
            "timestamp": self._scene.now,
            "payload": {} if payload is None else payload,
        }
        return _changed(right, envelope)


class Scene:
    """A timeline in the making. Each line takes ten milliseconds; `wait` lets time pass."""

    born = BORN
    metrics = METRICS
    health = HEALTH
    row = staticmethod(row)
    item = staticmethod(item)

    def __init__(self, contract: Contract, terms: Terms | None = None) -> None:
        self.contract = contract
        self.terms = terms or Terms()
        self.case = "example"
        self._events: list[Event] = []
        self._at = 0.0
        self._names = itertools.count(1)

    @property
    def now(self) -> int:
        """The present moment as a message's timestamp."""
        return int((EPOCH + self._at) * 1000)

    @property
    def seconds(self) -> float:
        """The present moment as events have it."""
        return self._at

    def wait(self, seconds: float) -> None:
        """Time passes and nothing happens."""
        self._at += seconds

    def add(self, kind: Any, /, **fields: Any) -> Any:
        """Any event, now."""
        self._at += 0.01
        event = kind(seq=len(self._events), at=self._at, **fields)
        self._events.append(event)
        return event

    def frame(self, connection: str, direction: Any, text: str) -> Frame:
        """A text frame."""
        try:
            value = orjson.loads(text)
        except ValueError:
            value = MISSING
        frame: Frame = self.add(Frame, connection=connection, direction=direction, text=text, value=value)
        if direction == "to_client":
            self._unpack(frame)
        return frame

    def _unpack(self, outer: Frame) -> None:
        """The messages inside a BATCH, right after it and at the same time."""
        for message in reading.batched(outer.value):
            text = orjson.dumps(message).decode()
            seq = len(self._events)
            inner = replace(outer, seq=seq, text=text, value=message, batch=outer.seq)
            self._events.append(inner)
            self._unpack(inner)

    def socket(self, role: str, user: str = "alice", **fields: Any) -> Socket:
        """A socket, opened and silent."""
        name = f"{role}-{next(self._names)}"
        right = {"connection": name, "user": user, "credential": VALID, "channel": role, "role": role, "status": 101}
        self.add(Opened, **(right | fields))
        return Socket(self, name)

    def agent(self, agent_id: str = "a1", user: str = "alice", **announce: Any) -> Socket:
        """An agent that has connected."""
        socket = self.socket("agent", user)
        socket.agent_id = agent_id
        right = {
            "agentId": agent_id,
            "name": "Ada",
            "agentType": "CLAUDE",
            "version": "1.2.0",
            "hostMachine": "host",
            "capabilities": CAPABILITIES,
        }
        sent = socket.sends("AGENT_CONNECT", _changed(right, announce))
        socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": agent_id})
        return socket

    def dashboard(self, *items: dict[str, Any], user: str = "alice") -> Socket:
        """A dashboard that has been sent its snapshot of these items."""
        socket = self.socket("dashboard", user)
        socket.sends("DASHBOARD_INIT", {"dashboardId": "d1"})
        socket.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": self.now})
        socket.snapshot(*items)
        return socket

    def says_too_late_what_it_is(self) -> None:
        """A dashboard that says what it is when the time for that is over, and is sent away (WSA-3)."""
        socket = self.socket("dashboard")
        self.wait(self.terms.init_timeout)
        socket.sends("DASHBOARD_INIT", {})
        socket.gets("ERROR", {"code": "AUTH_TIMEOUT", "message": "Too late", "recoverable": False})
        socket.closes(by="backend", code=4001)

    def rest(self, method: str, path: str, status: int = 200, body: Any = MISSING, **fields: Any) -> Exchange:
        """A REST exchange with this answer."""
        text = "" if body is MISSING else orjson.dumps(body).decode()
        self._at += 0.01
        exchange = Exchange(
            **{
                "seq": len(self._events),
                "at": self._at,
                "ended": self._at + 0.005,
                "user": "alice",
                "credential": VALID,
                "method": method,
                "path": path,
                "operation": self.contract.operation(method, path),
                "status": status,
                "headers": {"content-type": "application/json"},
                "text": text,
                "value": body,
            }
            | fields
        )
        self._events.append(exchange)
        return exchange

    def lists(self, *rows: dict[str, Any], total: int | None = None, **fields: Any) -> Exchange:
        """GET /agents answered with these rows."""
        page = {"total": len(rows) if total is None else total, "limit": 50, "offset": 0}
        return self.rest("GET", "/agents", 200, {"success": True, "data": list(rows), "pagination": page}, **fields)

    def shows(self, one: dict[str, Any], **fields: Any) -> Exchange:
        """GET /agents/{agentId} answered with this row."""
        agent_id = one.get("agent_id", one.get("id", "a1"))
        return self.rest("GET", f"/agents/{agent_id}", 200, {"success": True, "data": one}, **fields)

    def fails(self, method: str, path: str, status: int, error: Any = "No", **fields: Any) -> Exchange:
        """A request refused with the failure body."""
        return self.rest(method, path, status, {"success": False, "error": error, "code": "REFUSED"}, **fields)

    def note(self, kind: str, **data: Any) -> Note:
        """Something the tester noted."""
        return self.add(Note, kind=kind, data=data)  # type: ignore[no-any-return]

    def timeline(self) -> Timeline:
        """The finished timeline."""
        return Timeline(
            self._events, contract=self.contract, terms=self.terms, epoch=EPOCH, case=self.case, end=self._at
        )
