"""A command as frozen values: what is asked, and how far each of its agents is with it.

All times are milliseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reference_impl.domain.vocabulary import CommandStatus, CommandType

if TYPE_CHECKING:
    from collections.abc import Sequence


NEWEST: Final = 2**62
"""The number of a command that the store has not counted yet: it comes after all others."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """The limits a client sets for a command; None where it set none."""

    time_limit_ms: int | None = None
    token_budget: int | None = None
    max_retries: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """How far one agent is with a command."""

    agent_id: str
    status: CommandStatus = CommandStatus.QUEUED
    delivered_to: str | None = None
    """The connection on which the agent got the command last (CMD-5)."""
    started_at: int | None = None
    completed_at: int | None = None
    error: str | None = None
    cancelled_at: int | None = None
    """When it was first asked to give the command up, while EXECUTING (CMD-7)."""
    execution_time: int | float | None = None
    tokens_used: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it can change no more."""
        return self.status.terminal


@dataclass(frozen=True, slots=True)
class Command:
    """A command for one or several agents."""

    command_id: str
    user_id: str
    content: str
    type: CommandType
    broadcast: bool
    priority: int
    constraints: Constraints | None
    parts: tuple[Part, ...]
    """One for each agent it is for, in the order they were named."""
    created_at: int
    updated_at: int
    number: int = 0
    """Which command of its user it is, in the order they came; the store counts them."""

    @property
    def status(self) -> CommandStatus:
        """The state of the whole: EXECUTING once any has started, terminal when all are."""
        states = {part.status for part in self.parts}
        if all(state.terminal for state in states):
            worst = (CommandStatus.FAILED, CommandStatus.CANCELLED, CommandStatus.COMPLETED)
            return next(state for state in worst if state in states)
        started = any(part.started_at is not None for part in self.parts)
        return CommandStatus.EXECUTING if started else CommandStatus.QUEUED

    @property
    def finished(self) -> bool:
        """Whether all of its agents are done with it."""
        return all(part.finished for part in self.parts)

    @property
    def started_at(self) -> int | None:
        """When the first of its agents started."""
        return min((part.started_at for part in self.parts if part.started_at is not None), default=None)

    @property
    def completed_at(self) -> int | None:
        """When the last of its agents ended; set if and only if it is finished (CMD-R3)."""
        return max(part.completed_at or 0 for part in self.parts) if self.finished else None

    @property
    def error(self) -> str | None:
        """The first error of its agents, once it is finished."""
        return next((part.error for part in self.parts if part.error is not None), None) if self.finished else None

    def part_of(self, agent_id: str) -> Part | None:
        """How far an agent is with it; None if it is not for that agent."""
        return next((part for part in self.parts if part.agent_id == agent_id), None)


@dataclass(frozen=True, slots=True)
class Change:
    """One command before and after; what is written and what is told follow from the difference."""

    before: Command
    after: Command

    def parts(self) -> Sequence[tuple[Part, Part]]:
        """The parts that differ, before and after."""
        pairs = zip(self.before.parts, self.after.parts, strict=True)
        return [(before, after) for before, after in pairs if before != after]


@dataclass(frozen=True, slots=True)
class Wish:
    """A command as somebody asks for it (CMD-1, CMD-R4)."""

    content: str
    type: CommandType
    targets: tuple[str, ...]
    """The agents it is for; none for a broadcast."""
    broadcast: bool = False
    priority: int = 50
    constraints: Constraints | None = None
    command_id: str | None = None
    """The id the client chose, if it did (CMD-6)."""

    def command(self, user_id: str, command_id: str, agent_ids: Sequence[str], now: int) -> Command:
        """Make the command, PENDING with every agent, each once."""
        parts = tuple(Part(agent_id, CommandStatus.PENDING) for agent_id in dict.fromkeys(agent_ids))
        return Command(
            command_id,
            user_id,
            self.content,
            self.type,
            self.broadcast,
            self.priority,
            self.constraints,
            parts,
            created_at=now,
            updated_at=now,
            number=NEWEST,
        )

    def asks_for(self, command: Command) -> bool:
        """Whether the command is the one asked for (CMD-6)."""
        same = (self.content, self.type, self.priority, self.constraints, self.targets)
        targets = tuple(part.agent_id for part in command.parts)
        return same == (command.content, command.type, command.priority, command.constraints, targets)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What an emergency stop did (STP-1)."""

    agents: int
    """How many were connected and sent STOP."""
    commands: int
    """How many became CANCELLED."""
    timestamp: int
