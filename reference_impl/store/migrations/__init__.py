"""Alembic's migrations; run by `store.migrate`, or by `onsembl-reference migrate`."""
