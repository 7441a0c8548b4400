"""Sessions and devices, presets, constraints and the audit log."""

import sqlalchemy as sa
from alembic import op

from reference_impl.store.tables import AnyText, Moment

revision = "0005"
down_revision = "0004"

_HASH = sa.String(64)
_USER = sa.String(255)
_MADE = ("audit_log", "user_constraints", "presets", "device_grants", "magic_links", "refresh_tokens", "sessions")


def upgrade() -> None:
    """Make the tables."""
    op.create_index("idx_users_email", "users", [sa.text("lower(email)")], if_not_exists=True)
    _sign_in()
    _belongings()
    op.create_table(
        "audit_log",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("event_type", sa.String(64), nullable=False),
        sa.Column("user_id", _USER, nullable=True),
        sa.Column("agent_id", sa.String(128), nullable=True),
        sa.Column("command_id", sa.String(36), nullable=True),
        sa.Column("details", sa.JSON(), nullable=True),
        sa.Column("ip_address", sa.String(64), nullable=True),
        sa.Column("user_agent", AnyText(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    _index("idx_audit_log_user", "audit_log", "user_id", "created_at", "number")
    _index("idx_audit_log_created", "audit_log", "created_at")


def _sign_in() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", _USER, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("revoked_at", Moment(), nullable=True),
        if_not_exists=True,
    )
    _index("idx_sessions_expires", "sessions", "expires_at")
    op.create_table(
        "refresh_tokens",
        sa.Column("hash", _HASH, primary_key=True),
        sa.Column("session_id", sa.String(36), sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("used_at", Moment(), nullable=True),
        if_not_exists=True,
    )
    _index("idx_refresh_tokens_session", "refresh_tokens", "session_id")
    _index("idx_refresh_tokens_expires", "refresh_tokens", "expires_at")
    op.create_table(
        "magic_links",
        sa.Column("hash", _HASH, primary_key=True),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    _index("idx_magic_links_expires", "magic_links", "expires_at")
    op.create_table(
        "device_grants",
        sa.Column("device_hash", _HASH, primary_key=True),
        sa.Column("user_hash", _HASH, nullable=False),
        sa.Column("user_id", _USER, nullable=True),
        sa.Column("interval_ms", sa.Integer(), nullable=False),
        sa.Column("polled_at", Moment(), nullable=True),
        sa.Column("expires_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    _index("idx_device_grants_user_code", "device_grants", "user_hash", unique=True)
    _index("idx_device_grants_expires", "device_grants", "expires_at")


def _belongings() -> None:
    op.create_table(
        "presets",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", _USER, nullable=False),
        sa.Column("name", AnyText(), nullable=False),
        sa.Column("description", AnyText(), nullable=True),
        sa.Column("content", AnyText(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("target_agent_types", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("usage_count", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    _index("idx_presets_user_name", "presets", "user_id", "name", unique=True)
    op.create_table(
        "user_constraints",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", _USER, nullable=False),
        sa.Column("name", AnyText(), nullable=False),
        sa.Column("description", AnyText(), nullable=True),
        sa.Column("time_limit_ms", sa.BigInteger(), nullable=True),
        sa.Column("token_budget", sa.BigInteger(), nullable=True),
        sa.Column("memory_limit_mb", sa.Float(53), nullable=True),
        sa.Column("cpu_limit_percent", sa.Float(53), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    _index("idx_constraints_user", "user_constraints", "user_id", "created_at")
    op.create_index(
        "idx_constraints_one_default",
        "user_constraints",
        ["user_id"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
        if_not_exists=True,
    )


def _index(name: str, table: str, *columns: str, unique: bool = False) -> None:
    op.create_index(name, table, list(columns), unique=unique, if_not_exists=True)


def downgrade() -> None:
    """Drop the tables."""
    for table in _MADE:
        op.drop_table(table, if_exists=True)
    op.drop_index("idx_users_email", "users", if_exists=True)
