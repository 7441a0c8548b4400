"""The schema and the plan's data migration, on a database of before the plan (DAT-1, DAT-2)."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from reference_impl.domain.vocabulary import AgentStatus, AgentType
from reference_impl.store.database import database_url, make_engine
from reference_impl.store.migrate import HEAD, downgrade, upgrade

LEGACY = Path(__file__).resolve().parents[2] / "fixtures" / "databases" / "legacy.sql"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agents.sqlite3"


@pytest.fixture
def legacy(path: Path) -> Path:
    with sqlite3.connect(path) as connection:
        connection.executescript(LEGACY.read_text())
    return path


async def run(step: Callable[[AsyncEngine], Awaitable[None]], path: Path) -> None:
    engine = make_engine(database_url(str(path)))
    try:
        await step(engine)
    finally:
        await engine.dispose()


def rows(path: Path) -> dict[str, dict[str, Any]]:
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        return {row["id"]: dict(row) for row in connection.execute("SELECT * FROM agents")}


def schema(path: Path) -> dict[object, set[Any]]:
    with sqlite3.connect(path) as connection:
        found: dict[object, set[Any]] = {}
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            found[table] = {(name, kind, needed, key) for _, name, kind, needed, _, key in columns}
            found[table, "indexes"] = {index[1] for index in connection.execute(f"PRAGMA index_list({table})")}
        return found


async def test_no_row_is_lost(legacy: Path) -> None:
    """The migration keeps every row, with its owner, name, version."""
    before = rows(legacy)
    await run(upgrade, legacy)
    after = rows(legacy)
    kept = ("user_id", "name", "version")
    assert {agent: [row[key] for key in kept] for agent, row in after.items()} == {
        agent: [row[key] for key in kept] for agent, row in before.items()
    }


async def test_every_row_has_the_new_form(legacy: Path) -> None:
    """Afterwards each row has known words, a capability list with basic, and metrics only in metadata.metrics."""
    await run(upgrade, legacy)
    for row in rows(legacy).values():
        metadata = orjson.loads(row["metadata"])
        assert row["status"] in AgentStatus.__members__
        assert row["type"] in AgentType.__members__
        assert orjson.loads(row["capabilities"])[0] == "basic"
        assert not {"performance_metrics", "memory_usage", "uptime"} & metadata.keys()
        for metrics in [metadata["metrics"]] if "metrics" in metadata else []:
            assert metrics.keys() == {"commandsExecuted", "uptime", "memoryUsage", "cpuUsage", "lastUpdated"}
            assert 0 <= metrics["cpuUsage"] <= 100


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("ordinary", [7, 3600, 512.5, 0, "2025-10-01T10:00:00.000Z"]),
        ("text-numbers", [12, 900, 256.25, 0, "2025-10-02T10:00:00.000Z"]),
        ("only-uptime", [0, 5, 0, 0, "2025-09-06T09:00:00.000Z"]),
        ("uptime-inside", [3, 77, 0, 12.5, "2025-09-06T10:00:00.000Z"]),
        ("null-metrics", [0, 0, 0, 0, "2025-09-06T11:00:00.000Z"]),
        ("impossible-metrics", [0, 0, 0, 100, "2025-09-06T12:00:00.000Z"]),
        ("performance-is-text", [0, 0, 1, 0, "2025-09-06T13:00:00.000Z"]),
        ("both-forms", [9, 90, 99, 9.5, "2025-10-02T11:00:00.000Z"]),
        ("mixed-case", None),
        ("null-metadata", None),
        ("nan-metadata", None),
    ],
)
async def test_metrics_move(legacy: Path, agent: str, expected: list[object] | None) -> None:
    """Old metric keys become metadata.metrics; a row that never had any has none."""
    await run(upgrade, legacy)
    metrics = orjson.loads(rows(legacy)[agent]["metadata"]).get("metrics")
    order = ("commandsExecuted", "uptime", "memoryUsage", "cpuUsage", "lastUpdated")
    assert (metrics and [metrics[key] for key in order]) == expected


@pytest.mark.parametrize(
    ("agent", "kind", "status", "capabilities"),
    [
        ("ordinary", "CLAUDE", "ONLINE", ["basic", "interrupt"]),
        ("mixed-case", "GEMINI", "OFFLINE", ["basic"]),
        ("blanks-around", "CLAUDE", "ERROR", ["basic"]),
        ("unknown-words", "CUSTOM", "OFFLINE", ["basic"]),
        ("null-capabilities", "CLAUDE", "OFFLINE", ["basic", "interrupt", "trace"]),
        ("json-null-capabilities", "CLAUDE", "OFFLINE", ["basic"]),
        ("text-capabilities", "CLAUDE", "OFFLINE", ["basic", "trace", "interrupt"]),
        ("odd-capabilities", "CLAUDE", "OFFLINE", ["basic", "trace", "interrupt"]),
        ("broken-capabilities", "CLAUDE", "OFFLINE", ["basic"]),
    ],
)
async def test_words_and_capabilities(
    legacy: Path, agent: str, kind: str, status: str, capabilities: list[str]
) -> None:
    """Type and status become words of the vocabulary, and capabilities a list, from the metadata if need be."""
    await run(upgrade, legacy)
    row = rows(legacy)[agent]
    assert (row["type"], row["status"], orjson.loads(row["capabilities"])) == (kind, status, capabilities)


async def test_other_metadata_survives(legacy: Path) -> None:
    """Keys that are no metrics stay, and metadata that was no object is kept beside them."""
    await run(upgrade, legacy)
    after = {agent: orjson.loads(row["metadata"]) for agent, row in rows(legacy).items()}
    assert after["other-keys"]["note"] == "Grüße 🚀"
    assert after["other-keys"]["deep"] == {"a": [1, {"b": None}]}
    assert after["list-metadata"] == {"legacy": [1, 2, 3]}
    assert after["broken-metadata"] == {"legacy": '{"memory_usage": '}


async def test_times_sort(legacy: Path) -> None:
    """All times have one form afterwards, so that newest first can be asked of the database."""
    await run(upgrade, legacy)
    after = rows(legacy)
    assert after["blank-time"]["last_ping"] == "2025-10-03T10:00:00.123Z"
    assert after["offset-time"]["created_at"] == "2025-09-08T08:30:00.000Z"
    assert after["number-time"]["created_at"] == "2025-09-08T08:00:00.000Z"
    assert after["no-time"]["last_ping"] is None
    assert all(row["created_at"].endswith("Z") and len(row["created_at"]) == 24 for row in after.values())


async def test_twice_is_once(legacy: Path) -> None:
    """Running the migration again, also from the version before, changes nothing."""
    await run(upgrade, legacy)
    once = rows(legacy)
    await run(upgrade, legacy)
    assert rows(legacy) == once
    with sqlite3.connect(legacy) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    await run(upgrade, legacy)
    assert rows(legacy) == once


async def test_down_and_up_again(legacy: Path) -> None:
    """Rolled back, the old keys and lower case are there again; forward once more, the same rows result."""
    await run(upgrade, legacy)
    once = rows(legacy)
    await run(partial(downgrade, to="0001"), legacy)
    old = rows(legacy)["ordinary"]
    assert (old["status"], old["type"]) == ("online", "claude")
    assert json.loads(old["metadata"])["performance_metrics"] == {"commands_executed": 7, "average_response_time": 120}
    assert rows(legacy).keys() == once.keys()
    await run(upgrade, legacy)
    assert rows(legacy) == once


async def test_owners_become_users(legacy: Path) -> None:
    """The owners of agents are users afterwards, so that their tokens open the API."""
    await run(upgrade, legacy)
    with sqlite3.connect(legacy) as connection:
        assert {user for (user,) in connection.execute("SELECT id FROM users")} == {"alice", "bob", "carol"}


async def test_empty_database_and_migrated_one_are_alike(path: Path, tmp_path: Path) -> None:
    """The short way for an empty database makes the same schema as all migrations together."""
    await run(upgrade, path)
    long_way = tmp_path / "long.sqlite3"
    with sqlite3.connect(long_way) as connection:
        connection.execute("CREATE TABLE something (x)")
    await run(upgrade, long_way)
    migrated = schema(long_way)
    del migrated["something"], migrated["something", "indexes"]
    assert schema(path) == migrated
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
