"""Writes in SQLite: each transaction is done by one thread as a whole.

An asynchronous driver hands every statement, and several calls around it, to a thread and back,
and each time the event loop and the thread wait for each other. Here a transaction is handed over
once. The thread is always the same, since SQLite has one writer.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from reference_impl.store.group_commit import GroupCommit
from reference_impl.store.plain import plain_connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from sqlalchemy import Connection, CursorResult, Executable

    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import Write


class ThreadedCommits(GroupCommit):
    """The same as over an asynchronous driver; a write may await nothing but the database."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._thread = ThreadPoolExecutor(1, "writer")
        self._connection: Connection | None = None

    async def perform(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Do the writes in one transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, writes)

    def _do(self, writes: Sequence[Write[Any]]) -> list[Any]:
        if self._connection is None:
            self._connection = plain_connection(self._engine)
        with self._connection.begin():
            writing: Any = _Writing(self._connection)
            return [_done(write(writing)) for write in writes]

    async def close(self) -> None:
        """Stop the task, then the thread once it has done what it was given."""
        await super().close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection.engine.dispose()
            self._connection = None


class _Writing:
    """The connection as a write knows it; whoever awaits it has the answer already."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute a statement."""
        return self._connection.execute(statement, parameters)


def _done(write: Awaitable[Any]) -> Any:
    """Run what waits for nothing to its end."""
    steps = write.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    raise RuntimeError("A write may await nothing but the database")
