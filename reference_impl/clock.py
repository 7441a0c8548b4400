"""The clock as a port: a test may bring its own, so that no test waits for real time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer(Protocol):
    """A call that will be made later, unless it is cancelled."""

    def cancel(self) -> None:
        """Do not make the call."""


class Clock(Protocol):
    """Time as the server sees it."""

    def now_ms(self) -> int:
        """Milliseconds since 1970; never goes back (WSE-3)."""

    def monotonic(self) -> float:
        """Seconds since some moment, for measuring."""

    def call_later(self, delay: float, call: Callable[[], None]) -> Timer:
        """Call once after so many seconds."""


class SystemClock:
    """Real time; when the wall clock is set back, it stands still until that moment is reached again."""

    def __init__(self) -> None:
        self._last = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970; never goes back (WSE-3)."""
        wall = time.time_ns() // 1_000_000
        self._last = max(self._last, wall)
        return self._last

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def call_later(self, delay: float, call: Callable[[], None]) -> Timer:
        """Call once after so many seconds, on the running loop."""
        return asyncio.get_running_loop().call_later(delay, call)
