"""What cannot be seen over the API: the `agents` table as stored (DAT-1), and a migration really done (DAT-2).

The migration is done on a database of before the plan, made from the packaged sample in a
directory of its own; the database that is served is only read.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy import text as sql

from reference_impl.store.database import database_url, make_engine, told
from reference_impl.store.migrate import to_version

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL, Result

Row = dict[str, Any]

_HERE: Final = Path(__file__).resolve().parent
_SAMPLES: Final = (_HERE / "legacy.sql", _HERE.parents[1] / "fixtures" / "databases" / "legacy.sql")
"""In an installed package, and in a checkout."""
_ALL: Final = sql("SELECT * FROM agents ORDER BY id")
_DOCUMENTS: Final = ("capabilities", "metadata")


def collect(database: str) -> dict[str, Any]:
    """Collect it; the table last, so that what was just sent has had time to get there.

    Raises:
        UnusableDatabaseError: the database cannot be read.
    """
    migration = migrated()
    url = database_url(database)
    stored = _in_sqlite(url) if url.get_backend_name() == "sqlite" else asyncio.run(_elsewhere(url))
    return {"agents": stored, "migration": migration}


def _in_sqlite(url: URL) -> list[Row]:
    """Without the asynchronous driver, which takes as long to import as all else; and nothing is made."""
    path = f"file:{quote(url.database or '')}"
    engine = create_engine(url.set(drivername="sqlite", database=path, query={"mode": "ro", "uri": "true"}))
    with told(url), engine.connect() as connection:
        return _rows(connection.execute(_ALL))


async def _elsewhere(url: URL) -> list[Row]:
    engine = make_engine(url)
    with told(url):
        async with engine.connect() as connection:
            return _rows(await connection.execute(_ALL))


def as_json(document: dict[str, Any]) -> bytes:
    """Write it as JSON that every reader takes: half of a surrogate pair becomes a replacement character."""
    text = json.dumps(document, ensure_ascii=False, default=str)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def migrated() -> dict[str, list[Row]]:
    """Take the sample up, up again, and back."""
    with tempfile.TemporaryDirectory(prefix="onsembl-evidence-") as place:
        path = Path(place) / "legacy.sqlite3"
        with closing(sqlite3.connect(path)) as legacy:
            legacy.executescript(sample().read_text("utf-8"))
        engine = create_engine(f"sqlite:///{path}")
        try:
            with engine.begin() as connection:
                return _there_and_back(connection)
        finally:
            engine.dispose()


def sample() -> Path:
    """Find the legacy sample."""
    return next(path for path in _SAMPLES if path.is_file())


def _there_and_back(connection: Connection) -> dict[str, list[Row]]:
    seen: dict[str, list[Row]] = {}
    to_version(connection, "upgrade", "0001")
    seen["before"] = _rows(connection.execute(_ALL))
    to_version(connection, "upgrade", "0002")
    seen["after"] = _rows(connection.execute(_ALL))
    connection.execute(sql("UPDATE alembic_version SET version_num = '0001'"))
    to_version(connection, "upgrade", "0002")
    seen["again"] = _rows(connection.execute(_ALL))
    to_version(connection, "downgrade", "0001")
    seen["back"] = _rows(connection.execute(_ALL))
    return seen


def _rows(result: Result[Any]) -> list[Row]:
    """Every column as stored; JSON columns parsed, where they hold JSON."""
    return [{name: _parsed(name, value) for name, value in row.items()} for row in result.mappings()]


def _parsed(name: str, value: Any) -> Any:
    if name not in _DOCUMENTS or not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
