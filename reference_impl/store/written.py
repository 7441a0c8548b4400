"""Heartbeats where several nodes share a database: written before the turn ends, for the next may be elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reference_impl.domain.agents import Agent
    from reference_impl.store import AgentQuery, Page
    from reference_impl.store.sql import SqlAgents


class WrittenAgents:
    """Agents in SQL, with nothing in memory.

    Args:
        inner: the table.
        before_turn_ends: sees to it that a write is done when the running turn ends.
    """

    def __init__(self, inner: SqlAgents, before_turn_ends: Callable[[Awaitable[None]], None]) -> None:
        self._inner = inner
        self._before_turn_ends = before_turn_ends

    async def get(self, agent_id: str) -> Agent | None:
        """The agent, whoever owns it."""
        return await self._inner.get(agent_id)

    async def page(self, query: AgentQuery) -> Page:
        """One page."""
        return await self._inner.page(query)

    async def all_of(self, user_id: str) -> Sequence[Agent]:
        """All agents of one user."""
        return await self._inner.all_of(user_id)

    async def save(self, agent: Agent) -> None:
        """Insert or update."""
        await self._inner.save(agent)

    async def delete(self, agent: Agent) -> None:
        """Remove it."""
        await self._inner.delete(agent)

    def beat(self, agent: Agent) -> None:
        """Write a heartbeat before the turn ends."""
        self._before_turn_ends(self._inner.beats([agent]))

    async def all_offline(self, now: int) -> int:
        """Mark every agent OFFLINE (CON-7)."""
        return await self._inner.all_offline(now)

    async def flush(self) -> None:
        """Nothing is left to be written."""
