"""The queue of one agent: what it executes, what waits for it, and what it is sent next (CMD-4, CMD-5).

Higher priority first, then first come. What an agent was sent and has not finished takes one of a
few slots; a slot that becomes free goes to the first that has not been sent yet.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from reference_impl.domain.agents import Activity, Running
from reference_impl.domain.vocabulary import CommandStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reference_impl.domain.commands import Command
    from reference_impl.domain.vocabulary import CommandType


@dataclass(frozen=True, slots=True)
class Entry:
    """An unfinished command, as far as the queue of one of its agents needs it."""

    command_id: str
    type: CommandType
    priority: int
    number: int
    status: CommandStatus
    delivered_to: str | None
    started_at: int | None


@dataclass(frozen=True, slots=True)
class Queue:
    """All unfinished commands of one agent."""

    agent_id: str
    executing: tuple[Entry, ...] = ()
    """In the order they started."""
    queued: tuple[Entry, ...] = ()
    """All that has not started, delivered or not, in the order they are sent."""

    def __len__(self) -> int:
        return len(self.executing) + len(self.queued)

    def due(self, connection_id: str, slots: int) -> Sequence[Entry]:
        """What is to be sent on this connection now, in this order.

        What went to an earlier connection and has not started is sent again and keeps its slot (CMD-5).
        """
        held = [entry for entry in self.queued if entry.delivered_to is not None]
        again = [entry for entry in held if entry.delivered_to != connection_id]
        free = max(0, slots - len(self.executing) - len(held))
        fresh = islice((entry for entry in self.queued if entry.delivered_to is None), free)
        return sorted([*again, *fresh], key=_rank)

    def updated(self, commands: Iterable[Command]) -> Queue:
        """The queue once these commands are as they are now."""
        now = {command.command_id: command for command in commands}
        if not now:
            return self
        executing = [entry for entry in self.executing if entry.command_id not in now]
        queued = [entry for entry in self.queued if entry.command_id not in now]
        for command in now.values():
            for entry in _entries(self, command):
                if entry.status is CommandStatus.EXECUTING:
                    insort(executing, entry, key=_start)
                else:
                    insort(queued, entry, key=_rank)
        return Queue(self.agent_id, tuple(executing), tuple(queued))

    @property
    def shape(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What QUEUE_UPDATE tells of it: which commands execute and which wait, in order."""
        return tuple(one.command_id for one in self.executing), tuple(one.command_id for one in self.queued)

    @property
    def activity(self) -> Activity:
        """What the agent is doing (CMD-10)."""
        running = tuple(Running(one.command_id, one.type, one.started_at or 0) for one in self.executing)
        return Activity(running, len(self.queued))


def queue_of(agent_id: str, entries: Iterable[Entry]) -> Queue:
    """Make the queue of an agent from its unfinished commands in any order."""
    executing: list[Entry] = []
    queued: list[Entry] = []
    for entry in entries:
        (executing if entry.status is CommandStatus.EXECUTING else queued).append(entry)
    return Queue(agent_id, tuple(sorted(executing, key=_start)), tuple(sorted(queued, key=_rank)))


def _start(entry: Entry) -> int:
    return entry.started_at or 0


def _rank(entry: Entry) -> tuple[int, int]:
    """What a queue is sorted by: the lowest goes first."""
    return (-entry.priority, entry.number)


def _entries(queue: Queue, command: Command) -> Sequence[Entry]:
    part = command.part_of(queue.agent_id)
    if part is None or part.finished:
        return ()
    return (
        Entry(
            command.command_id,
            command.type,
            command.priority,
            command.number,
            part.status,
            part.delivered_to,
            part.started_at,
        ),
    )
