"""Running a mock fleet against any server: real sockets, real heartbeats, real work, real losses."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import websockets

from reference_impl.simulator.lives import Beat, Connect, life
from reference_impl.simulator.wire import Wire
from reference_impl.simulator.worker import Worker

if TYPE_CHECKING:
    from reference_impl.simulator.lives import Leave
    from reference_impl.simulator.tally import Tally

RETRY_S = 1.0
_STEPS_PER_BEAT = 10
"""How many steps of its work an agent takes between two heartbeats, more or less."""
TROUBLE = (OSError, TimeoutError, websockets.WebSocketException)
"""What can go wrong with a server; then one tries again a moment later."""


class MockAgent:
    """One agent of the fleet."""

    def __init__(self, url: str, token: str, tally: Tally) -> None:
        self._url = url
        self._token = token
        self._tally = tally
        self._wire: Wire | None = None
        self._working: asyncio.Task[None] | None = None
        self._id = ""

    async def live(self, seed: int, number: int, interval_s: float) -> None:
        """Do one step after another; whatever goes wrong, connect again a moment later."""
        try:
            for step in life(seed, number, interval_s):
                try:
                    await self._do(step, interval_s / _STEPS_PER_BEAT)
                except TROUBLE:
                    self._tally.failed += 1
                    await self._end(cleanly=False)
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._end(cleanly=False)

    async def _do(self, step: Connect | Beat | Leave, pace_s: float) -> None:
        if isinstance(step, Connect):
            await self._connect(step, pace_s)
        elif isinstance(step, Beat):
            await asyncio.sleep(step.wait_s)
            if self._wire is not None:
                said = {"agentId": self._id, "healthMetrics": step.numbers}
                answer = await self._wire.ask("AGENT_HEARTBEAT", said, "SERVER_HEARTBEAT")
                self._tally.refused += answer["type"] == "ERROR"
                self._tally.heartbeats += 1
        else:
            if self._wire is not None:
                self._tally.left += 1
                await self._end(cleanly=step.cleanly)
            await asyncio.sleep(step.away_s)

    async def _connect(self, step: Connect, pace_s: float) -> None:
        self._id = str(step.announcement["agentId"])
        worker = Worker(self._id, pace_s, self._tally)
        self._wire = await Wire.open(self._url, self._token, worker.told)
        self._tally.connected += 1
        answer = await self._wire.ask("AGENT_CONNECT", step.announcement)
        self._tally.refused += answer["type"] == "ERROR"
        self._working = asyncio.create_task(self._work(worker, self._wire))

    async def _work(self, worker: Worker, wire: Wire) -> None:
        try:
            await worker.work(wire)
        except TROUBLE:  # the next heartbeat meets the same, and there it is counted
            return

    async def _end(self, *, cleanly: bool) -> None:
        wire, working = self._wire, self._working
        self._wire = self._working = None
        if working is not None:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
        if wire is not None:
            self._tally.connected -= 1
            await wire.close(cleanly=cleanly)
