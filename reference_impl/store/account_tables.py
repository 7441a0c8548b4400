"""Sessions and devices, presets, constraints and the audit log, as tables (see `tables`).

Secrets that open something (refresh tokens, sign-in links, device and user codes) are kept as
SHA-256 only.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    func,
    text,
)

from reference_impl.store.tables import AnyText, Moment, metadata, users

HASH: Final = String(64)
"""A SHA-256, in hexadecimal."""
COUNTER: Final = BigInteger().with_variant(Integer(), "sqlite")

Index("idx_users_email", func.lower(users.c.email))

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("created_at", Moment(), nullable=False),
    Column("expires_at", Moment(), nullable=False),
    Column("revoked_at", Moment(), nullable=True),
    Index("idx_sessions_expires", "expires_at"),
)
"""One sign-in: the family of the refresh tokens that follow each other (TOK-1)."""

refresh_tokens: Final = Table(
    "refresh_tokens",
    metadata,
    Column("hash", HASH, primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Moment(), nullable=False),
    Column("used_at", Moment(), nullable=True),
    Index("idx_refresh_tokens_session", "session_id"),
    Index("idx_refresh_tokens_expires", "expires_at"),
)

magic_links: Final = Table(
    "magic_links",
    metadata,
    Column("hash", HASH, primary_key=True),
    Column("email", String(320), nullable=False),
    Column("expires_at", Moment(), nullable=False),
    Index("idx_magic_links_expires", "expires_at"),
)

device_grants: Final = Table(
    "device_grants",
    metadata,
    Column("device_hash", HASH, primary_key=True),
    Column("user_hash", HASH, nullable=False),
    Column("user_id", String(255), nullable=True),
    Column("interval_ms", Integer(), nullable=False),
    Column("polled_at", Moment(), nullable=True),
    Column("expires_at", Moment(), nullable=False),
    Index("idx_device_grants_user_code", "user_hash", unique=True),
    Index("idx_device_grants_expires", "expires_at"),
)
"""`user_id` is who approved it; a row is gone once its tokens were given (TOK-5)."""

presets: Final = Table(
    "presets",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("name", AnyText(), nullable=False),
    Column("description", AnyText(), nullable=True),
    Column("content", AnyText(), nullable=False),
    Column("type", String(32), nullable=False),
    Column("target_agent_types", JSON(), nullable=False),
    Column("variables", JSON(), nullable=False),
    Column("usage_count", BigInteger(), nullable=False),
    Column("last_used_at", Moment(), nullable=True),
    Column("created_at", Moment(), nullable=False),
    Column("updated_at", Moment(), nullable=False),
    Index("idx_presets_user_name", "user_id", "name", unique=True),
)

constraints: Final = Table(
    "user_constraints",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("name", AnyText(), nullable=False),
    Column("description", AnyText(), nullable=True),
    Column("time_limit_ms", BigInteger(), nullable=True),
    Column("token_budget", BigInteger(), nullable=True),
    Column("memory_limit_mb", Float(53), nullable=True),
    Column("cpu_limit_percent", Float(53), nullable=True),
    Column("is_default", Boolean(), nullable=False),
    Column("created_at", Moment(), nullable=False),
    Column("updated_at", Moment(), nullable=False),
    Index("idx_constraints_user", "user_id", "created_at"),
    Index(
        "idx_constraints_one_default",
        "user_id",
        unique=True,
        sqlite_where=text("is_default"),
    ),
)
"""`migrate` limits the last index in PostgreSQL too; naming it here would import that dialect for everybody.
The last index holds the one default per user, whichever node writes (LIM-1)."""

audit_log: Final = Table(
    "audit_log",
    metadata,
    Column("number", COUNTER, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("user_id", String(255), nullable=True),
    Column("agent_id", String(128), nullable=True),
    Column("command_id", String(36), nullable=True),
    Column("details", JSON(none_as_null=True), nullable=True),
    Column("ip_address", String(64), nullable=True),
    Column("user_agent", AnyText(), nullable=True),
    Column("created_at", Moment(), nullable=False),
    Index("idx_audit_log_user", "user_id", "created_at", "number"),
    Index("idx_audit_log_created", "created_at"),
)
"""`number` counts the rows in the order they were written."""
