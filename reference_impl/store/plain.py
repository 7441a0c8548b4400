"""SQLite without an asynchronous driver between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from reference_impl.store.database import options, pragmas

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine


def can_be_plain(engine: AsyncEngine) -> bool:
    """Whether its database is an SQLite file, which any connection can open."""
    return engine.dialect.name == "sqlite" and engine.url.database not in {None, "", ":memory:"}


def plain_connection(engine: AsyncEngine, **more: Any) -> Connection:
    """Open one more connection to the database of an engine; to be used by this thread only."""
    plain = create_engine(engine.url.set(drivername="sqlite"), poolclass=StaticPool, **options(), **more)
    event.listen(plain, "connect", pragmas)
    return plain.connect()
