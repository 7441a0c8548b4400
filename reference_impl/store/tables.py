"""The tables, in types that SQLite and PostgreSQL share (DAT-1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from reference_impl.domain.times import parse_ms, rfc3339

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

metadata = MetaData()
_ESCAPE: Final = "\ufdd0"
"""A code point that Unicode keeps free for the inside of programs."""


class Moment(TypeDecorator[int]):
    """Milliseconds since 1970 in Python; timestamptz in PostgreSQL, sortable RFC 3339 text in SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Write."""
        if value is None:
            return None
        return rfc3339(value) if dialect.name == "sqlite" else datetime.fromtimestamp(value / 1000, UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Read."""
        if value is None:
            return None
        return parse_ms(value) if isinstance(value, str) else round(value.timestamp() * 1000)


class AnyText(TypeDecorator[str]):
    """Text that a client may fill with anything, NUL included, which PostgreSQL's text cannot hold: bytes there."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column type."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else LargeBinary())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Write."""
        return value if value is None or dialect.name == "sqlite" else value.encode()

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Read."""
        return bytes(value).decode() if isinstance(value, bytes | memoryview) else value


class EscapedText(TypeDecorator[str]):
    """The same in a column that was text before the plan and stays it: PostgreSQL holds two others for a NUL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write."""
        if value is None or dialect.name == "sqlite":
            return value
        return value.replace(_ESCAPE, f"{_ESCAPE}1").replace("\0", f"{_ESCAPE}0")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Read."""
        if value is None or dialect.name == "sqlite":
            return value
        return value.replace(f"{_ESCAPE}0", "\0").replace(f"{_ESCAPE}1", _ESCAPE)


users = Table(
    "users",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("email", String(320), nullable=True),
    Column("created_at", Moment(), nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("name", EscapedText(), nullable=False),
    Column("type", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("version", EscapedText(), nullable=False),
    Column("capabilities", JSON(none_as_null=True), nullable=True),
    Column("last_ping", Moment(), nullable=True),
    Column("metadata", JSON(none_as_null=True), nullable=True),
    Column("created_at", Moment(), nullable=False),
    Column("updated_at", Moment(), nullable=False),
    Index("idx_agents_user_status", "user_id", "status"),
)
