"""The migrations on PostgreSQL: the same rows as on SQLite, up, again, and back (DAT-1, DAT-2)."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from reference_impl.store.database import database_url, make_engine
from reference_impl.store.group_commit import GroupCommit
from reference_impl.store.migrate import HEAD, downgrade, upgrade
from reference_impl.store.sql import SqlAgents
from reference_impl.tests.test_migrations import LEGACY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

    from reference_impl.domain.agents import Agent
    from reference_impl.store.cluster import Cluster

COLUMNS = "id, user_id, name, type, status, version, capabilities, last_ping, metadata, created_at, updated_at"
OLD = """CREATE TABLE agents (
    id VARCHAR(128) NOT NULL PRIMARY KEY, user_id VARCHAR(255) NOT NULL, name TEXT NOT NULL,
    type VARCHAR(32) NOT NULL, status VARCHAR(32) NOT NULL, version TEXT NOT NULL, capabilities {document},
    last_ping {moment}, metadata {document}, created_at {moment} NOT NULL, updated_at {moment} NOT NULL)"""
TIMES = {"last_ping", "created_at", "updated_at"}
KINDS = {"new types": ("JSON", "TIMESTAMPTZ"), "old types": ("JSONB", "TIMESTAMP")}


def old_rows(path: Path) -> list[dict[str, Any]]:
    """The legacy rows, from SQLite."""
    with sqlite3.connect(path) as connection:
        connection.executescript(LEGACY.read_text("utf-8"))
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT {COLUMNS} FROM agents")]  # noqa: S608 - a constant


def literal(name: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if name in TIMES and str(value).isdecimal():
        seconds = int(value) if int(value) < 10**11 else int(value) / 1000
        return f"to_timestamp({seconds}) AT TIME ZONE 'UTC'"
    quoted = "'" + str(value).replace("'", "''") + "'"
    return f"{quoted}::timestamptz AT TIME ZONE 'UTC'" if name in TIMES else quoted


@pytest.fixture(params=list(KINDS))
def empty(request: pytest.FixtureRequest, postgres: Cluster) -> Iterator[tuple[str, str]]:
    url = postgres.make(empty=True)
    yield url, request.param
    postgres.drop(url)


@pytest_asyncio.fixture
async def engine(empty: tuple[str, str]) -> AsyncIterator[AsyncEngine]:
    """A database with the old table; its session is in UTC."""
    made = make_engine(database_url(empty[0]))
    document, moment = KINDS[empty[1]]
    async with made.begin() as connection:
        await connection.execute(text("SET TIME ZONE 'UTC'"))
        await connection.execute(text(OLD.format(document=document, moment=moment)))
    yield made
    await made.dispose()


async def fill(engine: AsyncEngine, rows: list[dict[str, Any]]) -> set[str]:
    """Put the rows in that PostgreSQL takes; it refuses what is no JSON and no time."""
    taken = set()
    for row in rows:
        values = ", ".join(literal(name, value) for name, value in row.items())
        try:
            async with engine.begin() as connection:
                await connection.exec_driver_sql("SET TIME ZONE 'UTC'")
                await connection.exec_driver_sql(f"INSERT INTO agents ({COLUMNS}) VALUES ({values})")  # noqa: S608
                taken.add(row["id"])
        except DBAPIError:
            continue
    return taken


async def agents_of(engine: AsyncEngine) -> dict[str, Agent]:
    commits = GroupCommit(engine)
    store = SqlAgents(engine, commits)
    return {one.agent_id: one for user in ("alice", "bob", "carol") for one in await store.all_of(user)}


async def test_the_same_agents_as_on_sqlite(engine: AsyncEngine, tmp_path: Path) -> None:
    """Every old row that PostgreSQL can hold becomes the agent it becomes on SQLite, and none is lost."""
    taken = await fill(engine, old_rows(tmp_path / "old"))
    lite = make_engine(database_url(str(tmp_path / "old")))
    await upgrade(lite)
    await upgrade(engine)
    expected = {name: agent for name, agent in (await agents_of(lite)).items() if name in taken}
    assert len(taken) > 20
    assert await agents_of(engine) == expected
    await lite.dispose()


async def test_up_again_and_back(engine: AsyncEngine, tmp_path: Path) -> None:
    """Migrating twice is migrating once; rolled back, the old words are there; forward again, the same agents."""
    await fill(engine, old_rows(tmp_path / "old"))
    await upgrade(engine)
    once = await agents_of(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    await upgrade(engine)
    assert await agents_of(engine) == once
    await downgrade(engine, to="0001")
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM agents WHERE id = 'ordinary'"))).mappings().one()
    old = row["metadata"]["performance_metrics"]
    assert (row["status"], row["type"], old["commands_executed"]) == ("online", "claude", 7)
    await upgrade(engine)
    assert await agents_of(engine) == once


async def test_nul_can_be_stored_afterwards(engine: AsyncEngine, tmp_path: Path) -> None:
    """Also where the old columns could not hold one."""
    await fill(engine, old_rows(tmp_path / "old"))
    await upgrade(engine)
    commits = GroupCommit(engine)
    agent = (await agents_of(engine))["ordinary"]
    changed = replace(agent, name="a\0b", metadata={"x": "\0"})
    await SqlAgents(engine, commits).save(changed)
    assert (await agents_of(engine))["ordinary"] == changed
    await commits.close()


@pytest.fixture
def two(postgres: Cluster) -> Iterator[list[str]]:
    urls = [postgres.make(empty=True), postgres.make(empty=True)]
    yield urls
    for url in urls:
        postgres.drop(url)


async def test_empty_database_and_migrated_one_are_alike(two: list[str]) -> None:
    """The short way for an empty database makes the same schema as all migrations together, and back to nothing."""
    made = [make_engine(database_url(url)) for url in two]
    async with made[1].begin() as connection:
        await connection.execute(text("CREATE TABLE something (x INTEGER)"))
    for engine in made:
        await upgrade(engine)
    async with made[1].begin() as connection:
        await connection.execute(text("DROP TABLE something"))
    schemas = []
    for engine in made:
        async with engine.connect() as connection:
            schemas.append(await connection.run_sync(schema))
    assert schemas[0] == schemas[1]
    async with made[0].connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == HEAD
    await downgrade(made[0], to="base")
    async with made[0].connect() as connection:
        assert await connection.run_sync(lambda inner: inspect(inner).get_table_names()) == ["alembic_version"]
    for engine in made:
        await engine.dispose()


def schema(connection: Connection) -> dict[str, Any]:
    found = inspect(connection)
    return {
        table: (
            {(column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(table)},
            {(index["name"], index["unique"], tuple(index["column_names"])) for index in found.get_indexes(table)},
            found.get_pk_constraint(table)["constrained_columns"],
            {tuple(key["constrained_columns"]) for key in found.get_foreign_keys(table)},
        )
        for table in found.get_table_names()
    }
