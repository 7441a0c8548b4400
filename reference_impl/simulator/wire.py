"""A client's socket: what is asked waits for its own answer, what is told goes to whoever listens."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
import websockets

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWER_S = 10.0


class Wire:
    """One open socket."""

    def __init__(self, socket: websockets.ClientConnection, told: Callable[[dict[str, Any]], None]) -> None:
        self._socket = socket
        self._told = told
        self._ids = itertools.count(1)
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.reading = asyncio.create_task(self._read())
        """Done when the socket has ended."""

    @classmethod
    async def open(cls, url: str, token: str, told: Callable[[dict[str, Any]], None]) -> Wire:
        """Connect; `told` gets every message that answers nothing that was asked."""
        headers = {"Authorization": f"Bearer {token}"}
        return cls(await websockets.connect(url, additional_headers=headers, compression=None), told)

    async def ask(self, kind: str, payload: Any, answer: str = "ACK") -> dict[str, Any]:
        """Say something and wait for its answer: an ACK or ERROR that names it, or the next of the type given.

        Raises:
            TimeoutError: no answer came.
            websockets.ConnectionClosed: the socket has ended.
        """
        key = str(next(self._ids))
        waits = answer if answer != "ACK" else key
        self._asked[waits] = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            await self._say(kind, payload, key)
            async with asyncio.timeout(_ANSWER_S):  # wait_for, in Python 3.11, may lose a cancellation
                return await self._asked[key]
        finally:
            self._asked.pop(waits, None)
            self._asked.pop(key, None)

    async def _read(self) -> None:
        try:
            with suppress(websockets.ConnectionClosed):
                async for text in self._socket:
                    message = orjson.loads(text)
                    if message["type"] == "PING":
                        await self._say("PONG", message["payload"])
                    else:
                        self._take(message)
        finally:
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(ConnectionError("The socket has ended"))

    async def _say(self, kind: str, payload: Any, key: str | None = None) -> None:
        said = {"type": kind, "id": key or str(next(self._ids)), "payload": payload}
        await self._socket.send(orjson.dumps(said).decode())

    def _take(self, message: dict[str, Any]) -> None:
        payload = message["payload"]
        asked = self._asked.get(payload.get("messageId") or payload.get("originalMessageId") or message["type"])
        if asked is None:
            self._told(message)
        elif not asked.done():
            asked.set_result(message)

    async def close(self, *, cleanly: bool = True) -> None:
        """End it, cleanly or not."""
        if cleanly:
            await self._socket.close()
        else:
            self._socket.transport.abort()
        self.reading.cancel()
        with suppress(asyncio.CancelledError):
            await self.reading
