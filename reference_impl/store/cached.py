"""The plan's cache: single agents in memory, updated on changes, for at most some seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.clock import Clock
    from reference_impl.domain.agents import Agent
    from reference_impl.store import AgentQuery, AgentStore, Page

_ROOM: Final = 50_000


class CachedAgents:
    """Agents looked up one by one come from memory; pages and lists always from the store below.

    Every write goes through here and brings the memory up to date before it returns, so the
    channels cannot disagree (CNS-1). The time to live bounds what a change made behind the
    server's back can do.
    """

    def __init__(self, inner: AgentStore, clock: Clock, ttl_s: float) -> None:
        self._inner = inner
        self._clock = clock
        self._ttl = ttl_s
        self._known: dict[str, tuple[float, Agent]] = {}
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
        """One page, from the store below."""
        return await self._inner.page(query)

    async def all_of(self, user_id: str) -> Sequence[Agent]:
        """All of a user, from the store below."""
        return await self._inner.all_of(user_id)

    async def save(self, agent: Agent) -> None:
        """Write; then the memory holds what was written."""
        self._forget(agent.agent_id)
        await self._inner.save(agent)
        self._keep(agent)

    async def delete(self, agent: Agent) -> None:
        """Remove."""
        self._forget(agent.agent_id)
        await self._inner.delete(agent)
        self._forget(agent.agent_id)

    def beat(self, agent: Agent) -> None:
        """Keep a heartbeat, here and below."""
        self._inner.beat(agent)
        self._keep(agent)

    async def all_offline(self, now: int) -> int:
        """Mark every agent OFFLINE (CON-7)."""
        self._known.clear()
        self._writes += 1
        return await self._inner.all_offline(now)

    async def flush(self) -> None:
        """Commit what waits."""
        await self._inner.flush()

    def _keep(self, agent: Agent) -> None:
        if len(self._known) >= _ROOM and agent.agent_id not in self._known:
            self._known.pop(next(iter(self._known)))
        self._known[agent.agent_id] = (self._clock.monotonic() + self._ttl, agent)
        self._writes += 1

    def _forget(self, agent_id: str) -> None:
        self._known.pop(agent_id, None)
        self._writes += 1
