"""The schema as the plan found it.

Tables that exist are left alone: the old backend's database has them, and no record of versions.
"""

import sqlalchemy as sa
from alembic import op

from reference_impl.store.tables import Moment

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables that are missing."""
    op.create_table(
        "users",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("email", sa.String(320), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "agents",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=True),
        sa.Column("last_ping", Moment(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("agents")
    op.drop_table("users")
