"""Terminal output, traces and reports, as tables (see `tables`).

`position` numbers rows in the order they came. `size` is how much of
memory a row takes once it is read, more or less; pages are read in groups of bounded size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table

from reference_impl.store.tables import AnyText, Moment, metadata

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

POSITION: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column of this very type."""


terminal_output = Table(
    "terminal_output",
    metadata,
    Column("position", POSITION, primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("agent_id", String(128), nullable=False),
    Column("command_id", String(36), nullable=True),
    Column("source", String(64), nullable=False),
    Column("stream", String(16), nullable=False),
    Column("content", AnyText(), nullable=False),
    Column("ansi_codes", AnyText(), nullable=True),
    Column("sequence", BigInteger(), nullable=False),
    Column("size", Integer(), nullable=False),
    Column("received_at", Moment(), nullable=False),
    Index("idx_terminal_output_source", "source", "agent_id", "sequence", unique=True),
    Index("idx_terminal_output_command", "user_id", "command_id", "position"),
    Index("idx_terminal_output_agent", "user_id", "agent_id", "position"),
    Index("idx_terminal_output_user", "user_id", "position"),
)

traces = Table(
    "traces",
    metadata,
    Column("position", POSITION, primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("agent_id", String(128), nullable=False),
    Column("command_id", String(36), nullable=False),
    Column("trace_id", String(36), nullable=False),
    Column("parent_id", String(36), nullable=True),
    Column("said", JSON(none_as_null=True), nullable=False),
    Column("size", Integer(), nullable=False),
    Index("idx_traces_id", "command_id", "trace_id", unique=True),
    Index("idx_traces_command", "user_id", "command_id", "position"),
    Index("idx_traces_user", "user_id", "position"),
)

reports = Table(
    "reports",
    metadata,
    Column("position", POSITION, primary_key=True),
    Column("report_id", String(36), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("agent_id", String(128), nullable=False),
    Column("command_id", String(36), nullable=False),
    Column("status", String(16), nullable=False),
    Column("body", JSON(none_as_null=True), nullable=False),
    Column("size", Integer(), nullable=False),
    Column("created_at", Moment(), nullable=False),
    Column("updated_at", Moment(), nullable=False),
    Column("completed_at", Moment(), nullable=True),
    Index("idx_reports_id", "report_id", unique=True),
    Index("idx_reports_user", "user_id", "position"),
)
