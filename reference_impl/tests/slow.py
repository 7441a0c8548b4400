"""A dashboard that stops reading, on a bare socket: no library reads ahead for it."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import orjson

from reference_impl.tests.harness import WAIT_S, signed

if TYPE_CHECKING:
    from reference_impl.tests.harness import World


class Sleeper:
    """Says DASHBOARD_INIT, then reads nothing until it is asked how it ended."""

    def __init__(self, bare: socket.socket) -> None:
        self._bare = bare

    @classmethod
    async def of(cls, world: World, user: str = "alice") -> Sleeper:
        """Connect, and read until the server tells it what happens."""
        loop, at = asyncio.get_running_loop(), urlsplit(world.url)
        bare = socket.socket()
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        bare.setblocking(False)
        await loop.sock_connect(bare, (at.hostname, at.port))
        key = base64.b64encode(os.urandom(16)).decode()
        asked = (
            f"GET /ws/dashboard?token={quote(signed(user))} HTTP/1.1\r\nHost: {at.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await loop.sock_sendall(bare, asked.encode())
        await _head(bare)
        await loop.sock_sendall(bare, _frame({"type": "DASHBOARD_INIT", "payload": {}}))
        await _until(bare, b"dashboard:connected")
        return cls(bare)

    async def ended(self) -> int | None:
        """Read to the end at last; the close code, if a close frame came."""
        loop, code = asyncio.get_running_loop(), None
        waiting = b""
        try:
            while part := await asyncio.wait_for(loop.sock_recv(self._bare, 1 << 20), WAIT_S):
                waiting += part
                while (frame := _parse(waiting)) is not None:
                    opcode, payload, waiting = frame
                    if opcode == 8:
                        (code,) = struct.unpack("!H", payload[:2])
        except ConnectionError:
            pass
        self._bare.close()
        return code

    def drop(self) -> None:
        """Leave without a word."""
        self._bare.close()


async def _head(bare: socket.socket) -> None:
    heard = b""
    while not heard.endswith(b"\r\n\r\n"):
        heard += await _byte(bare)


async def _until(bare: socket.socket, mark: bytes) -> None:
    """Read frame by frame, and no byte further than the one with the mark."""
    heard, payload = b"", b""
    while mark not in payload:
        heard += await _byte(bare)
        if (frame := _parse(heard)) is not None:
            _opcode, payload, heard = frame


async def _byte(bare: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(bare, 1), WAIT_S)


def _frame(message: object) -> bytes:
    text, mask = orjson.dumps(message), os.urandom(4)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
    return bytes([0x81, 0x80 | len(text)]) + mask + masked


def _parse(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The first frame of what came, and the rest; None if it is not whole yet. Servers do not mask."""
    if len(data) < 2:
        return None
    length, at = data[1] & 0x7F, 2
    if length >= 126:
        wide = 2 if length == 126 else 8
        length, at = int.from_bytes(data[2 : 2 + wide], "big"), 2 + wide
    if len(data) < at + length:
        return None
    return data[0] & 0x0F, data[at : at + length], data[at + length :]
