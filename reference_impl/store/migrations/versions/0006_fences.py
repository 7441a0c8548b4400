"""The newest turn of each user, for several nodes on one database."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "fences",
        sa.Column("user_id", sa.String(255), primary_key=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("fences", if_exists=True)
