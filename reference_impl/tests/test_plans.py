"""A statement that is told to the driver itself finds what SQLAlchemy finds, in both databases."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Executable, select
from sqlalchemy.exc import IntegrityError

from reference_impl.app import make_parts
from reference_impl.domain.agents import Agent, Metrics
from reference_impl.domain.audit import AuditEntry
from reference_impl.domain.commands import Change, Command, Constraints, Part
from reference_impl.domain.output import Chunk, Kept, Trace
from reference_impl.domain.vocabulary import AgentStatus, AgentType, CommandStatus, CommandType, StreamType
from reference_impl.settings import Settings
from reference_impl.store import sql, sql_commands
from reference_impl.store.account_tables import audit_log
from reference_impl.store.audit import AuditQuery
from reference_impl.store.commands import CommandTaken
from reference_impl.store.database import database_url, make_engine
from reference_impl.store.group_commit import Row, Statement
from reference_impl.store.plans import fixed
from reference_impl.store.reading import Reads
from reference_impl.store.tables import agents

ODD = 'NUL \0, \ufdd0, "quoted", \u00e9\U0001f600'
AGENT = Agent(
    "a1", "alice", ODD, AgentType.CLAUDE, AgentStatus.ONLINE, "1.0", ("basic", ODD), 1001, 253_402_300_799_999
)
PART = Part("a1", CommandStatus.EXECUTING, delivered_to="c1", started_at=5, tokens_used=7, execution_time=3)
COMMAND = Command("k1", "alice", ODD, CommandType.NATURAL, True, 7, Constraints(token_budget=3), (PART,), 3, 4)


@pytest_asyncio.fixture
async def parts(database: str) -> AsyncIterator[Any]:
    """What a server is made of, over such a database."""
    made = make_parts(Settings(database_url=database, jwt_secret="s" * 32))
    await made.database.start()
    yield made
    await made.database.close()


async def seen(parts: Any, database: str, statement: Executable, given: Mapping[str, Any]) -> Sequence[Any]:
    """What the statement finds: the same both ways, with the same names in the same order."""
    through = make_engine(database_url(database))
    async with through.connect() as connection:
        usual = [dict(row) for row in (await connection.execute(statement, given)).mappings().all()]
    await through.dispose()
    rows = [dict(row) for row in await Reads(parts.audit._reads._engine).rows(statement, given)]
    assert [list(row.items()) for row in rows] == [list(row.items()) for row in usual]
    return rows


async def test_agents(parts: Any, database: str) -> None:
    beaten = replace(
        AGENT, agent_id="a2", last_heartbeat=2, metrics=Metrics(3, 60, 256, 12.5, 2000), metadata={"x": None}
    )
    await parts.agents.save(AGENT)
    await parts.agents.save(beaten)
    do = sql._Statements(parts.audit._reads._engine.dialect.name)
    page = {"user": "alice", "type": "", "status": "ONLINE", "limit": 5, "offset": 0}
    assert len(await seen(parts, database, do.page, page)) == 2
    assert len(await seen(parts, database, do.all_of, {"user": "alice"})) == 2
    assert len(await seen(parts, database, do.count, {"user": "alice", "type": "", "status": ""})) == 1
    assert (await seen(parts, database, do.get, {"agent": "a1"}))[0]["name"] == ODD
    assert not await seen(parts, database, do.get, {"agent": "nobody"})


async def test_commands(parts: Any, database: str) -> None:
    first, second = await parts.commands.add(COMMAND), await parts.commands.add(replace(COMMAND, command_id="k2"))
    assert (first.number, second.number) == (1, 2)
    with pytest.raises(CommandTaken):
        await parts.commands.add(COMMAND)
    done = replace(first, updated_at=9, parts=(replace(PART, status=CommandStatus.FAILED, error=ODD, completed_at=8),))
    await parts.commands.save([Change(first, done)])
    do = sql_commands._Statements()
    assert (await seen(parts, database, do.get, {"command": "k1"}))[0]["updated_at"] == 9
    assert (await seen(parts, database, do.parts_of, {"command": "k1"}))[0]["error"] == ODD
    assert len(await seen(parts, database, do.counts, {"user": "alice"})) == 2
    assert await sql_commands.SqlCommands(parts.audit._reads._engine, parts.audit._commits).get("k1") == done


async def test_outputs(parts: Any, database: str) -> None:
    chunk = Chunk("alice", "a1", None, "c1", StreamType.STDOUT, ODD, None, 4, 5)
    kept = [await parts.outputs.append(replace(chunk, sequence=sequence)) for sequence in (4, 4, 3, 5)]
    assert kept == [Kept.NEW, Kept.KNOWN, Kept.BEHIND, Kept.NEW]
    trace = Trace("alice", "a1", "k1", "t1", None, {"content": ODD})
    assert await parts.outputs.save_trace(trace)
    assert not await parts.outputs.save_trace(replace(trace, agent_id="a2"))
    do = parts.outputs._do
    assert len(await seen(parts, database, do.nodes, {"user_id": "alice", "command_id": "k1"})) == 1
    assert len(await seen(parts, database, do.known, {"source": "c1", "agent_id": "a1", "sequence": 5})) == 1


async def test_rows_of_one_moment_are_all_kept_in_their_order(parts: Any) -> None:
    entries = [AuditEntry(str(n), "TEST", 1000, "alice", details={"number": n, "said": ODD}) for n in range(9)]
    await asyncio.gather(parts.agents.save(AGENT), *map(parts.audit.add, entries))
    found, count = await parts.audit.page(AuditQuery("alice"))
    assert ([entry.details["number"] for entry in found], count) == (list(range(8, -1, -1)), 9)


async def test_one_that_cannot_be_kept_takes_no_other_with_it(parts: Any) -> None:
    entry = AuditEntry("1", "TEST", 1000, "alice")
    commits = parts.audit._commits
    row: dict[str, Any] = {
        "id": "x", "event_type": "TEST", "user_id": "alice", "agent_id": None, "command_id": None, "details": {},
        "ip_address": None, "user_agent": None, "created_at": None,
    }  # fmt: skip
    add = fixed(audit_log.insert())
    refused = commits.write(Row(add, row))
    done = await asyncio.gather(refused, parts.audit.add(entry), parts.agents.save(AGENT), return_exceptions=True)
    assert [type(one) for one in done] == [IntegrityError, type(None), type(None)]
    assert (await parts.audit.page(AuditQuery("alice")))[1] == 1
    assert await parts.agents.get("a1") is not None


async def test_a_statement_says_how_many_rows_it_changed(parts: Any) -> None:
    await parts.agents.save(AGENT)
    rename = fixed(agents.update().where(agents.c.user_id == "alice").values(version="2"))
    none = fixed(agents.update().where(agents.c.user_id == "bob").values(version="2"))
    commits = parts.audit._commits
    assert [await commits.write(Statement(one)) for one in (rename, none)] == [1, 0]
    rows = await Reads(parts.audit._reads._engine).rows(select(agents.c.version))
    assert [row["version"] for row in rows] == ["2"]
