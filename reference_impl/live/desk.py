"""What can be done with agents, over sockets and REST alike: change, commit, announce, in one turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.domain.errors import agent_connected, agent_not_found, forbidden
from reference_impl.domain.vocabulary import AgentStatus
from reference_impl.store import AgentQuery, AgentStore, Page, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_impl.clock import Clock
    from reference_impl.domain.agents import Agent, Announcement, Failure, Metrics
    from reference_impl.domain.machine import AgentMachine
    from reference_impl.hub import Link, Presence
    from reference_impl.live.announcer import Announcer
    from reference_impl.live.command_desk import CommandDesk
    from reference_impl.live.turns import Turns


class AgentDesk:
    """The operations on agents. Each takes its user's turn; none awaits between commit and announcement."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports it joins
        self,
        agents: AgentStore,
        presence: Presence,
        announcer: Announcer,
        machine: AgentMachine,
        clock: Clock,
        turns: Turns,
        commands: CommandDesk,
    ) -> None:
        self._agents = agents
        self._presence = presence
        self._announcer = announcer
        self._machine = machine
        self._clock = clock
        self._turns = turns
        self._commands = commands

    async def connect(
        self, user_id: str, link: Link, said: Announcement, connection_id: str, answer: Callable[[Agent], None]
    ) -> Agent:
        """Bring an agent online (CON-1..5); `answer` is called before anything is announced.

        The same announcement again on its connection changes nothing and tells nobody; one that
        says something new is told as a change, not as another arrival.
        """
        async with self._turns.of(user_id):
            known = await self._agents.get(said.agent_id)
            if known is not None and known.user_id != user_id:
                raise forbidden("The agent id is not yours", close=4003)
            again = known is not None and self._presence.get(said.agent_id) is link
            now = self._clock.now_ms()
            agent = self._machine.register(known, said, user_id=user_id, connection_id=connection_id, now=now)
            if known is not None and again:
                agent = self._machine.announced_again(known, agent)
                if agent is known:
                    answer(known)
                    return known
            if known is not None:
                agent = await self._doing(agent)
            try:
                await self._agents.save(agent)
            except Taken:
                raise forbidden("The agent id is not yours", close=4003) from None
            if known is None:
                self._commands.begins(agent)
            before = self._presence.put(link)
            if before is not None:
                before.replaced()
            answer(agent)
            (self._announcer.status if again else self._announcer.connected)(agent)
            await self._commands.arrived(agent)
            return agent

    async def beat(self, user_id: str, link: Link, metrics: Metrics, answer: Callable[[], None]) -> None:
        """Take a heartbeat (HB-1, HB-2)."""
        async with self._turns.of(user_id):
            if (agent := await self._live(link)) is None:
                return
            agent = await self._doing(self._machine.beat(agent, metrics, metrics.last_updated))
            self._agents.beat(agent)
            answer()
            self._announcer.beat(agent)

    async def fail(self, user_id: str, link: Link, failure: Failure, answer: Callable[[], None]) -> None:
        """Take an AGENT_ERROR (AER-1)."""
        async with self._turns.of(user_id):
            if (agent := await self._live(link)) is None:
                return
            agent = await self._doing(self._machine.fail(agent, failure, self._clock.now_ms()))
            await self._agents.save(agent)
            answer()
            self._announcer.failed(agent, failure)

    async def lose(self, user_id: str, link: Link, reason: str, *, still: Callable[[], bool] = lambda: True) -> None:
        """Take the end of a connection, once, and only if it was still the agent's (DIS-1, CON-4).

        Args:
            user_id: whose agent it is.
            link: the connection that ended.
            reason: why, in a word.
            still: asked when the turn has come; False means it is not over after all.
        """
        async with self._turns.of(user_id):
            if not still() or not self._presence.drop(link):
                return
            agent = await self._agents.get(link.agent_id)
            if agent is not None:
                await self._lost(agent, reason)

    async def lose_absent(self, user_id: str) -> None:
        """Take those for lost that seem to be there but have no connection: it ended with its node (CNS-5)."""
        async with self._turns.of(user_id):
            for agent in await self._agents.all_of(user_id):
                if agent.status is not AgentStatus.OFFLINE and self._presence.get(agent.agent_id) is None:
                    await self._lost(agent, "connection_lost")

    async def _lost(self, agent: Agent, reason: str) -> None:
        agent = self._machine.lose(agent, self._clock.now_ms())
        await self._agents.save(agent)
        self._announcer.disconnected(agent, reason)
        await self._commands.lost(agent)

    async def _doing(self, agent: Agent) -> Agent:
        """The agent with what it is doing, to be told of (CMD-10)."""
        return replace(agent, activity=await self._commands.activity(agent))

    async def _live(self, link: Link) -> Agent | None:
        """The agent of a connection, unless the connection was replaced or lost meanwhile."""
        return await self._agents.get(link.agent_id) if self._presence.get(link.agent_id) is link else None

    async def page(self, query: AgentQuery) -> Page:
        """List agents (AGT-9)."""
        async with self._turns.of(query.user_id):
            return await self._agents.page(query)

    async def get(self, user_id: str, agent_id: str) -> Agent:
        """One agent of the user; anybody else's does not exist (ISO-1)."""
        async with self._turns.of(user_id):
            return await self._own(user_id, agent_id)

    async def knows(self, user_id: str, agent_id: str) -> bool:
        """Whether the user has such an agent (SUB-4). The caller holds the turn."""
        agent = await self._agents.get(agent_id)
        return agent is not None and agent.user_id == user_id

    async def rename(self, user_id: str, agent_id: str, name: str) -> Agent:
        """Give an agent another name and tell the dashboards (AGT-10)."""
        async with self._turns.of(user_id):
            renamed = self._machine.rename(await self._own(user_id, agent_id), name, self._clock.now_ms())
            agent = await self._doing(renamed)
            await self._agents.save(agent)
            self._announcer.status(agent)
            return agent

    async def delete(self, user_id: str, agent_id: str) -> None:
        """Remove an agent that has no connection (AGT-11, DIS-4)."""
        async with self._turns.of(user_id):
            agent = await self._own(user_id, agent_id)
            if self._presence.get(agent_id) is not None:
                raise agent_connected()
            await self._commands.deleted(agent)
            await self._agents.delete(agent)
            self._announcer.disconnected(agent, "deleted")

    async def _own(self, user_id: str, agent_id: str) -> Agent:
        agent = await self._agents.get(agent_id)
        if agent is None or agent.user_id != user_id:
            raise agent_not_found()
        return agent

    async def with_all(self, user_id: str, use: Callable[[Sequence[Agent]], None]) -> None:
        """Hand all agents of the user to `use`, with no event before and none in between (DSH-4)."""
        async with self._turns.of(user_id):
            use(await self._agents.all_of(user_id))

    async def with_one(self, user_id: str, agent_id: str | None, use: Callable[[Sequence[Agent]], None]) -> None:
        """The same with the one agent of that id, if the user has it."""
        async with self._turns.of(user_id):
            agent = await self._agents.get(agent_id) if agent_id is not None else None
            use([agent] if agent is not None and agent.user_id == user_id else [])
