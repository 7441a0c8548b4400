"""Commands, and how far each of their agents is with them."""

import sqlalchemy as sa
from alembic import op

from reference_impl.store.tables import AnyText, Moment

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "commands",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("content", AnyText(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("broadcast", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("execution_constraints", sa.JSON(), nullable=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    op.create_index("idx_commands_user_number", "commands", ["user_id", "number"], unique=True, if_not_exists=True)
    op.create_index("idx_commands_user_status", "commands", ["user_id", "status"], if_not_exists=True)
    op.create_table(
        "command_agents",
        sa.Column("command_id", sa.String(36), sa.ForeignKey("commands.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("agent_id", sa.String(128), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("delivered_to", sa.String(64), nullable=True),
        sa.Column("started_at", Moment(), nullable=True),
        sa.Column("completed_at", Moment(), nullable=True),
        sa.Column("error", AnyText(), nullable=True),
        sa.Column("cancelled_at", Moment(), nullable=True),
        sa.Column("execution_time", sa.Float(), nullable=True),
        sa.Column("tokens_used", sa.BigInteger(), nullable=True),
        if_not_exists=True,
    )
    op.create_index("idx_command_agents_queue", "command_agents", ["user_id", "agent_id", "status"], if_not_exists=True)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("command_agents", if_exists=True)
    op.drop_table("commands", if_exists=True)
