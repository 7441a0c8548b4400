#!/usr/bin/env python
"""Servers that are no backend at all; each must end a run in a red verdict that names the cause."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from conformance.tests.backends import serving, tokens

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
    Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MIB = 2**20
USERS = frozenset({"alice", "bob"})
PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1><p>nginx</p></body></html>"
TLS_ALERT = bytes.fromhex("15030100020246")  # fatal, protocol_version


# --- what a kind is made of: REST answers


def _json(status: int, body: object, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, headers=named)


def _failure(status: int, sentence: str, **headers: str) -> web.Response:
    return _json(status, {"success": False, "error": sentence, "code": "DEGENERATE"}, **headers)


async def rightish(request: web.Request) -> web.StreamResponse:
    """A right backend without a single agent, for kinds whose fault is elsewhere."""
    if request.path.rsplit("/", 1)[-1] in ("health", "ready"):
        return _json(200, {"status": "ok"})
    token = tokens.from_header(request.headers.get("Authorization")) or request.query.get("token")
    try:
        tokens.check(token, USERS)
    except tokens.BadTokenError:
        return _failure(401, "A valid token is needed.", WWW_Authenticate="Bearer")
    if request.path.endswith("/agents"):
        return _json(200, {"success": True, "data": [], "pagination": {"total": 0, "limit": 50, "offset": 0}})
    return _failure(404, "Agent not found")


async def forbid(_request: web.Request) -> web.StreamResponse:
    """403 to everything."""
    return _failure(403, "Forbidden.")


async def succeed(_request: web.Request) -> web.StreamResponse:
    """Success, whatever was asked."""
    return _json(200, {"success": True, "data": {}})


async def nothing(_request: web.Request) -> web.StreamResponse:
    """An empty object."""
    return _json(200, {})


async def say_back(request: web.Request) -> web.StreamResponse:
    """What was sent."""
    body = await request.read()
    return web.Response(body=body or b"{}", content_type=request.content_type if body else "application/json")


async def late(request: web.Request) -> web.StreamResponse:
    """Right, five seconds later."""
    await asyncio.sleep(5)
    return await rightish(request)


async def endless(request: web.Request) -> web.StreamResponse:
    """A list that never ends."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b'{"success": true, "data": [')
    while True:
        await response.write(b'{"agent_id": "again"},' * 500)
        await asyncio.sleep(0.002)


async def no_utf8(_request: web.Request) -> web.StreamResponse:
    """JSON in nobody's encoding."""
    body = b'{"success": true, "data": [{"name": "\xff\xfe\xc3("}]}'
    return web.Response(body=body, headers={"Content-Type": "application/json"})


async def bomb(request: web.Request) -> web.StreamResponse:
    """Four GiB of JSON whitespace in four MiB of gzip, whether it was asked for or not."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    async for part in _inflating():
        await response.write(part)
    return response


async def _inflating() -> AsyncIterator[bytes]:
    """One gzip member: header, one start, one block of 16 MiB again and again, a trailer that nobody lives to check."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
    yield packer.compress(b'{"success": true, "data": [') + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * 16 * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(256):
        yield block
        await asyncio.sleep(0)
    yield packer.compress(b"]}") + packer.flush() + struct.pack("<II", 0, 0)


async def elsewhere(request: web.Request) -> web.StreamResponse:
    """From one address to the other, and back."""
    away = "/b" if request.path.endswith("/a") else "/a"
    return web.Response(status=302, headers={"Location": away})


async def error_page(_request: web.Request) -> web.StreamResponse:
    """What a gateway says when there is nothing behind it."""
    return web.Response(status=502, text=PAGE.format("502 Bad Gateway"), content_type="text/html")


async def web_page(_request: web.Request) -> web.StreamResponse:
    """A website where a backend should be."""
    return web.Response(text=PAGE.format("Welcome"), content_type="text/html")


async def unknown_token(request: web.Request) -> web.StreamResponse:
    """Right, except that no token is ever good."""
    if request.path.rsplit("/", 1)[-1] in ("health", "ready"):
        return await rightish(request)
    return _failure(401, "Unknown token.", WWW_Authenticate="Bearer")


# --- and sockets


async def silent(socket: web.WebSocketResponse) -> None:
    """Listen, say nothing."""
    async for _ in socket:
        pass


