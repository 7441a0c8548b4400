# ruff: noqa: INP001 -- a directory of scripts, not a package
"""The second backend's two brakes: on what clients send (WSX-6) and on what heartbeats cause (STA-6)."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Verdict(Enum):
    """What becomes of one more message."""

    SERVE = auto()
    DROP = auto()
    DROP_AND_TELL = auto()
    CUT = auto()


class Inflow:
    """WSX-6: the first crowded second is served whole, the later ones only up to the limit; the tenth is the last."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._second = 0
        self._count = 0
        self._crowded = 0
        self._told = False

    def one_more(self, clock: float) -> Verdict:
        """Count a message that arrived at this time of a monotonic clock."""
        if int(clock) != self._second:
            self._turn(int(clock))
        self._count += 1
        if self._count <= self.limit or self._crowded == 0:
            return Verdict.SERVE
        if self._crowded >= 9:
            return Verdict.CUT
        told, self._told = self._told, True
        return Verdict.DROP if told else Verdict.DROP_AND_TELL

    def _turn(self, second: int) -> None:
        follows = second == self._second + 1 and self._count > self.limit
        self._crowded = self._crowded + 1 if follows else 0
        self._second, self._count, self._told = second, 0, False


class Outflow:
    """STA-6: ten a second go out as they come; beyond that only the latest, every 450 ms."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._sent: deque[float] = deque(maxlen=10)
        self._later: asyncio.TimerHandle | None = None

    def now(self) -> None:
        """Send at once whatever the pace: the status changed, and the latest metrics go with it."""
        if self._later:
            self._later.cancel()
            self._later = None
        self._sent.append(asyncio.get_running_loop().time())
        self._send()

    def soon(self) -> None:
        """Send at once, or within 450 ms if there were ten in the last second."""
        loop = asyncio.get_running_loop()
        if self._later:
            return
        if len(self._sent) < 10 or loop.time() - self._sent[0] > 1:
            self.now()
        else:
            self._later = loop.call_later(0.45, self.now)

    def flush(self) -> None:
        """Send what is still waiting."""
        if self._later:
            self.now()

    def drop(self) -> None:
        """Forget what is still waiting."""
        if self._later:
            self._later.cancel()
            self._later = None
