"""The queues of agents in memory: every heartbeat and every step of a command asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reference_impl.domain.agents import Activity
    from reference_impl.domain.commands import Change, Command
    from reference_impl.domain.queue import Queue
    from reference_impl.domain.vocabulary import CommandStatus
    from reference_impl.store.commands import CommandPage, CommandQuery, CommandStore

_ROOM: Final = 200_000
"""How many queues and commands in them are kept, together."""

_Agent = tuple[str, str]
"""Owner and id."""


class CachedQueues:
    """Commands from the store below; queues from memory, where every write brings them up to date.

    It sees only the writes of its own process, so nodes that share a database do without it.
    """

    def __init__(self, inner: CommandStore) -> None:
        self._inner = inner
        self._known: dict[_Agent, Queue] = {}
        self._size = 0
        self._writes = 0

    async def queues(self, user_id: str, agent_ids: Sequence[str]) -> Mapping[str, Queue]:
        """The queue of each of these agents, from memory where it is there."""
        known = {name: queue for name in agent_ids if (queue := self._known.get((user_id, name))) is not None}
        missing = [name for name in agent_ids if name not in known]
        writes = self._writes
        found = await self._inner.queues(user_id, missing) if missing else {}
        if writes == self._writes:  # else they may be older than what was just written
            for agent_id, queue in found.items():
                self._keep((user_id, agent_id), queue)
        return {name: known[name] if name in known else found[name] for name in agent_ids}

    async def activity(self, user_id: str, agent_id: str) -> Activity:
        """What an agent is doing."""
        return (await self.queues(user_id, [agent_id]))[agent_id].activity

    async def add(self, command: Command) -> Command:
        """Insert it."""
        before = self._taken([command])
        added = await self._inner.add(command)
        self._keep_all(before, [added])
        return added

    async def save(self, changes: Sequence[Change]) -> None:
        """Write what differs."""
        commands = [change.after for change in changes]
        before = self._taken(commands)
        await self._inner.save(changes)
        self._keep_all(before, commands)

    def _taken(self, commands: Iterable[Command]) -> Mapping[_Agent, Queue]:
        """The queues that a write concerns, out of memory until it is done."""
        self._writes += 1
        agents = {(command.user_id, part.agent_id) for command in commands for part in command.parts}
        return {agent: self._drop(agent) for agent in agents if agent in self._known}

    def _keep_all(self, before: Mapping[_Agent, Queue], commands: Sequence[Command]) -> None:
        self._writes += 1
        for agent, queue in before.items():
            self._keep(agent, queue.updated(commands))

    def _keep(self, agent: _Agent, queue: Queue) -> None:
        if agent in self._known:
            self._drop(agent)
        self._known[agent] = queue
        self._size += 1 + len(queue)
        while self._size > _ROOM:
            self._drop(next(iter(self._known)))

    def _drop(self, agent: _Agent) -> Queue:
        queue = self._known.pop(agent)
        self._size -= 1 + len(queue)
        return queue

    async def get(self, command_id: str) -> Command | None:
        """The command, whoever owns it."""
        return await self._inner.get(command_id)

    async def some(self, command_ids: Sequence[str]) -> Sequence[Command]:
        """Those of these commands that exist."""
        return await self._inner.some(command_ids)

    async def page(self, query: CommandQuery) -> CommandPage:
        """One page."""
        return await self._inner.page(query)

    async def counts(self, user_id: str) -> Mapping[CommandStatus, int]:
        """How many commands of the user have each status."""
        return await self._inner.counts(user_id)

    async def ids(self, user_id: str, limit: int) -> Sequence[str]:
        """The ids of the user's unfinished and newest commands."""
        return await self._inner.ids(user_id, limit)

    async def unfinished(
        self, user_id: str, limit: int, agent_id: str | None = None, status: CommandStatus | None = None
    ) -> Sequence[Command]:
        """The user's oldest commands that are not finished; of an agent whose queue is known to be empty, none."""
        if agent_id is not None and (queue := self._known.get((user_id, agent_id))) is not None and not queue:
            return []
        return await self._inner.unfinished(user_id, limit, agent_id, status)

    async def executing(self, limit: int, after: Command | None = None) -> Sequence[Command]:
        """The oldest commands that some agent is executing."""
        return await self._inner.executing(limit, after)
