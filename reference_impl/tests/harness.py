"""A real server on a free port, and clients that speak to it."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import jwt
import orjson
import websockets

from reference_impl.app import BASE, create_app, make_parts
from reference_impl.auth.claims import PROVISION
from reference_impl.server import bind, make_server
from reference_impl.settings import DEVELOPMENT_SECRET, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from reference_impl.parts import Parts

Json = dict[str, Any]
WAIT_S = 5.0

FLAGS = {"maxTokens": 4096, "supportsInterrupt": True, "supportsTrace": False}
NUMBERS = {"cpuUsage": 12.5, "memoryUsage": 256, "uptime": 60, "commandsProcessed": 3}


def announcement(agent: str, **changes: object) -> Json:
    """The payload of AGENT_CONNECT."""
    said = {"agentId": agent, "agentType": "CLAUDE", "version": "1.0", "hostMachine": "box", "capabilities": FLAGS}
    return {**said, **changes}


def beat(agent: str, **changes: object) -> Json:
    """The payload of AGENT_HEARTBEAT."""
    return {"agentId": agent, "healthMetrics": {**NUMBERS, **changes}}


def signed(user: str, *, secret: str = DEVELOPMENT_SECRET, algorithm: str = "HS256", **claims: object) -> str:
    """A token; a claim that is None is left out."""
    now = int(time.time())
    said = {"sub": user, "iat": now, "exp": now + 3600, "typ": "access", PROVISION: True, **claims}
    return jwt.encode({key: value for key, value in said.items() if value is not None}, secret, algorithm=algorithm)


class Socket:
    """One client connection."""

    def __init__(self, inner: websockets.ClientConnection) -> None:
        self.inner = inner
        self._ids = itertools.count(1)

    async def say(self, kind: str, payload: object, **envelope: object) -> str:
        """Send a message and return its id."""
        said: Json = {"type": kind, "id": f"m{next(self._ids)}", "timestamp": 1, "payload": payload, **envelope}
        await self.inner.send(orjson.dumps(said).decode())
        return str(said["id"])

    async def hear(self) -> Json:
        """The next message."""
        heard: Json = orjson.loads(await asyncio.wait_for(self.inner.recv(), WAIT_S))
        return heard

    async def until(self, kind: str) -> Json:
        """The next message of a type; what comes before is skipped."""
        while (heard := await self.hear())["type"] != kind:
            pass
        return heard

    async def fence(self) -> list[Json]:
        """Everything that was sent before the answer to a PING of now."""
        mark = time.time_ns() // 1000
        await self.say("PING", {"timestamp": mark})
        heard: list[Json] = []
        while (message := await self.hear())["payload"].get("timestamp") != mark or message["type"] != "PONG":
            heard.append(message)
        return heard

    async def ask(self, kind: str, payload: object, **envelope: object) -> Json:
        """Send, and take the next message for the answer."""
        await self.say(kind, payload, **envelope)
        return await self.hear()

    async def ended(self) -> tuple[int | None, list[Json]]:
        """The close code, and what came before it."""
        heard: list[Json] = []
        try:
            while True:
                heard.append(await self.hear())
        except websockets.ConnectionClosed:
            return self.inner.close_code, heard


class World:
    """A running server."""

    def __init__(self, url: str, session: aiohttp.ClientSession, parts: Parts) -> None:
        self.url = url
        self.parts = parts
        self.session = session
        self._open: list[websockets.ClientConnection] = []

    async def rest(self, method: str, path: str, user: str | None = "alice", **options: Any) -> tuple[int, Json]:
        """One request; the status and the body."""
        response = await self.raw(method, path, user, **options)
        text = await response.read()
        return response.status, orjson.loads(text) if text else {}

    async def raw(
        self,
        method: str,
        path: str,
        user: str | None = "alice",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> aiohttp.ClientResponse:
        """One request; the response itself."""
        sent = {**({"Authorization": f"Bearer {signed(user)}"} if user else {}), **(headers or {})}
        response = await self.session.request(method, self.url + BASE + path, headers=sent, **options)
        await response.read()
        return response

    async def socket(self, path: str, user: str = "alice", query: str = "", token: str | None = None) -> Socket:
        """Open a socket."""
        where = f"{self.url.replace('http', 'ws')}{path}?token={quote(token or signed(user))}{query}"
        opened = await websockets.connect(where, max_size=None, ping_interval=None)
        self._open.append(opened)
        return Socket(opened)

    async def agent(self, agent: str, user: str = "alice", **changes: object) -> Socket:
        """An agent that has connected."""
        socket = await self.socket("/ws/agent", user)
        answer = await socket.ask("AGENT_CONNECT", announcement(agent, **changes))
        assert answer["payload"]["success"] is True, answer
        return socket

    async def dashboard(self, user: str = "alice", query: str = "", **payload: object) -> Socket:
        """A dashboard that has its snapshot."""
        socket = await self.socket("/ws/dashboard", user, query)
        await socket.say("DASHBOARD_INIT", payload)
        await socket.until("DASHBOARD_READY")
        if not query:
            await socket.until("dashboard:connected")
        return socket

    async def close(self) -> None:
        """Drop every socket that is still open, without waiting for anybody to read."""
        for opened in self._open:
            opened.transport.abort()
        await asyncio.gather(*(opened.wait_closed() for opened in self._open))


@asynccontextmanager
async def serving(
    database: str,
    *,
    wrap: Callable[[Parts], Parts] = lambda parts: parts,
    timings: Mapping[str, float] | None = None,
    **given: Any,
) -> AsyncIterator[World]:
    """Serve from a database."""
    settings = Settings(database_url=database, log_level="error", **given).with_timings(timings or {})
    parts = wrap(make_parts(settings))
    listener = bind("127.0.0.1", 0)
    started = asyncio.Event()
    server = make_server(create_app(parts), started.set)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait_for(started.wait(), WAIT_S)
    async with aiohttp.ClientSession() as session:
        world = World(f"http://127.0.0.1:{listener.getsockname()[1]}", session, parts)
        try:
            yield world
        finally:
            await world.close()
            server.stop()
            await task
