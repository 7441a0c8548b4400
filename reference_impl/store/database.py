"""Opening the database: URL, engine, pragmas, schema."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InvalidRequestError, SQLAlchemyError

from reference_impl.store import UnusableDatabaseError
from reference_impl.store.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Dialect
    from sqlalchemy.ext.asyncio import AsyncEngine

    from reference_impl.store.group_commit import GroupCommit


_CONNECTIONS: Final = 8
"""Kept open: one that is opened anew costs more than what is asked over it. All but one are readers'."""
_AGAIN: Final = 0.05
"""Seconds after which it is looked again whether a database is there."""
_STATEMENTS: Final = 1000
"""Kept prepared on each; more than there are, but for lists in which each length is one of its own."""


class Engine(Protocol):
    """What the store needs of SQLAlchemy's AsyncEngine; `plain` does without that."""

    @property
    def url(self) -> URL:
        """Which database it is."""

    @property
    def dialect(self) -> Dialect:
        """Its kind."""

    def connect(self) -> AbstractAsyncContextManager[Any]:
        """A connection to read by."""

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """A connection in a transaction."""

    async def dispose(self) -> None:
        """Close every connection."""


def database_url(given: str) -> URL:
    """Read a URL or the path of an SQLite file, and choose the asynchronous driver."""
    try:
        url = make_url(given if "://" in given else f"sqlite:///{given}")
    except ArgumentError:
        raise UnusableDatabaseError("The database URL cannot be read") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    return url.set(drivername=drivers.get(url.drivername, url.drivername))


def options() -> dict[str, Any]:
    """What every engine needs: how JSON is read and written."""
    return {"json_serializer": lambda value: orjson.dumps(value).decode(), "json_deserializer": orjson.loads}


def make_engine(url: URL) -> AsyncEngine:
    """Make the engine; nothing is opened yet."""
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - slow, and `evidence` does without

    pool: dict[str, Any] = {"pool_size": _CONNECTIONS, "max_overflow": 0, "pool_use_lifo": True}  # the warmest first
    if url.drivername == "postgresql+asyncpg":
        pool["connect_args"] = {"prepared_statement_cache_size": _STATEMENTS}
    try:
        engine = create_async_engine(url, **options(), **pool)
    except (ArgumentError, InvalidRequestError, ModuleNotFoundError) as error:
        raise UnusableDatabaseError(f"No driver for a {url.get_backend_name()} database: {error}") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", pragmas)
    return engine


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Turn what goes wrong inside into one sentence, without the password.

    Raises:
        UnusableDatabaseError: with that sentence.
    """
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        shown = url.render_as_string(hide_password=True)
        raise UnusableDatabaseError(f"Cannot use the database {shown}: {reason}") from error


def pragmas(connection: Any, _record: object) -> None:
    """Prepare a new connection to SQLite."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class SqlDatabase:
    """The life of the engine and of the one task that writes."""

    def __init__(self, engine: Engine, commits: GroupCommit) -> None:
        self._engine = engine
        self._commits = commits

    async def start(self, patience_s: float = 0.0) -> None:
        """Bring the schema up to date; a database that is not there yet is waited for so many seconds."""
        clock = asyncio.get_running_loop().time
        until = clock() + patience_s
        while True:
            try:
                with told(self._engine.url):
                    await upgrade(self._engine)
            except UnusableDatabaseError:
                if clock() >= until:
                    raise
                await asyncio.sleep(_AGAIN)
            else:
                return

    async def ping(self) -> None:
        """Raise if the database does not answer (HLT-1)."""
        async with self._engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close everything."""
        await self._commits.close()
        await self._engine.dispose()
