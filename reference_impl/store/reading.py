"""Short reads. In SQLite they are done on the spot, by a connection that only reads.

A reader in WAL mode waits for nobody and finds a few rows in less time than it takes to hand the
question to another thread and the answer back, which an asynchronous driver does several times for
each statement. So this is for what is short; pages of history go through the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from reference_impl.store.plain import can_be_plain, plain_connection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Executable
    from sqlalchemy.ext.asyncio import AsyncEngine


class Reads:
    """Reads rows that are committed; ends with the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._on_the_spot = can_be_plain(engine)
        self._connection: Connection | None = None
        event.listen(engine.sync_engine, "engine_disposed", self._close)

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows of the answer, as mappings."""
        if self._on_the_spot:
            return self._opened().execute(statement, parameters).mappings().all()
        async with self._engine.connect() as connection:
            return (await connection.execute(statement, parameters)).mappings().all()

    def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = plain_connection(self._engine, isolation_level="AUTOCOMMIT")
        return self._connection

    def _close(self, _engine: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection.engine.dispose()
            self._connection = None
