"""Bringing a database to the newest schema, and back (DAT-2).

Alembic is imported only when there is something to do: a server that starts on an up-to-date or
on an empty database does not pay for it. An empty database is made from the tables as they are
now and marked as up to date; a test holds that against the migrations.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection, inspect, text

from reference_impl.store import UnusableDatabaseError, account_tables, command_tables, fence_tables, output_tables
from reference_impl.store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

    from reference_impl.store.database import Engine

HEAD: Final = "0006"
_VERSIONS: Final = "alembic_version"
_EVERY_TABLE: Final = (account_tables, command_tables, fence_tables, output_tables)
"""Imported so that `metadata` knows their tables."""


async def upgrade(engine: Engine) -> None:
    """Bring the schema and the rows up to date."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def downgrade(engine: Engine, to: str = "-1") -> None:
    """Go back by one migration, or to the version named."""
    async with engine.begin() as connection:
        await connection.run_sync(to_version, "downgrade", to)


def to_version(connection: Connection, step: Literal["upgrade", "downgrade"], to: str) -> None:
    """Go up or down to one version, inside the caller's transaction."""
    from alembic import command, util  # noqa: PLC0415 - see the module's first lines

    try:
        getattr(command, step)(_config(connection), to)
    except util.CommandError as error:
        raise UnusableDatabaseError(f"Cannot {step} the database: {error}") from error


def _upgrade(connection: Connection) -> None:
    tables = inspect(connection).get_table_names()
    if not tables:
        _create(connection)
    elif _VERSIONS not in tables or _version(connection) != HEAD:
        to_version(connection, "upgrade", "head")


def _create(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        for index in account_tables.constraints.indexes:
            if index.unique:
                index.dialect_kwargs["postgresql_where"] = text("is_default")
    metadata.create_all(connection)
    connection.execute(text(f"CREATE TABLE {_VERSIONS} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text(f"INSERT INTO {_VERSIONS} VALUES (:head)"), {"head": HEAD})  # noqa: S608 - a constant


def _version(connection: Connection) -> str | None:
    found: str | None = connection.execute(text(f"SELECT version_num FROM {_VERSIONS}")).scalar()  # noqa: S608
    return found


def _config(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415 - see the module's first lines

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config
