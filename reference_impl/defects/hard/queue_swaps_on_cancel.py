"""A queue is an array: when a waiting command is cancelled, the last one takes its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.queue import Queue
from reference_impl.domain.vocabulary import CommandStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reference_impl.domain.commands import Command
    from reference_impl.domain.queue import Entry


class _Array(Through):
    def __init__(self, inner: Queue, places: dict[str, tuple[int, int]]) -> None:
        super().__init__(inner)
        self.places = places
        self.queued = tuple(sorted(inner.queued, key=self.place))
        self.shape = (inner.shape[0], tuple(entry.command_id for entry in self.queued))

    def place(self, entry: Entry) -> tuple[int, int]:
        return self.places.get(entry.command_id, (-entry.priority, entry.number))

    def updated(self, commands: Sequence[Command]) -> _Array:
        gone = {one.command_id for one in commands if one.status is CommandStatus.CANCELLED}
        for entry in self.queued:
            if entry.command_id in gone:
                self.places[self.queued[-1].command_id] = self.place(entry)
        return _Array(self.inner.updated(commands), self.places)

    def due(self, *facts: Any) -> Sequence[Entry]:
        wrong = Queue(self.inner.agent_id, self.inner.executing, self.queued)
        return sorted(wrong.due(*facts), key=self.place)


class _Store(Through):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.places: dict[str, tuple[int, int]] = {}

    async def queues(self, user_id: str, agent_ids: Iterable[str]) -> Mapping[str, Any]:
        return {name: _Array(one, self.places) for name, one in (await self.inner.queues(user_id, agent_ids)).items()}


DEFECT = Replacing(
    "queue-swaps-on-cancel",
    ("CMD-4",),
    "When a waiting command is cancelled, the last in the queue takes its place",
    lambda parts: replace(parts, commands=_Store(parts.commands)),
    "an agent that is away, three commands for it, and the cancel of one that is not the last",
)
