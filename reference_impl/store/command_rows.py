"""Between rows and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reference_impl.domain.commands import Command, Constraints, Part
from reference_impl.domain.presenters.commands import limits
from reference_impl.domain.queue import Entry
from reference_impl.domain.vocabulary import CommandStatus, CommandType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LIMITS: Final = {"timeLimitMs": "time_limit_ms", "tokenBudget": "token_budget", "maxRetries": "max_retries"}


def command_of(row: Mapping[str, Any], parts: Iterable[Part]) -> Command:
    """Read a row of `commands`, with the parts that belong to it."""
    return Command(
        command_id=row["id"],
        user_id=row["user_id"],
        content=row["content"],
        type=CommandType(row["type"]),
        broadcast=row["broadcast"],
        priority=row["priority"],
        constraints=constraints_of(row["execution_constraints"]),
        parts=tuple(parts),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        number=row["number"],
    )


def row_of(command: Command) -> dict[str, Any]:
    """Write all of a command but its parts and its number."""
    return {
        "id": command.command_id,
        "user_id": command.user_id,
        "content": command.content,
        "type": command.type.value,
        "broadcast": command.broadcast,
        "priority": command.priority,
        "execution_constraints": limits(command.constraints),
        "status": command.status.value,
        "created_at": command.created_at,
        "updated_at": command.updated_at,
    }


def part_of(row: Mapping[str, Any]) -> Part:
    """Read a row of `command_agents`."""
    return Part(
        agent_id=row["agent_id"],
        status=CommandStatus(row["status"]),
        delivered_to=row["delivered_to"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        error=row["error"],
        cancelled_at=row["cancelled_at"],
        execution_time=row["execution_time"],
        tokens_used=row["tokens_used"],
    )


def part_row(part: Part) -> dict[str, Any]:
    """Write what can change of a part."""
    return {
        "status": part.status.value,
        "delivered_to": part.delivered_to,
        "started_at": part.started_at,
        "completed_at": part.completed_at,
        "error": part.error,
        "cancelled_at": part.cancelled_at,
        "execution_time": part.execution_time,
        "tokens_used": part.tokens_used,
    }


def entry_of(row: Mapping[str, Any]) -> Entry:
    """Read a row of a queue."""
    return Entry(
        row["command_id"],
        CommandType(row["type"]),
        row["priority"],
        row["number"],
        CommandStatus(row["status"]),
        row["delivered_to"],
        row["started_at"],
    )


def constraints_of(limits: Mapping[str, int] | None) -> Constraints | None:
    """Read limits as they are stored and sent."""
    return None if limits is None else Constraints(**{_LIMITS[name]: limit for name, limit in limits.items()})
