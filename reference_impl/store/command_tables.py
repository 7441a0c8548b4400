"""Commands, and how far each of their agents is with them, as tables (see `tables`)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table

from reference_impl.store.tables import AnyText, Moment, metadata

commands: Final = Table(
    "commands",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("number", BigInteger(), nullable=False),
    Column("content", AnyText(), nullable=False),
    Column("type", String(32), nullable=False),
    Column("broadcast", Boolean(), nullable=False),
    Column("priority", Integer(), nullable=False),
    Column("execution_constraints", JSON(none_as_null=True), nullable=True),
    Column("status", String(32), nullable=False),
    Column("created_at", Moment(), nullable=False),
    Column("updated_at", Moment(), nullable=False),
    Index("idx_commands_user_number", "user_id", "number", unique=True),
    Index("idx_commands_user_status", "user_id", "status"),
)
"""`number` counts the commands of a user in the order they came; `status` is that of the whole."""

parts: Final = Table(
    "command_agents",
    metadata,
    Column("command_id", String(36), ForeignKey("commands.id", ondelete="CASCADE"), primary_key=True),
    Column("agent_id", String(128), primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("place", Integer(), nullable=False),
    Column("status", String(32), nullable=False),
    Column("delivered_to", String(64), nullable=True),
    Column("started_at", Moment(), nullable=True),
    Column("completed_at", Moment(), nullable=True),
    Column("error", AnyText(), nullable=True),
    Column("cancelled_at", Moment(), nullable=True),
    Column("execution_time", Float(), nullable=True),
    Column("tokens_used", BigInteger(), nullable=True),
    Index("idx_command_agents_queue", "user_id", "agent_id", "status"),
)
"""One row for each agent of a command; agents may be deleted, their rows stay (AGT-11)."""
