"""Sockets beside the timeline, which holds only notes of them: an agent that pours, a dashboard that stops reading.

What passes on them would fill a timeline, and what a dashboard that does not read was told when, nobody can say.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from conformance.rim import as_json
from conformance.timeline import VALID

if TYPE_CHECKING:
    from conformance.world.user import User
    from conformance.world.world import World

MIB = 1024 * 1024
CHUNK = 960 * 1024
"""Characters in one piece of output: with its envelope it stays below the 1 MiB that an agent may send at once."""
AT_ONCE, APART = 6, 1 / 80
"""Pieces on their way before the answer to the first is waited for; seconds between two (100 a second may come)."""
BEAT = 32
"""Pieces between heartbeats, so that it is not given up meanwhile."""
ANSWER_SECONDS = 3.0
RECEIVE_BUFFER = 64 * 1024
"""Bytes that the tester's kernel takes for a dashboard that does not read: little, so that the backend must hold it."""
QUEUE = 4
"""Frames that the library may take before it stops reading by itself."""
DRAIN_SECONDS = 8.0
IDLE_SECONDS = 0.4


class Aside:
    """One such socket."""

    def __init__(self, world: World, user: User, role: str) -> None:
        self._world = world
        self._user = user
        self._role = role
        self._socket: ClientConnection | None = None

    @property
    def _ws(self) -> ClientConnection:
        assert self._socket is not None  # noqa: S101 - opened by whoever made it
        return self._socket

    async def _open(self) -> None:
        site = self._world.site
        token = site.keyring.credential(VALID, self._user.name)
        url = site.origin(self._user.node).replace("http", "ws", 1) + site.sockets[self._role]
        with contextlib.suppress(OSError, InvalidHandshake, TimeoutError):
            self._socket = await connect(
                f"{url}?{urlencode({'token': token or ''})}",
                additional_headers=site.target.headers,
                compression=None,
                max_size=4 * MIB,
                max_queue=QUEUE,
                ping_interval=None,
                close_timeout=1.0,
                proxy=None,
            )

    async def _say(self, kind: str, payload: dict[str, Any]) -> None:
        message = {"type": kind, "id": self._world.new_id(), "timestamp": int(time.time() * 1000), "payload": payload}
        await self._ws.send(orjson.dumps(message).decode())

    async def _hears(self, *kinds: str) -> dict[str, Any]:
        """The next message of these kinds. Raises `TimeoutError` or `ConnectionClosed`."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                message = as_json(await self._ws.recv())
                if isinstance(message, dict) and message.get("type") in kinds:
                    return message

    def close(self) -> None:
        """Its end."""
        if self._socket is not None:
            self._socket.transport.abort()


class Pourer(Aside):
    """An agent that prints as much as a backend takes from it: it waits for answers, so that it overtaxes nobody."""

    id = ""
    _poured = 0

    async def connect(self) -> None:
        """Connects and announces itself."""
        await self._open()
        announced = self._world.new_id()
        able = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": False}
        hello = {"agentId": announced, "agentType": "CUSTOM", "version": "1", "hostMachine": "h", "capabilities": able}
        try:
            await self._say("AGENT_CONNECT", hello)
            answer = await self._hears("ACK", "ERROR")
        except (AssertionError, TimeoutError, ConnectionClosed):
            self._world.recorder.note("unmet", waited_for="an agent that pours", connection="a socket beside")
            return
        given = answer.get("payload", {}).get("agentId")
        self.id = given if isinstance(given, str) else announced
        self._user.made(self.id)

    async def pour(self, size: int) -> int:
        """Prints so many bytes; gives how many were taken, fewer when the backend answers no more."""
        sent = taken = 0
        with contextlib.suppress(AssertionError, TimeoutError, ConnectionClosed):
            while taken < size:
                if taken // CHUNK % BEAT == 0:
                    await self._beat()
                while sent < size and sent - taken < AT_ONCE * CHUNK:
                    await self._print()
                    await asyncio.sleep(APART)
                    sent += CHUNK
                await self._hears("ACK", "ERROR")
                taken += CHUNK
        return taken

    async def _beat(self) -> None:
        health = {"cpuUsage": 1, "memoryUsage": 1, "uptime": 1, "commandsProcessed": 0}
        await self._say("AGENT_HEARTBEAT", {"agentId": self.id, "healthMetrics": health})

    async def _print(self) -> None:
        payload = {
            "commandId": self.id,
            "agentId": self.id,
            "streamType": "STDOUT",
            "content": "poured " * (CHUNK // 7),
            "sequence": self._poured,
        }
        self._poured += 1
        await self._say("TERMINAL_OUTPUT", payload)


class SlowDashboard(Aside):
    """A dashboard that has its snapshot and then stops reading."""

    async def connect(self) -> None:
        """Connects, takes its snapshot, and reads no more."""
        await self._open()
        init: dict[str, Any] = {"dashboardId": self._world.new_id()}
        if (subject := self._world.site.keyring.subject(self._user.name)) is not None:
            init["userId"] = subject
        try:
            await self._say("DASHBOARD_INIT", init)
            await self._hears("dashboard:connected" if self._world.site.sends_snapshot else "DASHBOARD_READY")
        except (AssertionError, TimeoutError, ConnectionClosed):
            self._world.recorder.note("unmet", waited_for="a dashboard to be slow", connection="a socket beside")
            return
        raw: socket.socket = self._ws.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._ws.transport.pause_reading()
        self._world.recorder.note("slow-stopped")

    async def _drains(self) -> int:
        """Reads until nothing comes for a while; gives how much came."""
        got = 0
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    got += len(await self._ws.recv())
        return got

    async def reads_on(self, outstanding: int) -> bool:
        """Reads what there is, until a PING is answered, the end comes or time is over; says whether it was cut."""
        got, code, answered, ended = 0, None, False, False
        self._world.recorder.note("slow-reads-on")
        try:
            self._ws.transport.resume_reading()
            async with asyncio.timeout(DRAIN_SECONDS):
                got += await self._drains()
                await self._say("PING", {"timestamp": 1})  # not before: it may meet a socket that is cut
                while not answered:
                    data = await self._ws.recv()
                    got += len(data)
                    answered = len(data) < CHUNK and '"PONG"' in str(data)
        except ConnectionClosed as end:
            ended = True
            code = end.rcvd.code if end.rcvd else None
        except (AssertionError, TimeoutError, RuntimeError):
            pass
        self._world.recorder.note(
            "slow-outcome", outstanding=outstanding, received=got, ended=ended, code=code, answered=answered
        )
        return ended
