"""What is shown of the database to those who may look: the table as stored, and a migration done (DAT-1, DAT-2)."""

from pathlib import Path

import orjson
import pytest

from reference_impl.domain.agents import Agent, Metrics
from reference_impl.domain.vocabulary import AgentStatus, AgentType
from reference_impl.store import UnusableDatabaseError
from reference_impl.store.database import database_url, make_engine
from reference_impl.store.evidence import as_json, collect, migrated
from reference_impl.store.group_commit import GroupCommit
from reference_impl.store.migrate import upgrade
from reference_impl.store.sql import SqlAgents

METRICS = Metrics(3, 60, 256, 12.5, 2000)
ADA = Agent(
    "a1", "alice", "Ada", AgentType.CLAUDE, AgentStatus.ONLINE, "1.0", ("basic", "trace"), 1000, 2000, 2000, METRICS
)


async def test_rows_are_shown_as_stored(tmp_path: Path) -> None:
    """Every column is shown, those of JSON parsed; also while the database is in use."""
    path = tmp_path / "a strange #name.sqlite3"
    engine = make_engine(database_url(str(path)))
    commits = GroupCommit(engine)
    await upgrade(engine)
    await SqlAgents(engine, commits).save(ADA)
    assert collect(str(path))["agents"] == [
        {
            "id": "a1",
            "user_id": "alice",
            "name": "Ada",
            "type": "CLAUDE",
            "status": "ONLINE",
            "version": "1.0",
            "capabilities": ["basic", "trace"],
            "last_ping": "1970-01-01T00:00:02.000Z",
            "metadata": {
                "metrics": {
                    "commandsExecuted": 3,
                    "uptime": 60,
                    "memoryUsage": 256,
                    "cpuUsage": 12.5,
                    "lastUpdated": "1970-01-01T00:00:02.000Z",
                }
            },
            "created_at": "1970-01-01T00:00:01.000Z",
            "updated_at": "1970-01-01T00:00:02.000Z",
        }
    ]
    await commits.close()
    await engine.dispose()


def test_sample_goes_up_twice_and_back() -> None:
    """The migration is done on the sample of old rows; before it they are as old as they can be."""
    seen = migrated()
    ids = [row["id"] for row in seen["before"]]
    assert len(ids) > 30
    assert all([row["id"] for row in rows] == ids for rows in seen.values())
    assert {row["status"] for row in seen["before"]} > {"online", "Offline", "OFFLINE"}
    assert {row["status"] for row in seen["after"]} == {"ONLINE", "OFFLINE", "CONNECTING", "ERROR"}
    assert seen["again"] == seen["after"]
    assert {row["status"] for row in seen["back"]} == {"online", "offline", "connecting", "error"}


def test_json_is_for_every_reader() -> None:
    """What is no Unicode text in an old row becomes a replacement character, so that strict readers take the rest."""
    assert orjson.loads(as_json(migrated()))["before"]


def test_missing_database_is_not_made(tmp_path: Path) -> None:
    """Looking changes nothing."""
    with pytest.raises(UnusableDatabaseError, match="Cannot use the database"):
        collect(str(tmp_path / "none.sqlite3"))
    assert list(tmp_path.iterdir()) == []
