"""The plan's data migration: one form for status, type, capabilities and metrics (DAT-2).

The rules are pure functions in `domain.legacy_rows`; here they meet the rows. Every step leaves
a row that already has the new form as it is, so running it again does no harm.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

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


def upgrade() -> None:
    """Normalise all rows, make the users that agents name, add the index."""
    connection = op.get_bind()
    _change_rows(connection, _new_form)
    _make_missing_users(connection)
    op.create_index(_INDEX, "agents", ["user_id", "status"], if_not_exists=True)


def downgrade() -> None:
    """Bring the old form back; capabilities stay in their column, where the old schema allows them."""
    op.drop_index(_INDEX, table_name="agents", if_exists=True)
    _change_rows(op.get_bind(), _old_form)


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
        connection.execute(table.update().where(table.c.id == row["id"]).values(_write(changed, connection)))


def _table(connection: sa.Connection) -> sa.TableClause:
    """The columns as they are stored; in SQLite that is text, which may hold anything."""
    lite = connection.dialect.name == "sqlite"
    document: Any = sa.Text() if lite else sa.JSON()
    moment: Any = sa.Text() if lite else sa.DateTime(timezone=True)
    words = [sa.column(name, sa.Text()) for name in ("id", "user_id", "status", "type")]
    documents = [sa.column(name, document) for name in ("capabilities", "metadata")]
    return sa.table("agents", *words, *documents, *(sa.column(name, moment) for name in _TIMES))


def _read(row: dict[str, Any], connection: sa.Connection) -> dict[str, Any]:
    if connection.dialect.name != "sqlite":
        return row
    row.update({name: _json(row[name]) for name in ("capabilities", "metadata")})
    row["last_ping"] = _time(row["last_ping"])
    row["created_at"] = _time(row["created_at"]) or _time(row["updated_at"]) or rfc3339(0)
    row["updated_at"] = _time(row["updated_at"]) or row["created_at"]
    return row


def _write(row: dict[str, Any], connection: sa.Connection) -> dict[str, Any]:
    if connection.dialect.name == "sqlite":
        row.update({name: _dump(row[name]) for name in ("capabilities", "metadata")})
    return row


def _dump(value: object) -> str:
    """Write JSON that every reader takes: half of a surrogate pair becomes a replacement character."""
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _json(text: Any) -> Any:
    """Read JSON; what is none is kept as the text it is."""
    try:
        return json.loads(text, parse_constant=_refuse) if isinstance(text, str) and text.strip() else None
    except (ValueError, RecursionError):
        return text


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
