"""How a command changes: pure steps, each refusing what the machine forbids (CMD-2, CMD-3).

PENDING → QUEUED → EXECUTING → COMPLETED | FAILED | CANCELLED, for each agent of the command; from
QUEUED also straight to an end. Nothing is PENDING here: a command is queued when it is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from reference_impl.domain.commands import Change, Command, Part
from reference_impl.domain.errors import wrong_state
from reference_impl.domain.vocabulary import CommandStatus

if TYPE_CHECKING:
    from collections.abc import Callable

DISCONNECTED: Final = "Agent disconnected"
"""The error that CMD-8 asks for."""
TOO_LONG: Final = "Time limit exceeded"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an agent says that a command ended (COMMAND_COMPLETE)."""

    status: CommandStatus
    error: str | None
    execution_time: int | float
    tokens_used: int


class CommandMachine:
    """The steps a command can take; one object, so that a wrapper can replace a single step."""

    def accept(self, command: Command) -> Change:
        """The server has put it into the queues of its agents (CMD-1)."""
        return _changed(command, None, lambda part: replace(part, status=CommandStatus.QUEUED))

    def deliver(self, command: Command, agent_id: str, connection_id: str) -> Change:
        """It goes to the agent on this connection (CMD-5); nobody sees a change."""
        return _changed(command, agent_id, lambda part: replace(part, delivered_to=connection_id))

    def acknowledge(self, command: Command, agent_id: str, *, started: bool, now: int) -> Change | None:
        """Take COMMAND_ACK; None when it says nothing new (CMD-2).

        Raises:
            Refusal: the command is over, or executing and said to wait, or not this agent's (CMD-3).
        """
        part = _of(command, agent_id)
        if part.finished:
            raise wrong_state("The command has ended")
        if part.status is CommandStatus.EXECUTING:
            if not started:
                raise wrong_state("The command is executing already")
            return None
        at = max(now, command.created_at)
        begun = replace(part, status=CommandStatus.EXECUTING, started_at=at)
        return _changed(command, agent_id, lambda _: begun, now) if started else None

    def complete(self, command: Command, agent_id: str, ending: Ending, now: int) -> Change:
        """Take COMMAND_COMPLETE, also for a command that never was acknowledged (CMD-2).

        Raises:
            Refusal: the command is over, or not this agent's (CMD-3).
        """
        part = _of(command, agent_id)
        if part.finished:
            raise wrong_state("The command has ended")
        over = _over(command, part, now, ending.status, ending.error)
        over = replace(over, execution_time=ending.execution_time, tokens_used=ending.tokens_used)
        return _changed(command, agent_id, lambda _: over, now)

    def cancel(self, command: Command, now: int) -> Change:
        """Take a cancel: what has not started ends, what executes is asked to end (CMD-7).

        Raises:
            Refusal: the command is over.
        """
        if command.finished:
            raise wrong_state("The command has ended")

        def cancelled(part: Part) -> Part:
            if part.status is not CommandStatus.EXECUTING:
                return _over(command, part, now, CommandStatus.CANCELLED)
            return part if part.cancelled_at is not None else replace(part, cancelled_at=now)  # the first one counts

        return _changed(command, None, cancelled, now)

    def stop(self, command: Command, now: int, agent_id: str | None = None) -> Change:
        """End what is not over, executing or not: everywhere (STP-1), or on one agent (AGT-11)."""
        return _changed(command, agent_id, lambda part: _over(command, part, now, CommandStatus.CANCELLED), now)

    def lose(self, command: Command, agent_id: str, now: int) -> Change:
        """The agent is gone: what it was executing has failed (CMD-8), what waits goes on waiting (CMD-5)."""
        part = command.part_of(agent_id)
        if part is None or part.status is not CommandStatus.EXECUTING:
            return Change(command, command)
        failed = _over(command, part, now, CommandStatus.FAILED, DISCONNECTED)
        return _changed(command, agent_id, lambda _: failed, now)

    def deadline(self, command: Command, part: Part, grace_ms: int) -> int | None:
        """When the server itself will end an executing part: past its limit, or its grace after a cancel."""
        if part.status is not CommandStatus.EXECUTING or part.started_at is None:
            return None
        limit = command.constraints.time_limit_ms if command.constraints else None
        ends = [part.started_at + limit] if limit is not None else []
        if part.cancelled_at is not None:
            ends.append(part.cancelled_at + grace_ms)
        return min(ends, default=None)

    def expire(self, command: Command, agent_id: str, now: int, grace_ms: int) -> Change | None:
        """Do what the deadline says once it has come: CANCELLED after a cancel, else FAILED (CMD-7, CMD-9)."""
        part = command.part_of(agent_id)
        due = self.deadline(command, part, grace_ms) if part is not None else None
        if part is None or due is None or now < due:
            return None
        if part.cancelled_at is not None and due == part.cancelled_at + grace_ms:
            over = _over(command, part, now, CommandStatus.CANCELLED)
        else:
            over = _over(command, part, now, CommandStatus.FAILED, TOO_LONG)
        return _changed(command, agent_id, lambda _: over, now)


def _over(command: Command, part: Part, now: int, status: CommandStatus, error: str | None = None) -> Part:
    """End a part, unless it is over already."""
    if part.finished:
        return part
    at = max(now, command.created_at, part.started_at or 0)
    return replace(part, status=status, completed_at=at, error=error)


def _of(command: Command, agent_id: str) -> Part:
    part = command.part_of(agent_id)
    if part is None:
        raise wrong_state("The command is for another agent")
    return part


def _changed(command: Command, agent_id: str | None, step: Callable[[Part], Part], now: int | None = None) -> Change:
    """Take one step with the part of an agent, or with all parts; without a time nobody is to see it."""
    parts = tuple(step(part) if agent_id in {None, part.agent_id} else part for part in command.parts)
    if parts == command.parts:
        return Change(command, command)
    updated = command.updated_at if now is None else max(now, command.updated_at)
    return Change(command, replace(command, parts=parts, updated_at=updated))
