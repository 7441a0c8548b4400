"""How a command and a queue look: in REST, to agents, and on dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.domain.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from reference_impl.domain.commands import Command, Constraints, Part, Stopped
    from reference_impl.domain.events import Body
    from reference_impl.domain.queue import Queue


class CommandPresenter:
    """The bodies; the same in every API version, since only agents looked different before."""

    def shown(self, command: Command) -> Body:
        """The command as REST answers it."""
        return {
            "id": command.command_id,
            "userId": command.user_id,
            "content": command.content,
            "type": command.type,
            "targetAgents": [part.agent_id for part in command.parts],
            "broadcast": command.broadcast,
            "status": command.status,
            "priority": command.priority,
            "executionConstraints": limits(command.constraints),
            "startedAt": rfc3339_or_none(command.started_at),
            "completedAt": rfc3339_or_none(command.completed_at),
            "error": command.error,
            "createdAt": rfc3339(command.created_at),
            "updatedAt": rfc3339(command.updated_at),
            "agents": [self._part(part) for part in command.parts],
        }

    def _part(self, part: Part) -> Body:
        return {
            "agentId": part.agent_id,
            "status": part.status,
            "startedAt": rfc3339_or_none(part.started_at),
            "completedAt": rfc3339_or_none(part.completed_at),
            "error": part.error,
        }

    def request(self, command: Command) -> Body:
        """COMMAND_REQUEST to an agent (CMD-1, CMD-11)."""
        return {
            "commandId": command.command_id,
            "content": command.content,
            "type": command.type,
            "priority": command.priority,
            "executionConstraints": limits(command.constraints),
        }

    def cancel(self, command: Command, reason: str | None) -> Body:
        """COMMAND_CANCEL to an agent (CMD-7, CMD-9)."""
        return {"commandId": command.command_id, "reason": reason}

    def status(self, command: Command, part: Part) -> Body:
        """COMMAND_STATUS: how far one agent is with it (CMD-2)."""
        body: dict[str, Any] = {
            "commandId": command.command_id,
            "agentId": part.agent_id,
            "status": part.status,
        }
        facts = {"error": part.error, "startedAt": part.started_at, "completedAt": part.completed_at}
        return {**body, **{name: fact for name, fact in facts.items() if fact is not None}}

    def queue(self, queue: Queue) -> Body:
        """QUEUE_UPDATE (CMD-4)."""
        return {
            "agentId": queue.agent_id,
            "queueSize": len(queue.queued),
            "executing": [{"commandId": one.command_id, "startedAt": one.started_at} for one in queue.executing],
            "queued": [
                {"commandId": one.command_id, "position": position, "priority": one.priority}
                for position, one in enumerate(queue.queued)
            ],
        }

    def stop_told(self, user_id: str, reason: str | None, stopped: Stopped) -> Body:
        """EMERGENCY_STOP to dashboards (STP-1)."""
        return {
            "triggeredBy": user_id,
            "reason": reason,
            "agentsStopped": stopped.agents,
            "commandsCancelled": stopped.commands,
            "timestamp": stopped.timestamp,
        }

    def stop_answered(self, stopped: Stopped) -> Body:
        """What an emergency stop over REST answers (STP-1)."""
        return {
            "agentsStopped": stopped.agents,
            "commandsCancelled": stopped.commands,
            "timestamp": rfc3339(stopped.timestamp),
        }


def limits(constraints: Constraints | None) -> Body | None:
    """Limits as every channel writes them: those that are set, or null."""
    if constraints is None:
        return None
    named = {
        "timeLimitMs": constraints.time_limit_ms,
        "tokenBudget": constraints.token_budget,
        "maxRetries": constraints.max_retries,
    }
    return {name: limit for name, limit in named.items() if limit is not None}
