"""What was read once is never older at the next read, in whatever order writes come to be committed (AGT-7, HB-2)."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from reference_impl.clock import SystemClock, Timer
from reference_impl.domain.agents import Agent, Metrics
from reference_impl.domain.vocabulary import AgentStatus, AgentType
from reference_impl.logs import make_log
from reference_impl.store import AgentQuery, Taken
from reference_impl.store.buffered import BufferedAgents
from reference_impl.store.cached import CachedAgents
from reference_impl.store.database import database_url, make_engine
from reference_impl.store.group_commit import GroupCommit
from reference_impl.store.migrate import upgrade
from reference_impl.store.plain_commits import PlainCommits
from reference_impl.store.sql import SqlAgents
from reference_impl.store.tables import users

ONLINE = Agent("a1", "alice", "Ada", AgentType.CLAUDE, AgentStatus.ONLINE, "1.0", ("basic",), 1000, 1000)
BEATEN = replace(ONLINE, updated_at=2000, last_heartbeat=2000, metrics=Metrics(3, 60, 256, 12.5, 2000))
OFFLINE = replace(BEATEN, updated_at=3000, status=AgentStatus.OFFLINE)


class StillClock(SystemClock):
    """Nothing happens by itself: a test flushes when it wants to."""

    def call_later(self, _delay: float, _call: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(3600, lambda: None)


class Store:
    """The buffer over real SQL, whose one writer can be held up."""

    def __init__(self, database: str) -> None:
        self.engine = make_engine(database_url(database))
        self.commits = GroupCommit(self.engine)
        self.sql = SqlAgents(self.engine, self.commits)
        self.clock = StillClock()
        self.agents = BufferedAgents(self.sql, self.clock, make_log("error"), 0.2)

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """What is written inside is committed only after the block."""
        begun, go = asyncio.Event(), asyncio.Event()

        async def hold(_connection: AsyncConnection) -> None:
            begun.set()
            await go.wait()

        holding = asyncio.create_task(self.commits.write(hold))
        await begun.wait()
        yield
        go.set()
        await holding


@pytest_asyncio.fixture
async def store(database: str) -> AsyncIterator[Store]:
    made = Store(database)
    await upgrade(made.engine)
    await made.agents.save(ONLINE)
    yield made
    await made.commits.close()
    await made.engine.dispose()


@pytest_asyncio.fixture(params=[GroupCommit, PlainCommits])
async def commits(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GroupCommit]:
    """Both ways to write, on an empty SQLite file."""
    engine = make_engine(database_url(str(tmp_path / "onsembl.sqlite3")))
    await upgrade(engine)
    made: GroupCommit = request.param(engine)
    yield made
    await made.close()
    await engine.dispose()


async def test_a_write_that_fails_fails_alone(commits: GroupCommit) -> None:
    """Of writes that share a transaction, the good ones are committed and the bad one's fault is its caller's."""

    def user(name: str | None) -> Callable[[AsyncConnection], Awaitable[int]]:
        async def write(connection: AsyncConnection) -> int:
            return (await connection.execute(insert(users), {"id": name, "created_at": 1})).rowcount

        return write

    outcomes = await asyncio.gather(
        *(commits.write(user(name)) for name in ("alice", None, "bob", "alice")), return_exceptions=True
    )
    assert [one if isinstance(one, int) else type(one) for one in outcomes] == [1, IntegrityError, 1, IntegrityError]

    async def count(connection: AsyncConnection) -> int:
        return int((await connection.execute(select(func.count()).select_from(users))).scalar_one())

    assert await commits.write(count) == 2


async def test_a_write_on_the_spot_waits_for_nothing_else(tmp_path: Path) -> None:
    """A write that awaits anything but the database is a fault, and leaves nothing behind."""
    engine = make_engine(database_url(str(tmp_path / "onsembl.sqlite3")))
    commits = PlainCommits(engine)
    with pytest.raises(RuntimeError, match="nothing but the database"):
        await commits.write(lambda _connection: asyncio.sleep(0))
    await commits.close()
    await engine.dispose()


async def test_flush_never_undoes_a_save(store: Store) -> None:
    """Heartbeats flushed while a whole agent is being written do not come after it."""
    store.agents.beat(BEATEN)
    async with store.held_up():
        save = asyncio.create_task(store.agents.save(OFFLINE))
        await asyncio.sleep(0)
        flush = asyncio.create_task(store.agents.flush())
        await asyncio.sleep(0)
    await asyncio.gather(save, flush)
    assert await store.agents.get("a1") == OFFLINE
    assert (await store.agents.page(AgentQuery("alice"))).agents == [OFFLINE]
    assert await store.sql.get("a1") == OFFLINE


async def test_heartbeat_is_seen_while_a_save_waits(store: Store) -> None:
    """Until the whole agent is committed, reads go on seeing the heartbeat that it takes the place of."""
    store.agents.beat(BEATEN)
    async with store.held_up():
        save = asyncio.create_task(store.agents.save(OFFLINE))
        await asyncio.sleep(0)
        assert await store.agents.get("a1") == BEATEN
        assert await store.agents.all_of("alice") == [BEATEN]
    await save
    assert await store.agents.all_of("alice") == [OFFLINE]


async def test_heartbeat_survives_a_save_that_fails(store: Store) -> None:
    """What the failed write would have held waits again, and is written at the next flush."""
    store.agents.beat(BEATEN)
    with pytest.raises(Taken):
        await store.agents.save(replace(OFFLINE, user_id="bob"))
    assert await store.agents.get("a1") == BEATEN
    await store.agents.flush()
    assert await store.sql.get("a1") == BEATEN


async def test_later_heartbeat_outlives_an_earlier_save(store: Store) -> None:
    """A heartbeat that comes while an agent is being written is newer than what is written, and is kept."""
    later = replace(OFFLINE, updated_at=4000, last_heartbeat=4000)
    async with store.held_up():
        save = asyncio.create_task(store.agents.save(OFFLINE))
        await asyncio.sleep(0)
        store.agents.beat(later)
    await save
    assert await store.agents.get("a1") == later
    await store.agents.flush()
    assert await store.sql.get("a1") == later


async def test_memory_says_what_the_database_says(store: Store) -> None:
    """Whatever is written, alone or side by side, lists and pages from memory are those from the database."""
    cached = CachedAgents(store.agents, store.clock, 60)
    known = {"a1": ONLINE}
    dice = random.Random(1)

    async def step(agent_id: str) -> None:
        agent = known.get(agent_id)
        if agent is None:
            agent = replace(ONLINE, agent_id=agent_id, created_at=1000 + dice.randrange(3))
        elif dice.random() < 0.2:
            del known[agent_id]
            return await cached.delete(agent)
        status = dice.choice([AgentStatus.ONLINE, AgentStatus.OFFLINE])
        known[agent_id] = agent = replace(agent, status=status, updated_at=agent.updated_at + 1)
        if agent_id in {"a1", "a2"} or dice.random() < 0.5:
            return await cached.save(agent)
        await cached.save(agent)
        known[agent_id] = agent = replace(agent, last_heartbeat=agent.updated_at + 1, updated_at=agent.updated_at + 1)
        cached.beat(agent)
        return None

    for _ in range(60):
        await asyncio.gather(*(step(f"a{one}") for one in dice.sample(range(12), 2)), cached.all_of("alice"))
        assert await cached.all_of("alice") == await store.agents.all_of("alice")
        page = AgentQuery("alice", status=AgentStatus.ONLINE, limit=3, offset=1)
        assert await cached.page(page) == await store.agents.page(page)
    assert await cached.all_of("bob") == []
    await cached.save(replace(ONLINE, agent_id="mine"))
    with pytest.raises(Taken):
        await cached.save(replace(ONLINE, agent_id="mine", user_id="bob"))
    assert await cached.all_of("bob") == []


async def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    """While another process holds SQLite's one lock, a write waits and this process goes on."""
    path = tmp_path / "onsembl.sqlite3"
    engine = make_engine(database_url(str(path)))
    await upgrade(engine)
    commits = PlainCommits(engine)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        statement = insert(users).values(id="alice", created_at=1)
        writing = asyncio.create_task(commits.write(lambda connection: connection.execute(statement)))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(writing), 0.05)
        other.rollback()
    await writing
    await commits.close()
    await engine.dispose()
