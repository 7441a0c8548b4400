"""Running a mock fleet against any server: real sockets, real heartbeats, real losses."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import websockets

from reference_impl.simulator.lives import Beat, Connect, life

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.simulator.lives import Leave

_RETRY_S = 1.0
_ANSWER_S = 10.0


@dataclass(slots=True)
class Tally:
    """What the fleet has done so far."""

    connected: int = 0
    heartbeats: int = 0
    left: int = 0
    refused: int = 0
    failed: int = 0

    def line(self) -> str:
        """One line for a person."""
        return (
            f"{self.connected} connected, {self.heartbeats} heartbeats, {self.left} left, "
            f"{self.refused} refused, {self.failed} failures"
        )


class MockAgent:
    """One agent of the fleet."""

    def __init__(self, url: str, token: str, tally: Tally) -> None:
        self._url = url
        self._token = token
        self._tally = tally
        self._socket: websockets.ClientConnection | None = None
        self._ids = itertools.count(1)
        self._id = ""

    async def live(self, seed: int, number: int, interval_s: float) -> None:
        """Do one step after another; whatever goes wrong, connect again a moment later."""
        for step in life(seed, number, interval_s):
            try:
                await self._do(step)
            except (OSError, TimeoutError, websockets.WebSocketException):
                self._tally.failed += 1
                self._gone()
                await asyncio.sleep(_RETRY_S)

    async def _do(self, step: Connect | Beat | Leave) -> None:
        if isinstance(step, Connect):
            await self._connect(step)
        elif isinstance(step, Beat):
            await asyncio.sleep(step.wait_s)
            if self._socket is not None:
                await self._say("AGENT_HEARTBEAT", {"agentId": self._id, "healthMetrics": step.numbers})
                self._tally.heartbeats += 1
        else:
            if self._socket is not None:
                await self._leave(self._socket, cleanly=step.cleanly)
            await asyncio.sleep(step.away_s)

    async def _connect(self, step: Connect) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        self._socket = await websockets.connect(self._url, additional_headers=headers, compression=None)
        self._tally.connected += 1
        await self._say("AGENT_CONNECT", step.announcement)
        self._id = str(step.announcement["agentId"])

    async def _leave(self, socket: websockets.ClientConnection, *, cleanly: bool) -> None:
        self._gone()
        self._tally.left += 1
        if cleanly:
            await socket.close()
        else:
            socket.transport.abort()

    def _gone(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._tally.connected -= 1

    async def _say(self, kind: str, payload: Any) -> None:
        if self._socket is None:
            return
        await self._socket.send(orjson.dumps({"type": kind, "id": str(next(self._ids)), "payload": payload}).decode())
        async with asyncio.timeout(_ANSWER_S):  # wait_for, in Python 3.11, may lose a cancellation
            answer = orjson.loads(await self._socket.recv())
        self._tally.refused += answer["type"] == "ERROR"


async def run_fleet(  # noqa: PLR0913 - what the command line knows
    url: str,
    token: str,
    *,
    agents: int,
    seed: int,
    interval_s: float,
    duration_s: float | None,
    progress: Callable[[Tally], None],
) -> Tally:
    """Let so many agents live for so long, or until cancelled; tell the progress once a second.

    Returns:
        What they did.
    """
    tally = Tally()
    where = url.rstrip("/").replace("http", "ws", 1) + "/ws/agent"
    lives = [
        asyncio.create_task(MockAgent(where, token, tally).live(seed, number, interval_s)) for number in range(agents)
    ]
    told = asyncio.create_task(_tell(tally, progress))
    try:
        await asyncio.wait(lives, timeout=duration_s)
    finally:
        for task in (told, *lives):
            task.cancel()
        for task in (told, *lives):
            with suppress(asyncio.CancelledError):
                await task
    return tally


async def _tell(tally: Tally, progress: Callable[[Tally], None]) -> None:
    while True:
        await asyncio.sleep(1)
        progress(tally)
