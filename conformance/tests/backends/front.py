#!/usr/bin/env python
"""A reverse proxy that turns a right backend into one that is right in another way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, WSMsgType, WSServerHandshakeError, web
from yarl import URL

from conformance.tests.backends import serving
from conformance.tests.backends.front_rewrite import Rewrite

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from aiohttp import ClientWebSocketResponse, WSMessage

Json = dict[str, Any]
Item = tuple[float, WSMsgType, str | bytes | int]

HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "host", "content-length", "content-encoding", "accept-encoding", "date", "server"}
)
SOCKET_HEADERS = ("authorization", "origin", "x-api-version", "cookie")
EVENTS = frozenset({"AGENT_STATUS", "AGENT_DISCONNECT", "AGENT_ERROR", "QUEUE_UPDATE"})
REFUSALS = (4001, 4002)
REPLACED = 4008
BUSY_S = 1.6
HELD = 2_000  # messages on their way to one slow client; beyond it the backend feels the pressure (TRM-5)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = serving.parser(__doc__ or "")
    parser.add_argument("--upstream", required=True, help="the right backend's URL")
    parser.add_argument("--delay-ms", type=float, default=60, help="how much later everything comes")
    parser.add_argument("--auth-wait-ms", type=float, default=150, help="how long a new token's socket may be refused")
    parser.add_argument("--busy-at", type=int, default=0, help="sockets open at which everything comes 1.6 s late")
    parser.add_argument("--serve-late", action="store_true", help="what comes late on a replaced one counts (CON-4)")
    parser.add_argument("--keep-ids", action="store_true", help="do not rewrite agent ids")
    parser.add_argument("--keep-should", action="store_true", help="do not strip SHOULD fields")
    parser.add_argument("--strip-activity", action="store_true", help="strip activityState too (breaks CMD-10)")
    return parser.parse_args(arguments)


class Front:
    """Both halves of the proxy."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.upstream = str(chosen.upstream).rstrip("/")
        self.usual = chosen.delay_ms / 1000
        self.busy_at = chosen.busy_at or math.inf
        self.open = 0
        self.serve_late: bool = chosen.serve_late
        self.speakers: dict[str, Link] = {}
        """Agent → the newest socket on which it announced itself."""
        self.wait = chosen.auth_wait_ms / 1000
        self.keep_should: bool = chosen.keep_should
        self.rewrite = Rewrite(chosen.keep_ids, chosen.keep_should, chosen.strip_activity)
        self.welcome: set[str] = set()
        self._session: ClientSession | None = None

    @property
    def delay(self) -> float:
        """Seconds that something coming now takes longer."""
        return BUSY_S if self.open >= self.busy_at else self.usual

    @property
    def session(self) -> ClientSession:
        """One session, made inside the loop."""
        if self._session is None:
            self._session = ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=60))
        return self._session

    async def close(self, _app: web.Application) -> None:
        """Let the session go."""
        if self._session is not None:
            await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Everything that arrives."""
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._socket(request)
            return await self._rest(request)
        except ClientError as error:
            return _failure(502, f"The backend behind is not there ({type(error).__name__}).")

    # --- REST

    async def _rest(self, request: web.Request) -> web.Response:
        body = self._inward(await request.read())
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        async with self.session.request(
            request.method, self._url(request), headers=headers, data=body, allow_redirects=False
        ) as response:
            content = await response.read()
            await asyncio.sleep(self.delay)
            return self._answer(response.status, response.headers, content)

    def _url(self, request: web.Request) -> URL:
        query = request.rel_url.query
        path = self.upstream + self.rewrite.path(request.rel_url.raw_path)
        if "agentId" not in query:
            raw = request.rel_url.raw_query_string
            return URL(f"{path}?{raw}" if raw else path, encoded=True)
        mapped = [(name, self.rewrite.inward(each) if name == "agentId" else each) for name, each in query.items()]
        return URL(path, encoded=True).with_query(mapped)

    def _inward(self, body: bytes) -> bytes | None:
        parsed = _parsed(body)
        mapped = self.rewrite.request_body(parsed)
        return (body or None) if mapped == parsed else json.dumps(mapped).encode()

    def _answer(self, status: int, given: Mapping[str, str], content: bytes) -> web.Response:
        headers = {name: value for name, value in given.items() if name.lower() not in HOP}
        if not self.keep_should:
            headers = {name: value for name, value in headers.items() if name.lower() != "x-request-id"}
        parsed = _parsed(content)
        if parsed is not None and "json" in given.get("Content-Type", ""):
            content = json.dumps(self.rewrite.response_body(parsed)).encode()
        return web.Response(status=status, headers=headers, body=content or None)

    # --- sockets

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        url = self.upstream + request.rel_url.raw_path_qs
        headers = {name: request.headers[name] for name in SOCKET_HEADERS if name in request.headers}
        try:
            upstream = await self.session.ws_connect(
                URL(url, encoded=True), headers=headers, max_msg_size=0, autoclose=False
            )
        except WSServerHandshakeError as error:
            return _failure(error.status, "Refused.")
        link = Link(self, upstream)
        token = request.headers.get("Authorization", request.query.get("token", ""))
        if token not in self.welcome:
            if await link.refused(self.wait):
                await link.end()
                return _failure(401, "A valid token is needed.")
            self.welcome.add(token)
        client = web.WebSocketResponse(max_msg_size=0, compress=False, autoclose=False, timeout=2)
        await client.prepare(request)
        await link.run(client)
        return client


def _failure(status: int, sentence: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.json_response({"success": False, "error": sentence}, status=status, headers=headers)


def _parsed(body: str | bytes) -> Any:
    """The JSON in it, or None."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(body)
    return None


