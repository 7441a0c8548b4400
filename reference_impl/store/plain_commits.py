"""Writes in SQLite, done on the spot.

A commit in WAL mode is a few short writes to a file, with nothing to wait for: less than handing the
transaction to another thread, where it would wait for the interpreter besides. What does wait is left to a
thread: the writer of another process, and copying the log back into the database.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import OperationalError

from reference_impl.store.group_commit import GroupCommit, Row, merged
from reference_impl.store.plain import Told, end, plain_connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from sqlalchemy import Connection, Executable

    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import Write

_PATIENCE_MS: Final = 5_000
"""So long another process' writer is waited for."""
_COPY_EVERY: Final = 250
"""After so many commits the log is copied back."""
_LOG_PAGES: Final = 10_000
"""At this size of the log a commit copies it back itself, should the thread not keep up."""


class PlainCommits(GroupCommit):
    """The same as over an asynchronous driver; a write may await nothing but the database."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._thread = ThreadPoolExecutor(1, "writer")
        self._connection: Connection | None = None
        self._told: _Writing | None = None
        self._copying: asyncio.Future[None] | None = None
        self._uncopied = 0

    async def perform(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Do the writes in one transaction."""
        try:
            done = self._do(writes)
        except (OperationalError, sqlite3.OperationalError) as error:
            if "locked" not in str(error):
                raise
            done = await asyncio.get_running_loop().run_in_executor(self._thread, self._do, writes, _PATIENCE_MS)
        self._uncopied += 1
        if self._uncopied >= _COPY_EVERY and (self._copying is None or self._copying.done()):
            self._uncopied = 0
            self._copying = asyncio.get_running_loop().run_in_executor(self._thread, self._copy)
        return done

    def _do(self, writes: Sequence[Write[Any]], patience_ms: int = 0) -> list[Any]:
        if self._connection is None or self._told is None:
            self._connection = plain_connection(self._engine)
            self._told = _Writing(self._connection)
            _pragma(self._connection, f"wal_autocheckpoint={_LOG_PAGES}")
            _pragma(self._connection, "busy_timeout=0")
        if patience_ms:
            _pragma(self._connection, f"busy_timeout={patience_ms}")
        try:
            with self._connection.begin():
                writing: Any = self._told
                results = [None if isinstance(write, Row) else _done(write(writing)) for write in writes]
                for rows in merged(writes):
                    _done(rows(writing))
                return results
        finally:
            if patience_ms:
                _pragma(self._connection, "busy_timeout=0")

    def _copy(self) -> None:
        """Copy what is committed from the log into the database, without holding up any writer or reader."""
        connection = plain_connection(self._engine)
        _pragma(connection, "wal_checkpoint(PASSIVE)")
        end(connection)

    async def close(self) -> None:
        """Stop the task, then the thread once it has done what it was given."""
        await super().close()
        if self._copying is not None:
            await asyncio.wait([self._copying])
        self._thread.shutdown()
        if self._connection is not None:
            end(self._connection)
            self._connection = self._told = None


class _Writing:
    """The connection as a write knows it; whoever awaits it has the answer already."""

    def __init__(self, connection: Connection) -> None:
        self._told = Told(connection)

    async def execute(self, statement: Executable, parameters: Any = None) -> Any:
        """Execute a statement."""
        return self._told.execute(statement, parameters)


def _done(write: Awaitable[Any]) -> Any:
    """Run what waits for nothing to its end."""
    steps = write.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    raise RuntimeError("A write may await nothing but the database")


def _pragma(connection: Connection, pragma: str) -> None:
    """Say it past SQLAlchemy, which would begin a transaction."""
    raw: Any = connection.connection.driver_connection
    raw.execute(f"PRAGMA {pragma}").fetchall()
