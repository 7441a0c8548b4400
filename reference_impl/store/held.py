"""A database across a wire, whose connections are kept by whoever uses them.

To take a connection from a pool, begin, roll back and give it back again costs as much as the question itself.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy.exc import IntegrityError

from reference_impl.store.database import make_engine
from reference_impl.store.group_commit import GroupCommit, Row, Statement, merged
from reference_impl.store.plans import Answer, Plan, Plans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.store.group_commit import Write

_READERS: Final = 4
"""Of the connections that the engine may have; the others are for writing."""
_FEW: Final = 2
"""So many statements are as soon done by themselves as in a transaction."""
_INTEGRITY: Final = "23"
"""The class of SQLSTATEs of a row that may not be as it is."""


class Held:
    """A connection on which each statement stands for itself; fixed ones go to the driver (see `plans`)."""

    def __init__(self, connection: AsyncConnection, driver: Any, plans: Plans) -> None:
        self._connection = connection
        self._driver = driver
        self._plans = plans
        self._prepared: dict[Plan, Any] = {}

    async def execute(self, statement: Executable, parameters: Any = None) -> Any:
        """Execute a statement: with one row's parameters, or a list of many rows'.

        Raises:
            IntegrityError: as SQLAlchemy's, whoever executed it.
        """
        plan = self._plans.of(statement, parameters)
        if plan is None:
            return await self._connection.execute(statement, parameters)
        if (prepared := self._prepared.get(plan)) is None:
            prepared = self._prepared[plan] = await self._driver.prepare(plan.sql)
        try:
            if isinstance(parameters, list):
                await prepared.executemany([plan.values(row) for row in parameters])
                return Answer([], -1)
            found = await prepared.fetch(*plan.values(parameters or {}))
        except Exception as error:
            if str(getattr(error, "sqlstate", "")).startswith(_INTEGRITY):
                raise IntegrityError(plan.sql, None, error) from error
            raise
        return Answer(plan.rows(found), int(prepared.get_statusmsg().rpartition(" ")[2]))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Held]:
        """Itself, in a transaction, committed at its end."""
        async with self._driver.transaction():
            yield self

    async def close(self) -> None:
        """Give it up: nobody knows in which state it is, or nobody needs it."""
        await self._connection.invalidate()
        await self._connection.close()


class HeldEngine:
    """SQLAlchemy's AsyncEngine, and beside it connections that are held."""

    def __init__(self, url: URL) -> None:
        self._engine = make_engine(url)
        self._committed = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._plans = Plans(self._engine.dialect)
        self._free: list[Held] = []
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
    async def connect(self) -> AsyncIterator[Held]:
        """A connection to read by, in no transaction."""
        async with self._turns:
            held = self._free.pop() if self._free else await self.open()
            try:
                yield held
            except IntegrityError:  # it has only refused
                self._free.append(held)
                raise
            except BaseException:
                await held.close()
                raise
            self._free.append(held)

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection in a transaction, committed at its end."""
        return self._engine.begin()

    async def open(self) -> Held:
        """A connection that is whoever's who asked, to be closed by that one."""
        connection = await self._committed.connect()
        return Held(connection, (await connection.get_raw_connection()).driver_connection, self._plans)

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows of a short answer, as mappings."""
        async with self.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(statement, parameters)).mappings().all()
            return rows

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
        self._writer: Held | None = None

    async def perform(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Do the writes in one transaction."""
        rows = merged(writes)
        alone = rows if len(rows) == 1 and all(isinstance(write, Row) for write in writes) else writes
        if len(alone) == 1 and isinstance(alone[0], Statement):
            async with self._held.connect() as held:
                done = await alone[0](cast("AsyncConnection", held))  # as far as a write asks
            return [done] if len(writes) == 1 else [None] * len(writes)
        return await super().perform(writes)

    async def _together(self, group: list[tuple[Write[Any], asyncio.Future[Any]]]) -> bool:
        """A transaction costs two statements more: two by themselves are no dearer."""
        writes = [write for write, _ in group]
        statements = len(merged(writes)) + sum(not isinstance(write, Row) for write in writes)
        if statements == _FEW and all(isinstance(write, Statement) for write in writes):
            return False
        return await super()._together(group)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        writer, self._writer = self._writer or await self._held.open(), None
        try:
            async with writer.transaction():
                yield writer
        except BaseException:
            await writer.close()
            raise
        self._writer = writer

    async def close(self) -> None:
        """Stop the task and give its connection back."""
        await super().close()
        if self._writer is not None:
            await self._writer.close()
            self._writer = None
