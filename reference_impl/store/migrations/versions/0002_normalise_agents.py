"""The plan's data migration: one form for status, type, capabilities and metrics (DAT-2).

The rules are pure functions in `domain.legacy_rows`; here they meet the rows. Every step leaves
a row that already has the new form as it is, so running it again does no harm.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from reference_impl.domain.legacy_rows import (
    capabilities_of,
    metadata_of,
    old_metadata_of,
    status_of,
    type_of,
)
from reference_impl.domain.times import parse_ms, rfc3339
from reference_impl.store.tables import Moment, agents, users

revision = "0002"
down_revision = "0001"

_INDEX = "idx_agents_user_status"
_SECONDS = 10**11
"""A larger number of seconds would be after the year 5000."""
_TIMES = ("last_ping", "created_at", "updated_at")
_DOCUMENTS = ("capabilities", "metadata")


class _Json(sa.TypeDecorator[str]):
    """A column of PostgreSQL's type json as the text it is, which may hold what strict readers refuse."""

    impl = sa.Text
    cache_ok = True

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Read."""
        return sa.cast(column, sa.Text())

    def bind_expression(self, bindparam: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        """Write."""
        return sa.cast(sa.type_coerce(bindparam, sa.Text()), sa.JSON())


def upgrade() -> None:
    """Normalise all rows, make the users that agents name, add the index."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        _settle_types(connection)
    _change_rows(connection, _new_form)
    _make_missing_users(connection)
    op.create_index(_INDEX, "agents", ["user_id", "status"], if_not_exists=True)


def downgrade() -> None:
    """Bring the old form back; capabilities stay in their column, where the old schema allows them."""
    op.drop_index(_INDEX, table_name="agents", if_exists=True)
    _change_rows(op.get_bind(), _old_form)


def _settle_types(connection: sa.Connection) -> None:
    """Give PostgreSQL's columns the types of the new schema: jsonb cannot hold a NUL, times need their zone."""
    for column in sa.inspect(connection).get_columns("agents"):
        name, kind = column["name"], column["type"]
        if name in _DOCUMENTS and isinstance(kind, JSONB):
            op.alter_column("agents", name, type_=sa.JSON(), postgresql_using=f"{name}::json")
        if name in _TIMES and not getattr(kind, "timezone", False):
            zoned = sa.DateTime(timezone=True)
            op.alter_column("agents", name, type_=zoned, postgresql_using=f"{name} AT TIME ZONE 'UTC'")


def _new_form(row: Mapping[str, Any]) -> dict[str, Any]:
    metadata = row["metadata"] if isinstance(row["metadata"], Mapping) else {}
    seen = row["last_ping"] or row["updated_at"] or row["created_at"]
    return {
        "status": status_of(row["status"]),
        "type": type_of(row["type"]),
        "capabilities": capabilities_of(row["capabilities"], metadata),
        "metadata": metadata_of(row["metadata"], _text(seen)),
    }


def _old_form(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": row["status"].lower(),
        "type": row["type"].lower(),
        "capabilities": row["capabilities"],
        "metadata": old_metadata_of(row["metadata"]),
    }


def _change_rows(connection: sa.Connection, form: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
    table = _table(connection)
    for found in connection.execute(sa.select(table)).mappings().all():
        row = _read(dict(found), connection)
        changed = {**{name: row[name] for name in _TIMES}, **form(row)}
        changed.update({name: _dump(changed[name]) for name in _DOCUMENTS})
        connection.execute(table.update().where(table.c.id == row["id"]).values(changed))


def _table(connection: sa.Connection) -> sa.TableClause:
    """The columns as they are stored: documents as text, which may hold anything, and in SQLite times too."""
    lite = connection.dialect.name == "sqlite"
    document: Any = sa.Text() if lite else _Json()
    moment: Any = sa.Text() if lite else sa.DateTime(timezone=True)
    words = [sa.column(name, sa.Text()) for name in ("id", "user_id", "status", "type")]
    documents = [sa.column(name, document) for name in _DOCUMENTS]
    return sa.table("agents", *words, *documents, *(sa.column(name, moment) for name in _TIMES))


def _read(row: dict[str, Any], connection: sa.Connection) -> dict[str, Any]:
    row.update({name: _json(row[name]) for name in _DOCUMENTS})
    if connection.dialect.name != "sqlite":
        return row
    row["last_ping"] = _time(row["last_ping"])
    row["created_at"] = _time(row["created_at"]) or _time(row["updated_at"]) or rfc3339(0)
    row["updated_at"] = _time(row["updated_at"]) or row["created_at"]
    return row


def _dump(value: object) -> str:
    """Write JSON that every reader takes: half of a surrogate pair becomes a replacement character."""
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _json(text: Any) -> Any:
    """Read JSON; what is none is kept as the text it is, and a number as SQLite may have made it of one."""
    if not isinstance(text, str) or not text.strip():
        return text if isinstance(text, int | float) else None
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def _finite(number: str) -> float | str:
    """Read a number; one that is too large for any reader stays the text it is."""
    value = float(number)
    return value if math.isfinite(value) else number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _time(value: Any) -> str | None:
    """Write a stored time in the one form that sorts; what is no time is none."""
    text = str(value)
    try:
        if text.isdecimal():  # since 1970, in seconds or in milliseconds
            return rfc3339(int(text) if int(text) > _SECONDS else int(text) * 1000)
        return rfc3339(parse_ms(text))
    except (ValueError, OverflowError):
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else rfc3339(parse_ms(value.isoformat()))


def _make_missing_users(connection: sa.Connection) -> None:
    now = time.time_ns() // 1_000_000
    owners = sa.select(agents.c.user_id, sa.literal(now, Moment())).distinct()
    missing = owners.where(agents.c.user_id.not_in(sa.select(users.c.id)))
    connection.execute(users.insert().from_select(["id", "created_at"], missing))
