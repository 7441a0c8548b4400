"""The newest turn of each user, where several nodes take turns (see `fenced`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table

from reference_impl.store.tables import metadata

fences = Table(
    "fences",
    metadata,
    Column("user_id", String(255), primary_key=True),
    Column("fence", BigInteger(), nullable=False),
)
