"""A database across a wire, of which short reads keep their connections.

To take a connection from a pool, begin, roll back and give it back again costs as much as the question itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from reference_impl.store.database import make_engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

_READERS: Final = 4
"""Of the connections that the engine may have; the others are for writing, and for reads of several statements."""


class HeldEngine:
    """SQLAlchemy's AsyncEngine, and beside it the readers' connections."""

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

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection to read by, in a transaction."""
        return self._engine.connect()

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection in a transaction, committed at its end."""
        return self._engine.begin()

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows of a short answer, as mappings."""
        async with self._turns:
            connection = self._free.pop() if self._free else await self._committed.connect()
            try:
                found = (await connection.execute(statement, parameters)).mappings().all()
            except BaseException:  # whatever it was: nobody knows in which state it left the connection
                await connection.invalidate()
                await connection.close()
                raise
            self._free.append(connection)
            return found

    async def dispose(self) -> None:
        """Close every connection."""
        while self._free:
            await self._free.pop().close()
        await self._engine.dispose()
