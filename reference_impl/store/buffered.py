"""Heartbeats wait for the database in memory; every read sees them at once (HB-2)."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.store import AgentQuery, Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reference_impl.clock import Clock
    from reference_impl.domain.agents import Agent
    from reference_impl.logs import Log
    from reference_impl.store.sql import SqlAgents


class BufferedAgents:
    """Agents in SQL, with the heartbeats of the last moments on top.

    A heartbeat stays in the buffer until it is committed. A read takes the buffer as it was
    before it asked the database, so that one committed meanwhile cannot fall between the two.
    A whole agent takes the place of its heartbeat from the moment its write is asked for, so that
    no flush puts the older heartbeat behind it in the order of commits (AGT-7).
    """

    def __init__(self, inner: SqlAgents, clock: Clock, log: Log, interval_s: float) -> None:
        self._inner = inner
        self._clock = clock
        self._log = log
        self._interval = interval_s
        self._waiting: dict[str, Agent] = {}
        self._replaced: dict[str, Agent] = {}
        """Heartbeats of agents that are being written as a whole: shown until then, and not flushed."""
        self._flushing: asyncio.Task[None] | None = None
        self._scheduled = False

    async def get(self, agent_id: str) -> Agent | None:
        """The agent with its latest heartbeat."""
        newest = self._newest()
        agent = await self._inner.get(agent_id)
        return None if agent is None else _on_top(agent, newest)

    async def page(self, query: AgentQuery) -> Page:
        """One page; heartbeats change neither which agents match nor their order."""
        newest = self._newest()
        page = await self._inner.page(query)
        return Page([_on_top(agent, newest) for agent in page.agents], page.total)

    async def all_of(self, user_id: str) -> Sequence[Agent]:
        """All agents of one user."""
        newest = self._newest()
        return [_on_top(agent, newest) for agent in await self._inner.all_of(user_id)]

    async def save(self, agent: Agent) -> None:
        """Write the whole agent, which holds what the buffer held."""
        with self._replacing(agent.agent_id):
            await self._inner.save(agent)

    async def delete(self, agent: Agent) -> None:
        """Remove it, and what was still to be written."""
        with self._replacing(agent.agent_id):
            await self._inner.delete(agent)

    def _newest(self) -> Mapping[str, Agent]:
        return {**self._replaced, **self._waiting}

    @contextmanager
    def _replacing(self, agent_id: str) -> Iterator[None]:
        """Take the waiting heartbeat out of the flushes; it waits again if the write fails."""
        beaten = self._waiting.pop(agent_id, None)
        if beaten is None:
            yield
            return
        self._replaced[agent_id] = beaten
        try:
            yield
        except Exception:
            if agent_id not in self._waiting:
                self.beat(beaten)
            raise
        finally:
            if self._replaced.get(agent_id) is beaten:
                del self._replaced[agent_id]

    def beat(self, agent: Agent) -> None:
        """Keep a heartbeat; a later one of the same agent takes its place."""
        self._waiting[agent.agent_id] = agent
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._clock.call_later(self._interval, self._start)

    def _start(self) -> None:
        self._scheduled = False
        self._flushing = asyncio.create_task(self._flush_or_say())

    async def _flush_or_say(self) -> None:
        try:
            await self.flush()
        except Exception:  # noqa: BLE001 - the heartbeats stay in the buffer and are tried again
            self._log.exception("heartbeats_not_written", waiting=len(self._waiting))
            self._schedule()

    async def flush(self) -> None:
        """Commit what waits."""
        taken = dict(self._waiting)
        if taken:
            await self._inner.beats(list(taken.values()))
        for agent_id, agent in taken.items():
            if self._waiting.get(agent_id) is agent:
                del self._waiting[agent_id]

    async def all_offline(self, now: int) -> int:
        """Mark every agent OFFLINE (CON-7)."""
        return await self._inner.all_offline(now)


def _on_top(agent: Agent, newest: Mapping[str, Agent]) -> Agent:
    beat = newest.get(agent.agent_id)
    if beat is None or beat.updated_at < agent.updated_at:
        return agent
    return replace(
        agent,
        last_heartbeat=beat.last_heartbeat,
        metrics=beat.metrics,
        metadata=beat.metadata,
        updated_at=beat.updated_at,
    )
