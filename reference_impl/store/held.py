"""A database across a wire, whose connections are kept by whoever uses them.

To take a connection from a pool, begin, roll back and give it back again costs as much as the question itself.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from reference_impl.store.database import make_engine
from reference_impl.store.group_commit import GroupCommit, Statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.store.group_commit import Write

_READERS: Final = 4
"""Of the connections that the engine may have; the others are for writing."""


class HeldEngine:
    """SQLAlchemy's AsyncEngine, and beside it connections on which each statement stands for itself."""

    def __init__(self, url: URL) -> None:
        self._engine = make_engine(url)
        self._committed = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._free: list[AsyncConnection] = []
        self._turns = asyncio.Semaphore(_READERS)

    @property
    def url(self) -> URL:
        """Which database it is."""
        return self._engine.url

    @property
    def dialect(self) -> Dialect:
        """Its kind."""
        return self._engine.dialect

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read by, in no transaction."""
        async with self._turns:
            connection = self._free.pop() if self._free else await self._committed.connect()
            try:
                yield connection
            except BaseException:  # whatever it was: nobody knows in which state it left the connection
                await connection.invalidate()
                await connection.close()
                raise
            self._free.append(connection)

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection in a transaction, committed at its end."""
        return self._engine.begin()

    async def open(self) -> AsyncConnection:
        """A connection that is whoever's who asked, to be closed by that one."""
        return await self._engine.connect()

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows of a short answer, as mappings."""
        async with self.connect() as connection:
            return (await connection.execute(statement, parameters)).mappings().all()

    async def dispose(self) -> None:
        """Close every connection."""
        while self._free:
            await self._free.pop().close()
        await self._engine.dispose()


class HeldCommits(GroupCommit):
    """A write of one statement is a transaction by itself: it needs nobody to begin and to commit it."""

    def __init__(self, engine: HeldEngine) -> None:
        super().__init__(engine)
        self._held = engine
        self._writer: AsyncConnection | None = None

    async def perform(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Do the writes in one transaction."""
        if len(writes) == 1 and isinstance(writes[0], Statement) and not isinstance(writes[0].parameters, list):
            async with self._held.connect() as connection:
                return [await writes[0](connection)]
        return await super().perform(writes)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        connection, self._writer = self._writer or await self._held.open(), None
        try:
            async with connection.begin():
                yield connection
        except BaseException:
            await connection.close()
            raise
        self._writer = connection

    async def close(self) -> None:
        """Stop the task and give its connection back."""
        await super().close()
        if self._writer is not None:
            await self._writer.close()
            self._writer = None
