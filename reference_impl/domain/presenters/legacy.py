"""Version 0: the bodies of before the plan, for clients that still read them (VER-2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_impl.domain.presenters.current import CurrentPresenter, doing
from reference_impl.domain.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_impl.domain.agents import Agent, Metrics
    from reference_impl.domain.events import Body


@dataclass(frozen=True, slots=True)
class LegacyPresenter(CurrentPresenter):
    """The old shapes; with everything else as in version 1.

    `hide_capabilities` leaves them only in the metadata, as the old backend did.
    """

    send_initial_agent_list: bool = False
    hide_capabilities: bool = False

    def listed(self, agent: Agent) -> Body:
        """The raw row, in lower case (VER-2)."""
        return {
            "id": agent.agent_id,
            "user_id": agent.user_id,
            "name": agent.name,
            "type": agent.type.lower(),
            "status": agent.status.lower(),
            "version": agent.version,
            "capabilities": [] if self.hide_capabilities else list(agent.capabilities),
            "last_ping": rfc3339_or_none(agent.last_heartbeat),
            "metadata": {**agent.metadata, **_old_keys(agent.metrics)},
            "created_at": rfc3339(agent.created_at),
            "updated_at": rfc3339(agent.updated_at),
        }

    def single(self, agent: Agent) -> Body:
        """The same row."""
        return self.listed(agent)

    def status(self, agent: Agent, timestamp: int) -> Body:  # noqa: ARG002 - the old event has no timestamp
        """The old AGENT_STATUS: `healthMetrics`, and no details of the agent (VER-2)."""
        return old_status(agent)

    def snapshot(self, agents: Sequence[Agent], timestamp: int) -> None:
        """The old backend sent no list (VER-2)."""


@dataclass(frozen=True, slots=True)
class PlainStatusPresenter(CurrentPresenter):
    """Version 1 with the plan's `enrich_status_events` off: only AGENT_STATUS is the old one."""

    def status(self, agent: Agent, timestamp: int) -> Body:  # noqa: ARG002 - the old event has no timestamp
        """The old AGENT_STATUS."""
        return old_status(agent)


def old_status(agent: Agent) -> Body:
    """AGENT_STATUS as the protocol had it before the plan."""
    body: dict[str, Any] = {
        "agentId": agent.agent_id,
        "status": agent.status,
        **doing(agent),
    }
    if agent.metrics is not None:
        body["healthMetrics"] = {
            "cpuUsage": agent.metrics.cpu_usage,
            "memoryUsage": agent.metrics.memory_usage,
            "uptime": agent.metrics.uptime,
            "commandsProcessed": agent.metrics.commands_executed,
            "averageResponseTime": agent.metrics.average_response_time or 0,
        }
    return body


def _old_keys(metrics: Metrics | None) -> Mapping[str, Any]:
    """The loose keys in which the old backend kept metrics; it never tracked the processor."""
    if metrics is None:
        return {}
    return {
        "performance_metrics": {
            "commands_executed": metrics.commands_executed,
            "average_response_time": metrics.average_response_time or 0,
        },
        "memory_usage": metrics.memory_usage,
        "uptime": metrics.uptime,
    }
