"""The plan's cache: agents in memory, updated on changes, for at most some seconds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from reference_impl.store import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reference_impl.clock import Clock
    from reference_impl.domain.agents import Agent
    from reference_impl.store import AgentQuery, AgentStore

_ROOM: Final = 50_000
_USERS: Final = 200
"""So many users' lists are kept."""
_LONGEST: Final = 10_000
"""A list of more agents is not."""


class _Whole:
    """All agents of a user."""

    def __init__(self, agents: Sequence[Agent], until: float) -> None:
        self.until = until
        self._agents = {agent.agent_id: agent for agent in agents}
        self._ordered = True

    def put(self, agent: Agent) -> None:
        """Add or change one."""
        self._ordered = self._ordered and agent.agent_id in self._agents
        self._agents[agent.agent_id] = agent

    def beat(self, agent: Agent) -> None:
        """Change one, if it is there."""
        if agent.agent_id in self._agents:
            self._agents[agent.agent_id] = agent

    def drop(self, agent_id: str) -> None:
        """Take one away."""
        self._agents.pop(agent_id, None)

    def __iter__(self) -> Iterator[Agent]:
        """Newest first, ties by agent id (AGT-9)."""
        if not self._ordered:
            agents = sorted(self._agents.values(), key=lambda agent: (-agent.created_at, agent.agent_id))
            self._agents, self._ordered = {agent.agent_id: agent for agent in agents}, True
        return iter(self._agents.values())


class CachedAgents:
    """What was written or read lately comes from memory: single agents, and all of a user.

    Every write goes through here and brings the memory up to date before it returns, so the
    channels cannot disagree (CNS-1). The time to live bounds what a change made behind the
    server's back can do. While a user's agent is being written, reads go to the store below.
    """

    def __init__(self, inner: AgentStore, clock: Clock, ttl_s: float) -> None:
        self._inner = inner
        self._clock = clock
        self._ttl = ttl_s
        self._known: dict[str, tuple[float, Agent]] = {}
        self._whole: dict[str, _Whole] = {}
        self._busy: dict[str, int] = {}
        """How many agents of each user are being written."""
        self._writes = 0

    async def get(self, agent_id: str) -> Agent | None:
        """The agent, from memory if it is there and fresh."""
        known = self._known.get(agent_id)
        if known is not None and self._clock.monotonic() < known[0]:
            return known[1]
        writes = self._writes
        agent = await self._inner.get(agent_id)
        if agent is not None and writes == self._writes:  # else it may be older than what was just written
            self._keep(agent)
        return agent

    async def page(self, query: AgentQuery) -> Page:
        """One page, of what is in memory if all of the user is there."""
        if (whole := self._fresh(query.user_id)) is None:
            return await self._inner.page(query)
        wanted = [agent for agent in whole if query.type in {None, agent.type} and query.status in {None, agent.status}]
        return Page(wanted[query.offset : query.offset + query.limit], len(wanted))

    async def all_of(self, user_id: str) -> Sequence[Agent]:
        """All of a user, from memory if they are there and fresh."""
        if (whole := self._fresh(user_id)) is not None:
            return list(whole)
        writes, busy = self._writes, user_id in self._busy
        agents = await self._inner.all_of(user_id)
        if writes == self._writes and not busy and len(agents) <= _LONGEST:
            self._whole.pop(user_id, None)
            if len(self._whole) >= _USERS:
                self._whole.pop(next(iter(self._whole)))
            self._whole[user_id] = _Whole(agents, self._clock.monotonic() + self._ttl)
        return agents

    async def save(self, agent: Agent) -> None:
        """Write; then the memory holds what was written."""
        with self._changing(agent):
            await self._inner.save(agent)
            if (whole := self._whole.get(agent.user_id)) is not None:
                whole.put(agent)
        self._keep(agent)

    async def delete(self, agent: Agent) -> None:
        """Remove."""
        with self._changing(agent):
            await self._inner.delete(agent)
            if (whole := self._whole.get(agent.user_id)) is not None:
                whole.drop(agent.agent_id)

    def beat(self, agent: Agent) -> None:
        """Keep a heartbeat, here and below."""
        self._inner.beat(agent)
        self._keep(agent)
        if (whole := self._whole.get(agent.user_id)) is not None:
            whole.beat(agent)

    async def all_offline(self, now: int) -> int:
        """Mark every agent OFFLINE (CON-7)."""
        changed = await self._inner.all_offline(now)
        self._known.clear()
        self._whole.clear()
        self._writes += 1
        return changed

    async def flush(self) -> None:
        """Commit what waits."""
        await self._inner.flush()

    def _fresh(self, user_id: str) -> _Whole | None:
        whole = None if user_id in self._busy else self._whole.get(user_id)
        return whole if whole is not None and self._clock.monotonic() < whole.until else None

    @contextmanager
    def _changing(self, agent: Agent) -> Iterator[None]:
        """Forget the agent, and look past its user's list, until it is written; one that failed leaves no list."""
        user_id = agent.user_id
        self._busy[user_id] = self._busy.get(user_id, 0) + 1
        self._forget(agent.agent_id)
        try:
            yield
        except BaseException:
            self._whole.pop(user_id, None)
            raise
        finally:
            self._forget(agent.agent_id)
            self._busy[user_id] -= 1
            if not self._busy[user_id]:
                del self._busy[user_id]

    def _keep(self, agent: Agent) -> None:
        if len(self._known) >= _ROOM and agent.agent_id not in self._known:
            self._known.pop(next(iter(self._known)))
        self._known[agent.agent_id] = (self._clock.monotonic() + self._ttl, agent)
        self._writes += 1

    def _forget(self, agent_id: str) -> None:
        self._known.pop(agent_id, None)
        self._writes += 1
