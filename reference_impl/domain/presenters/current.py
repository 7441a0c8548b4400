"""Version 1: the bodies the frontend reads, with the plan's switches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_impl.domain.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.agents import Agent, Failure, Metrics
    from reference_impl.domain.events import Body


@dataclass(frozen=True, slots=True)
class CurrentPresenter:
    """The contract's own bodies; all switches on is the contract, each one off is a gap of the plan."""

    send_initial_agent_list: bool = True
    broadcast_disconnects: bool = True
    uppercase_status_type: bool = True

    def listed(self, agent: Agent) -> Body:
        """Exactly the plan's ten fields (AGT-1, AGT-2)."""
        kind, status = str(agent.type), str(agent.status)
        return {
            "agent_id": agent.agent_id,
            "name": agent.name,
            "agent_type": kind if self.uppercase_status_type else kind.lower(),
            "status": status if self.uppercase_status_type else status.lower(),
            "version": agent.version,
            "capabilities": list(agent.capabilities),
            "last_heartbeat": rfc3339_or_none(agent.last_heartbeat),
            "last_metrics": four(agent.metrics),
            "created_at": rfc3339(agent.created_at),
            "updated_at": rfc3339(agent.updated_at),
        }

    def single(self, agent: Agent) -> Body:
        """The same as in the list (AGT-6)."""
        return self.listed(agent)

    def status(self, agent: Agent, timestamp: int) -> Body:
        """The enriched AGENT_STATUS (STA-1)."""
        return {
            "agentId": agent.agent_id,
            "status": agent.status,
            "timestamp": timestamp,
            "metrics": four(agent.metrics),
            "name": agent.name,
            "type": agent.type,
            "version": agent.version,
            "capabilities": list(agent.capabilities),
            **doing(agent),
            "lastHeartbeat": rfc3339_or_none(agent.last_heartbeat),
        }

    def snapshot(self, agents: Sequence[Agent], timestamp: int) -> Body | None:
        """All agents of the user; none is an empty list (DSH-2, DSH-6)."""
        if not self.send_initial_agent_list:
            return None
        return {"agents": [self._item(agent) for agent in agents], "timestamp": timestamp}

    def _item(self, agent: Agent) -> Body:
        return {
            "agentId": agent.agent_id,
            "name": agent.name,
            "type": agent.type,
            "status": agent.status,
            "version": agent.version,
            "capabilities": list(agent.capabilities),
            "lastHeartbeat": rfc3339_or_none(agent.last_heartbeat),
            "metrics": four(agent.metrics),
        }

    def connected(self, agent: Agent, timestamp: int) -> Body:
        """An agent arrived (CON-2)."""
        return {
            "agentId": agent.agent_id,
            "name": agent.name,
            "agentType": agent.type,
            "version": agent.version,
            "hostMachine": agent.metadata.get("host_machine", ""),
            "capabilities": list(agent.capabilities),
            "timestamp": timestamp,
        }

    def disconnected(self, agent_id: str, reason: str, timestamp: int) -> Body | None:
        """An agent's connection ended (DIS-1)."""
        if not self.broadcast_disconnects:
            return None
        return {"agentId": agent_id, "reason": reason, "timestamp": timestamp}

    def failed(self, agent_id: str, failure: Failure, timestamp: int) -> Body:
        """An agent reported an error (AER-1)."""
        body = {
            "agentId": agent_id,
            "errorType": failure.error_type,
            "message": failure.message,
            "recoverable": failure.recoverable,
            "timestamp": timestamp,
        }
        return body if failure.details is None else {**body, "details": failure.details}


def four(metrics: Metrics | None) -> Body | None:
    """The four numbers every channel shows, or null before the first heartbeat (AGT-3, STA-3)."""
    if metrics is None:
        return None
    return {
        "commandsExecuted": metrics.commands_executed,
        "uptime": metrics.uptime,
        "memoryUsage": metrics.memory_usage,
        "cpuUsage": metrics.cpu_usage,
    }


def doing(agent: Agent) -> Body:
    """What the agent is doing: a state, how many commands wait, and the one it started first, if any (CMD-10)."""
    activity = agent.activity
    body: dict[str, Any] = {"activityState": activity.state, "queuedCommands": activity.queued}
    if activity.executing:
        first = activity.executing[0]
        body["currentCommand"] = {"id": first.command_id, "type": first.type, "startedAt": first.started_at}
    return body
