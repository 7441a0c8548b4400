"""What agents are doing, in memory: every heartbeat asks for it, and only commands change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_impl.domain.agents import Activity
    from reference_impl.domain.commands import Change, Command
    from reference_impl.domain.queue import Queue
    from reference_impl.domain.vocabulary import CommandStatus
    from reference_impl.store.commands import CommandPage, CommandQuery, CommandStore

_ROOM: Final = 50_000


class CachedActivities:
    """Commands from the store below; what an agent is doing from memory, until a write concerns it.

    It sees only the writes of its own process, so nodes that share a database do without it.
    """

    def __init__(self, inner: CommandStore) -> None:
        self._inner = inner
        self._known: dict[tuple[str, str], Activity] = {}
        self._writes = 0

    async def activity(self, user_id: str, agent_id: str) -> Activity:
        """What an agent is doing, from memory if it is there."""
        key = (user_id, agent_id)
        if (known := self._known.get(key)) is not None:
            return known
        writes = self._writes
        activity = await self._inner.activity(user_id, agent_id)
        if writes == self._writes:  # else it may be older than what was just written
            if len(self._known) >= _ROOM:
                self._known.pop(next(iter(self._known)))
            self._known[key] = activity
        return activity

    async def add(self, command: Command) -> Command:
        """Insert it."""
        self._forget(command)
        added = await self._inner.add(command)
        self._forget(command)
        return added

    async def save(self, changes: Sequence[Change]) -> None:
        """Write what differs."""
        for change in changes:
            self._forget(change.after)
        await self._inner.save(changes)
        for change in changes:
            self._forget(change.after)

    def _forget(self, command: Command) -> None:
        self._writes += 1
        for part in command.parts:
            self._known.pop((command.user_id, part.agent_id), None)

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
        """The user's oldest commands that are not finished."""
        return await self._inner.unfinished(user_id, limit, agent_id, status)

    async def executing(self, limit: int) -> Sequence[Command]:
        """Commands of any user that some agent is executing."""
        return await self._inner.executing(limit)

    async def queues(self, user_id: str, agent_ids: Sequence[str]) -> Mapping[str, Queue]:
        """The queue of each of these agents."""
        return await self._inner.queues(user_id, agent_ids)
