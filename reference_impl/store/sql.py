"""Agents and users in SQL, over SQLAlchemy Core."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, bindparam, delete, func, select, update

from reference_impl.domain.vocabulary import AgentStatus
from reference_impl.store import AgentQuery, Page, Taken
from reference_impl.store.rows import agent_of, beat_of, row_of
from reference_impl.store.tables import agents, users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from reference_impl.clock import Clock
    from reference_impl.domain.agents import Agent
    from reference_impl.store.group_commit import GroupCommit

_KEPT = frozenset({"id", "user_id", "created_at"})


class SqlAgents:
    """The `agents` table; `beat` is not here, because it must not wait: see `buffered`."""

    def __init__(self, engine: AsyncEngine, commits: GroupCommit) -> None:
        self._engine = engine
        self._commits = commits

    async def get(self, agent_id: str) -> Agent | None:
        """The agent, whoever owns it."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(agents).where(agents.c.id == agent_id))).mappings().first()
        return None if row is None else agent_of(dict(row))

    async def page(self, query: AgentQuery) -> Page:
        """One page, newest first, ties by agent id (AGT-9, AGT-13)."""
        matching = select(agents).where(agents.c.user_id == query.user_id)
        if query.type is not None:
            matching = matching.where(agents.c.type == query.type.value)
        if query.status is not None:
            matching = matching.where(agents.c.status == query.status.value)
        async with self._engine.connect() as connection:
            found = await self._read(connection, _ordered(matching).limit(query.limit).offset(query.offset))
            total = query.offset + len(found)
            if len(found) == query.limit or (query.offset and not found):  # there may be more, or fewer
                counted = select(func.count()).select_from(matching.subquery())
                total = (await connection.execute(counted)).scalar_one()
        return Page(found, total)

    async def all_of(self, user_id: str) -> Sequence[Agent]:
        """All agents of one user, in the order of pages."""
        async with self._engine.connect() as connection:
            return await self._read(connection, _ordered(select(agents).where(agents.c.user_id == user_id)))

    async def _read(self, connection: AsyncConnection, query: Select[Any]) -> list[Agent]:
        rows = (await connection.execute(query)).mappings().all()
        return [agent_of(dict(row)) for row in rows]

    async def save(self, agent: Agent) -> None:
        """Insert or update; never another user's row, even when two register the same id at once (CON-5)."""
        row = row_of(agent)
        insert = _insert(self._engine)(agents).values(row)
        upsert = insert.on_conflict_do_update(
            index_elements=[agents.c.id],
            set_={name: insert.excluded[name] for name in row if name not in _KEPT},
            where=agents.c.user_id == insert.excluded.user_id,
        )

        async def write(connection: AsyncConnection) -> int:
            return (await connection.execute(upsert)).rowcount

        if not await self._commits.write(write):
            raise Taken(agent.agent_id)

    async def delete(self, agent: Agent) -> None:
        """Remove it."""
        gone = delete(agents).where(agents.c.id == agent.agent_id, agents.c.user_id == agent.user_id)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(gone)

        await self._commits.write(write)

    async def beats(self, beaten: Sequence[Agent]) -> None:
        """Write the heartbeats of many agents in one statement."""
        rows = [{"agent": agent.agent_id, **beat_of(agent)} for agent in beaten]
        values: dict[str, Any] = {name: bindparam(name) for name in ("last_ping", "metadata", "updated_at")}
        change = update(agents).where(agents.c.id == bindparam("agent")).values(values)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(change, rows)

        await self._commits.write(write)

    async def all_offline(self, now: int) -> int:
        """Mark every agent OFFLINE (CON-7)."""
        offline = AgentStatus.OFFLINE.value
        change = update(agents).where(agents.c.status != offline).values(status=offline, updated_at=now)

        async def write(connection: AsyncConnection) -> int:
            return (await connection.execute(change)).rowcount

        return await self._commits.write(write)


class SqlUsers:
    """The `users` table; users are never removed, so one that was seen need not be looked up again."""

    def __init__(self, engine: AsyncEngine, commits: GroupCommit, clock: Clock) -> None:
        self._engine = engine
        self._commits = commits
        self._clock = clock
        self._seen: set[str] = set()

    async def exists(self, user_id: str) -> bool:
        """Whether there is such a user (AUTH-1)."""
        if user_id in self._seen:
            return True
        async with self._engine.connect() as connection:
            found = (await connection.execute(select(users.c.id).where(users.c.id == user_id))).first()
        if found is not None:
            self._seen.add(user_id)
        return found is not None

    async def ensure(self, user_id: str) -> None:
        """Make the user, if there is none yet."""
        if user_id in self._seen:
            return
        row = {"id": user_id, "email": None, "created_at": self._clock.now_ms()}
        insert = _insert(self._engine)(users).values(row).on_conflict_do_nothing()

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(insert)

        await self._commits.write(write)
        self._seen.add(user_id)


def _ordered(query: Select[Any]) -> Select[Any]:
    return query.order_by(agents.c.created_at.desc(), agents.c.id)


def _insert(engine: AsyncEngine) -> Any:
    """Find the dialect's own INSERT, which knows ON CONFLICT; only the dialect in use is imported."""
    return import_module(f"sqlalchemy.dialects.{engine.dialect.name}").insert
