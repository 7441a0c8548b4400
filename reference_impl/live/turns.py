"""The ordering point: one thing at a time per user (DSH-4, STA-5, CNS-2).

A change to a user's agents is committed and announced within one turn; a snapshot is read and
its dashboard joined within one turn. So an event is either in the snapshot or after it, never
both, never neither.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager


class Turns(Protocol):
    """The ordering point."""

    def of(self, user_id: str) -> AbstractAsyncContextManager[None]:
        """Take a turn; first come, first served."""


class LocalTurns:
    """Those of one node: a lock per user, kept only while somebody needs it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, user_id: str) -> AsyncIterator[None]:
        """Take a turn; first come, first served."""
        lock, waiting = self._locks.get(user_id, (None, 0))
        lock = lock or asyncio.Lock()
        self._locks[user_id] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks[user_id]
            if waiting == 1:
                del self._locks[user_id]
            else:
                self._locks[user_id] = (lock, waiting - 1)