class Link:
    """One client's socket and the backend's; what comes from the backend is delayed in a queue that keeps order."""

    def __init__(self, front: Front, upstream: ClientWebSocketResponse) -> None:
        self.front = front
        self.upstream = upstream
        self._queue: asyncio.Queue[Item] = asyncio.Queue(HELD)
        self._first = asyncio.Event()
        self._next: Item | None = None
        self._turn = 0
        self._agent = ""
        self._reader = asyncio.create_task(self._read())

    async def refused(self, within: float) -> bool:
        """WSA-1: does the backend refuse the token as soon as the socket is open?"""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), within)
            if not self._reader.done():  # an ERROR first, and the close behind it
                await asyncio.wait({self._reader}, timeout=within)
        return self.upstream.close_code in REFUSALS

    async def run(self, client: web.WebSocketResponse) -> None:
        """Both directions, until one side ends; then the other ends likewise."""
        writer = asyncio.create_task(self._write(client))
        self.front.open += 1
        try:
            while (frame := await client.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await self._pass_on(frame)
        except ConnectionError:
            pass
        finally:
            self.front.open -= 1
        if writer.done() or self._reader.done():  # the backend ended it; what it said before is still on its way
            await asyncio.wait({writer}, timeout=5)
        writer.cancel()
        await self._end_upstream(client.close_code)
        await client.close(code=_sendable(client.close_code))

    async def end(self) -> None:
        """Let go of the backend."""
        self._reader.cancel()
        await self.upstream.close()

    async def _read(self) -> None:
        """From the backend into the queue."""
        loop = asyncio.get_running_loop()
        while (frame := await self.upstream.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            await self._queue.put((loop.time() + self.front.delay, frame.type, frame.data))
            self._first.set()
        self._first.set()
        code = self.upstream.close_code or 1006
        await self._queue.put((loop.time() + self.front.delay, WSMsgType.CLOSE, code))

    async def _write(self, client: web.WebSocketResponse) -> None:
        """From the queue to the client, each when it is due."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while True:
                due, kind, data = self._next or await self._queue.get()
                self._next = None
                await asyncio.sleep(due - loop.time())
                if kind is WSMsgType.CLOSE:
                    await self._end_client(client, int(data))
                    return
                await self._say(client, data)

    async def _say(self, client: web.WebSocketResponse, data: str | bytes | int) -> None:
        if not isinstance(data, str):
            await client.send_bytes(data if isinstance(data, bytes) else b"")
            return
        for text in self._rewritten(self._maybe_swapped(data)):
            await client.send_str(text)

    def _maybe_swapped(self, text: str) -> list[str]:
        """Every second pair of neighbouring events about different agents changes places (STA-5 orders one agent's)."""
        first = _parsed(text)
        if not _is_event(first) or self._queue.empty():
            return [text]
        self._next = self._queue.get_nowait()
        second: Any = _parsed(self._next[2]) if isinstance(self._next[2], str) else None
        if not _is_event(second) or first["payload"]["agentId"] == second["payload"]["agentId"]:
            return [text]
        self._turn += 1
        if self._turn % 2:
            return [text]
        self._next = None
        first["timestamp"], second["timestamp"] = second["timestamp"], first["timestamp"]  # WSE-3
        return [json.dumps(second), json.dumps(first)]

    def _rewritten(self, texts: list[str]) -> list[str]:
        return [said for text in texts if (said := self._one(text)) is not None]

    def _one(self, text: str) -> str | None:
        message = _parsed(text)
        if not (isinstance(message, dict) and isinstance(message.get("payload"), dict) and "type" in message):
            return text
        changed = self.front.rewrite.server_message(message)
        return None if changed is None else json.dumps(changed)

    async def _pass_on(self, frame: WSMessage) -> None:
        """To the backend: to the letter, unless an agent id in it changes."""
        if frame.type is WSMsgType.BINARY:
            await self.upstream.send_bytes(frame.data)
            return
        message = _parsed(frame.data)
        mapped = self.front.rewrite.client_message(message)
        speaker = self._speaker(mapped)
        await speaker.upstream.send_str(frame.data if mapped == message else json.dumps(mapped))

    def _speaker(self, message: Any) -> Link:
        """On whose line it goes: one's own, but for what comes late on one that was replaced, where that is served."""
        if isinstance(message, dict) and message.get("type") == "AGENT_CONNECT":
            self._agent = str(message.get("payload", {}).get("agentId"))
            self.front.speakers[self._agent] = self
        late = self.front.serve_late and self._reader.done()
        return self.front.speakers.get(self._agent, self) if late else self

    async def _end_client(self, client: web.WebSocketResponse, code: int) -> None:
        if code == REPLACED and self.front.serve_late and client._writer is not None:
            await client._writer.close(code)  # it goes on reading
        elif code == 1006 and client._req is not None and client._req.transport is not None:
            client._req.transport.abort()
        else:
            await client.close(code=code)

    async def _end_upstream(self, code: int | None) -> None:
        """A client that left without a word leaves the backend without a word, too."""
        if code in (None, 1006) and (connection := self.upstream._response.connection) and connection.transport:
            connection.transport.abort()
        else:
            await self.upstream.close(code=_sendable(code))
        self._reader.cancel()


def _is_event(message: Any) -> bool:
    return isinstance(message, dict) and message.get("type") in EVENTS


def _sendable(code: int | None) -> int:
    """1005 and 1006 exist only where nothing was sent."""
    return 1000 if code in (None, 1005, 1006) else code or 1000


def application(chosen: argparse.Namespace) -> web.Application:
    """Wire everything."""
    front = Front(chosen)
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", front.handle)
    app.on_cleanup.append(front.close)
    return app


if __name__ == "__main__":
    asked = options()
    serving.serve(asked, serving.start_app(application(asked)), {"backend": "front", "upstream": asked.upstream})
