# ruff: noqa: INP001 -- a directory of scripts, not a package
"""One socket of the second backend: its queue, its timers, and what its dashboard asked to hear."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from conformance.tests.backends.second_pace import Inflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp import web

    from conformance.tests.backends import tokens
    from conformance.tests.backends.second_agents import Agent
    from conformance.tests.backends.second_messages import Message, RefusedError

Json = dict[str, Any]
FASTEST = {"agent": 100, "dashboard": 50}  # WSX-6
WAITING = 20_000  # TRM-5: messages queued for one slow socket


def milliseconds() -> int:
    """Now, as UNIT-1 wants it."""
    return time.time_ns() // 1_000_000


class Subscriptions:
    """SUB-1 to SUB-5 for what there is here: agents; the rest is only remembered."""

    def __init__(self, asked: Json, known: Callable[[], Iterable[str]]) -> None:
        self._known = known
        self.agents = _wanted(asked.get("agents"), set(known()))
        self.commands = _wanted(asked.get("commands"), set())
        self.terminals = asked.get("terminals", True)
        self.traces = asked.get("traces", True)

    def wants(self, agent: Agent) -> bool:
        """SUB-2."""
        return self.agents is None or agent.id in self.agents

    def change(self, payload: Json, *, add: bool) -> bool:
        """SUB-3; False for an unknown id (SUB-4)."""
        kind = payload["type"]
        if kind in ("terminal", "trace"):
            setattr(self, f"{kind}s", add)
            return True
        if payload.get("all"):
            setattr(self, f"{kind}s", None if add else set())
            return True
        return kind == "agent" and self._change_agent(payload["id"], add=add)

    def _change_agent(self, agent_id: str, *, add: bool) -> bool:
        known = set(self._known())
        if agent_id not in known:
            return False
        if self.agents is None:
            self.agents = None if add else known - {agent_id}  # SUB-5
        else:
            self.agents = self.agents | {agent_id} if add else self.agents - {agent_id}
        return True

    def for_ack(self) -> Json:
        """SUB-3: what is in force now."""
        return {
            "traces": self.traces,
            "terminals": self.terminals,
            "commands": "all" if self.commands is None else sorted(self.commands),
            "agents": "all" if self.agents is None else sorted(self.agents),
        }


def _wanted(asked: object, known: set[str]) -> set[str] | None:
    """None is everything; ids that mean nothing here are not kept."""
    return known.intersection(asked) if isinstance(asked, list) else None


class Connection:
    """One socket; everything leaves through its queue, so order is the order of `send`."""

    def __init__(self, socket: web.WebSocketResponse, claims: tokens.Claims, endpoint: str | None) -> None:
        self.socket = socket
        self.abort: Callable[[], None] = lambda: None
        self.user = claims.user
        self.endpoint = endpoint
        self.role: str | None = None
        self.agent: Agent | None = None
        self.subscriptions: Subscriptions | None = None
        self.inflow = Inflow(FASTEST["dashboard"] if endpoint == "dashboard" else FASTEST["agent"])
        self.closing = False
        self._out: asyncio.Queue[str | int] = asyncio.Queue()
        self._said = 0
        self._stamp = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def send(self, kind: str, payload: Json) -> None:
        """WSE-1, WSE-2, WSE-3: all four fields, a new id, a time that never goes back."""
        if self.closing:
            return
        self._said += 1
        self._stamp = max(self._stamp, milliseconds())
        envelope = {"payload": payload, "node": "second", "timestamp": self._stamp, "id": str(self._said), "type": kind}
        self._out.put_nowait(json.dumps(envelope))
        if self._out.qsize() > WAITING:
            self._cut()

    def ack(self, message: Message, **more: object) -> None:
        """ACK-1; the answer to a message without an id names none."""
        self.send("ACK", {"receivedAt": milliseconds(), "success": True, **more, "messageId": message.id})

    def refuse(self, refusal: RefusedError, original: str | None) -> None:
        """WSX-7, and the close code that goes with it."""
        payload: Json = {"recoverable": refusal.closes is None, "code": refusal.code, "message": str(refusal)}
        if original is not None:
            payload["originalMessageId"] = original
        if refusal.code == "RATE_LIMIT":
            payload["details"] = {"retryAfter": 1}
        self.send("ERROR", payload)
        if refusal.closes is not None:
            self.close(refusal.closes)

    def close(self, code: int) -> None:
        """Say no more after what is already queued."""
        if not self.closing:
            self.closing = True
            self._out.put_nowait(code)

    def _cut(self) -> None:
        """TRM-5: a socket that does not read is given two seconds to take its 1008."""
        while not self._out.empty():
            self._out.get_nowait()
        self.close(1008)
        asyncio.get_running_loop().call_later(2, self.abort)

    def after(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        """Set (or set anew) a timer."""
        self.forget(name)
        self._timers[name] = asyncio.get_running_loop().call_later(max(seconds, 0), action)

    def forget(self, *names: str) -> None:
        """Stop these timers, or all."""
        for name in names or tuple(self._timers):
            if timer := self._timers.pop(name, None):
                timer.cancel()

    async def write(self) -> None:
        """Bring the queue to the wire until a close code comes out of it."""
        while isinstance(item := await self._out.get(), str):
            with contextlib.suppress(ConnectionError):
                await self.socket.send_str(item)
        await self.socket.close(code=item)
