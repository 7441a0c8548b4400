"""Commands and the queues of agents in memory: every heartbeat and every step of a command asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from reference_impl.domain.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reference_impl.domain.agents import Activity
    from reference_impl.domain.commands import Change, Command
    from reference_impl.domain.vocabulary import CommandStatus
    from reference_impl.store.commands import CommandPage, CommandQuery, CommandStore

K = TypeVar("K")
V = TypeVar("V")
_QUEUES: Final = 200_000
"""How many queues and commands in them are kept, together."""
_CONTENT: Final = 20_000_000
"""How many characters the commands that are kept may say, together."""
_COMMAND: Final = 1000
"""As so many characters counts what else a command holds."""

_Agent = tuple[str, str]
"""Owner and id."""


class _Memory(Generic[K, V]):
    """The newest of many things, up to a weight of all together."""

    def __init__(self, room: int, weight: Callable[[V], int]) -> None:
        self._room = room
        self._weight = weight
        self._kept: dict[K, V] = {}
        self._heavy = 0

    def get(self, key: K) -> V | None:
        return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        self.pop(key)
        self._kept[key] = value
        self._heavy += self._weight(value)
        while self._heavy > self._room:
            self.pop(next(iter(self._kept)))

    def pop(self, key: K) -> V | None:
        value = self._kept.pop(key, None)
        self._heavy -= 0 if value is None else self._weight(value)
        return value


class CachedQueues:
    """Commands and queues from memory, where every write brings them up to date; else from the store below.

    It sees only the writes of its own process, so nodes that share a database do without it.
    """

    def __init__(self, inner: CommandStore) -> None:
        self._inner = inner
        self._queues: _Memory[_Agent, Queue] = _Memory(_QUEUES, lambda queue: 1 + len(queue))
        self._commands: _Memory[str, Command] = _Memory(_CONTENT, lambda command: _COMMAND + len(command.content))
        self._writes = 0

    async def queues(self, user_id: str, agent_ids: Sequence[str]) -> Mapping[str, Queue]:
        """The queue of each of these agents, from memory where it is there."""
        known = {name: queue for name in agent_ids if (queue := self._queues.get((user_id, name))) is not None}
        missing = [name for name in agent_ids if name not in known]
        writes = self._writes
        found = await self._inner.queues(user_id, missing) if missing else {}
        if writes == self._writes:  # else they may be older than what was just written
            for agent_id, queue in found.items():
                self._queues.put((user_id, agent_id), queue)
        return {name: known[name] if name in known else found[name] for name in agent_ids}

    async def activity(self, user_id: str, agent_id: str) -> Activity:
        """What an agent is doing."""
        return (await self.queues(user_id, [agent_id]))[agent_id].activity

    def begins(self, user_id: str, agent_id: str) -> None:
        """An agent is made: its queue is empty, and need not be asked for."""
        self._queues.put((user_id, agent_id), Queue(agent_id))

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
        """The queues that a write concerns, out of memory with its commands until it is done."""
        self._writes += 1
        agents: dict[_Agent, Queue] = {}
        for command in commands:
            self._commands.pop(command.command_id)
            for part in command.parts:
                if (queue := self._queues.pop((command.user_id, part.agent_id))) is not None:
                    agents[command.user_id, part.agent_id] = queue
        return agents

    def _keep_all(self, before: Mapping[_Agent, Queue], commands: Sequence[Command]) -> None:
        self._writes += 1
        for command in commands:
            self._commands.put(command.command_id, command)
        for agent, queue in before.items():
            self._queues.put(agent, queue.updated(commands))

    async def get(self, command_id: str) -> Command | None:
        """The command, whoever owns it."""
        if (known := self._commands.get(command_id)) is not None:
            return known
        writes = self._writes
        found = await self._inner.get(command_id)
        if found is not None and writes == self._writes:
            self._commands.put(command_id, found)
        return found

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
        if agent_id is not None and (queue := self._queues.get((user_id, agent_id))) is not None and not queue:
            return []
        return await self._inner.unfinished(user_id, limit, agent_id, status)

    async def executing(self, limit: int, after: Command | None = None) -> Sequence[Command]:
        """The oldest commands that some agent is executing."""
        return await self._inner.executing(limit, after)
