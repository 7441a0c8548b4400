"""Terminal output, traces and reports."""

import sqlalchemy as sa
from alembic import op

from reference_impl.store.output_tables import POSITION
from reference_impl.store.tables import AnyText, Moment

revision = "0004"
down_revision = "0003"

_INDEXES = {
    "terminal_output": {
        "source": ["source", "agent_id", "sequence"],
        "command": ["user_id", "command_id", "position"],
        "agent": ["user_id", "agent_id", "position"],
        "user": ["user_id", "position"],
    },
    "traces": {
        "id": ["command_id", "trace_id"],
        "command": ["user_id", "command_id", "position"],
        "user": ["user_id", "position"],
    },
    "reports": {"id": ["report_id"], "user": ["user_id", "position"]},
}
_UNIQUE = {"source", "id"}


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "terminal_output",
        sa.Column("position", POSITION, primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("agent_id", sa.String(128), nullable=False),
        sa.Column("command_id", sa.String(36), nullable=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("stream", sa.String(16), nullable=False),
        sa.Column("content", AnyText(), nullable=False),
        sa.Column("ansi_codes", AnyText(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "traces",
        sa.Column("position", POSITION, primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("agent_id", sa.String(128), nullable=False),
        sa.Column("command_id", sa.String(36), nullable=False),
        sa.Column("trace_id", sa.String(36), nullable=False),
        sa.Column("parent_id", sa.String(36), nullable=True),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "reports",
        sa.Column("position", POSITION, primary_key=True),
        sa.Column("report_id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("agent_id", sa.String(128), nullable=False),
        sa.Column("command_id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("completed_at", Moment(), nullable=True),
        if_not_exists=True,
    )
    for table, indexes in _INDEXES.items():
        for name, columns in indexes.items():
            op.create_index(f"idx_{table}_{name}", table, columns, unique=name in _UNIQUE, if_not_exists=True)


def downgrade() -> None:
    """Drop the tables."""
    for table in _INDEXES:
        op.drop_table(table, if_exists=True)
