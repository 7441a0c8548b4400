"""Of the commands that wait, the one of the lowest priority goes first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.queue import queue_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reference_impl.domain.commands import Command
    from reference_impl.domain.queue import Entry


class _Inverted(Through):
    def updated(self, commands: Iterable[Command]) -> _Inverted:
        return _Inverted(self.inner.updated(commands))

    def due(self, connection_id: str, slots: int) -> Sequence[Entry]:
        entries = (*self.inner.executing, *self.inner.queued)
        inverted = [replace(entry, priority=100 - entry.priority) for entry in entries]
        return queue_of(self.inner.agent_id, inverted).due(connection_id, slots)


class _Store(Through):
    async def queues(self, user_id: str, agent_ids: Sequence[str]) -> Mapping[str, Any]:
        return {name: _Inverted(one) for name, one in (await self.inner.queues(user_id, agent_ids)).items()}


DEFECT = Replacing(
    "command-priority-inverted",
    ("CMD-4",),
    "Low priority runs first",
    lambda parts: replace(parts, commands=_Store(parts.commands)),
)
