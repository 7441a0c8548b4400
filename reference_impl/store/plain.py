"""SQLite without an asynchronous driver between.

That driver hands every statement, and several calls around it, to a thread and back, and to import it
with all of SQLAlchemy's asynchronous side takes a tenth of a start.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from reference_impl.store.database import options, pragmas
from reference_impl.store.plans import Answer, Plans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy import Connection, Executable, Result
    from sqlalchemy.engine import URL

    from reference_impl.store.database import Engine

T = TypeVar("T")
_READERS: Final = 4


def can_be_plain(url: URL) -> bool:
    """Whether it is an SQLite file, which any connection can open."""
    return url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}


def plain_connection(engine: Engine, **more: Any) -> Connection:
    """Open one more connection to the database of an engine; to be used by one thread at a time."""
    url = engine.url.set(drivername="sqlite")
    given = {"check_same_thread": False}
    plain = create_engine(url, poolclass=StaticPool, connect_args=given, **options(), **more)
    event.listen(plain, "connect", pragmas)
    return plain.connect()


class Told:
    """A connection that tells fixed statements to the driver (see `plans`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._plans = Plans(connection.dialect)

    def execute(self, statement: Executable, parameters: Any = None) -> Any:
        """Execute a statement: with one row's parameters, or a list of many rows'.

        Raises:
            IntegrityError: as SQLAlchemy's, whoever executed it.
        """
        plan = self._plans.of(statement, parameters)
        if plan is None:
            return self._connection.execute(statement, parameters)
        try:
            if isinstance(parameters, list):
                done = self._driver.executemany(plan.sql, [plan.values(row) for row in parameters])
            else:
                done = self._driver.execute(plan.sql, plan.values(parameters or {}))
            return Answer(plan.rows(done), done.rowcount)
        except sqlite3.IntegrityError as error:
            raise IntegrityError(plan.sql, None, error) from error


class PlainEngine:
    """What the store uses of SQLAlchemy's AsyncEngine, over a file that one process serves.

    What is long is read by threads of its own, each statement handed over once. What is short is read
    on the spot (`rows`): a reader in WAL mode waits for nobody and finds a few rows in less time than
    it takes to hand the question to another thread and the answer back.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.dialect = SQLiteDialect_pysqlite()
        self._threads = ThreadPoolExecutor(_READERS, "reader")
        self._mine = threading.local()
        self._here: Told | None = None
        self._opened: list[Connection] = []

    def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows of a short answer, as mappings, read on the spot."""
        if self._here is None:
            self._here = Told(self._open(isolation_level="AUTOCOMMIT"))
        rows: Sequence[Any] = self._here.execute(statement, parameters).mappings().all()
        return rows

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        """A connection that only reads; its answers are whole before they are given."""
        yield self

    async def execute(self, statement: Executable, parameters: Any = None) -> Result[Any]:
        """The answer, read by another thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, statement, parameters)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        """A transaction on the spot: for the schema, before anybody is served."""
        connection = plain_connection(self)
        try:
            with connection.begin():
                yield _Changing(connection)
        finally:
            end(connection)

    async def dispose(self) -> None:
        """Close every connection."""
        self._threads.shutdown()
        while self._opened:
            end(self._opened.pop())
        self._here, self._mine = None, threading.local()
        self._threads = ThreadPoolExecutor(_READERS, "reader")

    def _open(self, **more: Any) -> Connection:
        connection = plain_connection(self, **more)
        self._opened.append(connection)
        return connection

    def _read(self, statement: Executable, parameters: Any) -> Result[Any]:
        connection: Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._open(isolation_level="AUTOCOMMIT")
        return connection.execute(statement, parameters).freeze()()


class _Changing:
    """What the schema's changes need of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def run_sync(self, change: Callable[..., T], *given: Any) -> T:
        """Do it."""
        return change(self._connection, *given)


def end(connection: Connection) -> None:
    """Close a connection and what held it."""
    connection.close()
    connection.engine.dispose()