async def echo(socket: web.WebSocketResponse) -> None:
    """Say what was said."""
    async for frame in socket:
        if frame.type is WSMsgType.TEXT:
            await socket.send_str(frame.data)


async def agree(socket: web.WebSocketResponse) -> None:
    """ACK to everything."""
    count = 0
    async for frame in socket:
        count += 1
        await socket.send_str(json.dumps(_ack(frame.data, count)))


def _ack(text: Any, count: int) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        message = None
    original = message.get("id") if isinstance(message, dict) else None
    now = int(asyncio.get_running_loop().time() * 1000)
    return {"type": "ACK", "id": f"ack-{count}", "timestamp": now, "payload": {"messageId": original, "success": True}}


async def agree_late(socket: web.WebSocketResponse) -> None:
    """ACK, five seconds later each."""
    count = 0
    async for frame in socket:
        count += 1
        await asyncio.sleep(5)
        await socket.send_str(json.dumps(_ack(frame.data, count)))


async def shout(socket: web.WebSocketResponse) -> None:
    """64 MiB in one frame, at once."""
    await _raw(socket, WSMsgType.TEXT, b"a" * 64 * MIB)
    await silent(socket)


async def shout_back(socket: web.WebSocketResponse) -> None:
    """64 MiB in one frame, as the answer to the first message."""
    await socket.receive()
    await shout(socket)


async def mumble(socket: web.WebSocketResponse) -> None:
    """Text that is no UTF-8, to each message."""
    async for _ in socket:
        await _raw(socket, WSMsgType.TEXT, b'{"type": "ACK\xff\xfe\xc3(", "id": "1", "timestamp": 1, "payload": {}}')


async def _raw(socket: web.WebSocketResponse, kind: WSMsgType, data: bytes) -> None:
    assert socket._writer is not None
    await socket._writer.send_frame(data, kind)


# --- below HTTP


async def slam(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, close."""
    writer.close()


async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a TLS server does that was spoken to in the clear."""
    await reader.read(1024)
    writer.write(TLS_ALERT)
    writer.close()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, read, never answer."""
    while await reader.read(65536):
        pass
    writer.close()


# --- kinds: what REST answers, what an opened socket does (None: the REST answer refuses the upgrade)

KINDS: dict[str, tuple[Answer, Talk | None]] = {
    "reject-all": (forbid, None),
    "accept-all": (succeed, agree),
    "empty-object": (nothing, None),
    "echo": (say_back, echo),
    "silent-socket": (rightish, silent),
    "slow": (late, agree_late),
    "endless-body": (endless, None),
    "huge-frame": (rightish, shout),
    "huge-answer": (rightish, shout_back),
    "invalid-utf8": (no_utf8, mumble),
    "deflate-bomb": (bomb, silent),
    "redirect-loop": (elsewhere, None),
    "html-errors": (error_page, None),
    "web-page": (web_page, None),
    "refuses-token": (unknown_token, None),
}
RAW: dict[str, Peer] = {"close-at-once": slam, "tls-on-plain": alert, "hang": hang}


def application(answer: Answer, talk: Talk | None, wait: float) -> web.Application:
    """One handler for every method and path."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if talk is None or request.headers.get("Upgrade", "").lower() != "websocket":
            return await answer(request)
        await asyncio.sleep(wait)
        socket = web.WebSocketResponse(compress=False, timeout=0.5)
        await socket.prepare(request)
        await talk(socket)
        return socket

    app = web.Application(client_max_size=64 * MIB)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


def start_raw(peer: Peer) -> serving.Start:
    """How a TCP server is started on a bound socket."""

    async def start(listener: socket.socket) -> serving.Stop:
        await asyncio.start_server(peer, sock=listener)

        async def stop() -> None:
            os._exit(0)  # open connections hang on purpose; nothing here is worth a farewell

        return stop

    return start


def main() -> None:
    """Start the kind asked for."""
    parser = serving.parser(__doc__ or "")
    parser.add_argument("--kind", required=True, choices=sorted({*KINDS, *RAW}))
    chosen = parser.parse_args()
    kind: str = chosen.kind
    if kind in RAW:
        start = start_raw(RAW[kind])
    else:
        start = serving.start_app(application(*KINDS[kind], wait=5 if kind == "slow" else 0))
    serving.serve(chosen, start, {"backend": "degenerate", "kind": kind})


if __name__ == "__main__":
    main()
