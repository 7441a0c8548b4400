"""Agents and users in SQL, over SQLAlchemy Core."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Integer, String, bindparam, delete, func, or_, select, update

from reference_impl.domain.vocabulary import AgentStatus
from reference_impl.store import AgentQuery, Page, Taken
from reference_impl.store.group_commit import Statement
from reference_impl.store.plans import fixed
from reference_impl.store.reading import Reads
from reference_impl.store.rows import agent_of, beat_of, row_of
from reference_impl.store.tables import agents, users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Executable, Select

    from reference_impl.clock import Clock
    from reference_impl.domain.agents import Agent
    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import GroupCommit

_KEPT: Final = frozenset({"id", "user_id", "created_at"})
_BEATEN: Final = ("last_ping", "metadata", "updated_at")
_FARTHEST: Final = 2**62
"""No table has more rows than this, and no database takes much larger numbers."""


class _Statements:
    """Every statement on agents, built once: building costs more than running."""

    def __init__(self, dialect: str) -> None:
        mine = agents.c.user_id == bindparam("user")
        order = (agents.c.created_at.desc(), agents.c.id)
        wanted: Any = mine & or_(_all("type"), agents.c.type == bindparam("type"))
        wanted &= or_(_all("status"), agents.c.status == bindparam("status"))
        one = agents.c.id == bindparam("agent")
        insert = _insert(dialect)(agents)
        offline = AgentStatus.OFFLINE.value
        self.get = fixed(select(agents).where(one))
        self.all_of = fixed(select(agents).where(mine).order_by(*order))
        self.page = select(agents).where(wanted).order_by(*order)
        self.page = fixed(
            self.page.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=BigInteger))
        )
        self.count = fixed(select(func.count().label("count")).select_from(agents).where(wanted))
        self.save = insert.on_conflict_do_update(
            index_elements=[agents.c.id],
            set_={column.name: insert.excluded[column.name] for column in agents.c if column.name not in _KEPT},
            where=agents.c.user_id == insert.excluded.user_id,
        )
        self.save = fixed(self.save)
        self.delete = fixed(delete(agents).where(one, mine))
        self.beat = fixed(update(agents).where(one).values({name: bindparam(name) for name in _BEATEN}))
        self.all_offline = update(agents).where(agents.c.status != offline).values(status=offline)


class SqlAgents:
    """The `agents` table; `beat` is not here, because it must not wait: see `buffered`."""

    def __init__(self, engine: Engine, commits: GroupCommit) -> None:
        self._reads = Reads(engine)
        self._commits = commits
        self._do = _Statements(engine.dialect.name)

    async def get(self, agent_id: str) -> Agent | None:
        """The agent, whoever owns it."""
        found = await self._read(self._do.get, {"agent": agent_id})
        return found[0] if found else None

    async def page(self, query: AgentQuery) -> Page:
        """One page, newest first, ties by agent id (AGT-9, AGT-13)."""
        matching = {"user": query.user_id, "type": query.type or "", "status": query.status or ""}
        offset = min(query.offset, _FARTHEST)
        found = await self._read(self._do.page, {**matching, "limit": query.limit, "offset": offset})
        total = query.offset + len(found)
        if len(found) == query.limit or (query.offset and not found):  # there may be more, or fewer
            total = await self._reads.number(self._do.count, matching)
        return Page(found, total)

    async def all_of(self, user_id: str) -> Sequence[Agent]:
        """All agents of one user, in the order of pages."""
        return await self._read(self._do.all_of, {"user": user_id})

    async def _read(self, query: Select[Any], parameters: Mapping[str, object]) -> list[Agent]:
        return [agent_of(row) for row in await self._reads.rows(query, parameters)]

    async def save(self, agent: Agent) -> None:
        """Insert or update; never another user's row, even when two register the same id at once (CON-5)."""
        if not await self._write(self._do.save, row_of(agent)):
            raise Taken(agent.agent_id)

    async def delete(self, agent: Agent) -> None:
        """Remove it."""
        await self._write(self._do.delete, {"agent": agent.agent_id, "user": agent.user_id})

    async def beats(self, beaten: Sequence[Agent]) -> None:
        """Write the heartbeats of many agents in one statement."""
        await self._write(self._do.beat, [{"agent": agent.agent_id, **beat_of(agent)} for agent in beaten])

    async def all_offline(self, now: int) -> int:
        """Mark every agent OFFLINE (CON-7)."""
        return await self._write(self._do.all_offline, {"updated_at": now})

    async def _write(self, statement: Executable, parameters: Any) -> int:
        return await self._commits.write(Statement(statement, parameters))


class SqlUsers:
    """The `users` table; users are never removed, so one that was seen need not be looked up again."""

    def __init__(self, engine: Engine, commits: GroupCommit, clock: Clock) -> None:
        self._reads = Reads(engine)
        insert = _insert(engine.dialect.name)(users)
        known = users.c.email.is_(None) & insert.excluded.email.is_not(None)
        set_email = {"email": insert.excluded.email}
        self._ensure = fixed(insert.on_conflict_do_update(index_elements=[users.c.id], set_=set_email, where=known))
        self._commits = commits
        self._clock = clock
        self._seen: set[str] = set()

    async def exists(self, user_id: str) -> bool:
        """Whether there is such a user (AUTH-1)."""
        if user_id in self._seen:
            return True
        found = await self._reads.first(select(users.c.id).where(users.c.id == user_id))
        if found is not None:
            self._seen.add(user_id)
        return found is not None

    async def by_email(self, email: str) -> str | None:
        """The user with this address; of several the oldest."""
        found = select(users.c.id).where(func.lower(users.c.email) == email.lower())
        oldest = await self._reads.first(found.order_by(users.c.created_at, users.c.id).limit(1))
        return None if oldest is None else str(oldest["id"])

    async def email_of(self, user_id: str) -> str | None:
        """The user's address."""
        known = await self._reads.first(select(users.c.email).where(users.c.id == user_id))
        email: str | None = known and known["email"]
        return email

    async def ensure(self, user_id: str, email: str | None = None) -> None:
        """Make the user, if there is none yet."""
        if user_id in self._seen:
            return
        row = {"id": user_id, "email": email, "created_at": self._clock.now_ms()}
        await self._commits.write(Statement(self._ensure, row))
        self._seen.add(user_id)


def _all(column: str) -> ColumnElement[bool]:
    """Whether a filter is not used: then it is empty."""
    return bindparam(column, type_=String) == ""


def _insert(dialect: str) -> Any:
    """Find the dialect's own INSERT, which knows ON CONFLICT; only the dialect in use is imported."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert
