"""Between rows and agents (DAT-1).

Reading normalises what the migration should have normalised already: the plan's "transform on
read as backup".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_impl.domain.agents import Agent, Metrics
from reference_impl.domain.legacy_rows import capabilities_of, status_of, type_of
from reference_impl.domain.times import parse_ms, rfc3339
from reference_impl.domain.vocabulary import AgentStatus, AgentType


def agent_of(row: Mapping[str, Any]) -> Agent:
    """Read a row of the `agents` table."""
    metadata = dict(row["metadata"]) if isinstance(row["metadata"], Mapping) else {}
    metrics = metadata.pop("metrics", None)
    return Agent(
        agent_id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        type=AgentType(type_of(row["type"])),
        status=AgentStatus(status_of(row["status"])),
        version=row["version"],
        capabilities=tuple(capabilities_of(row["capabilities"], metadata)),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_heartbeat=row["last_ping"],
        metrics=_metrics_of(metrics, row["updated_at"]) if isinstance(metrics, Mapping) else None,
        metadata=metadata,
    )


def row_of(agent: Agent) -> dict[str, Any]:
    """Write the whole agent."""
    return {
        "id": agent.agent_id,
        "user_id": agent.user_id,
        "name": agent.name,
        "type": agent.type.value,
        "status": agent.status.value,
        "version": agent.version,
        "capabilities": list(agent.capabilities),
        "created_at": agent.created_at,
        **beat_of(agent),
    }


def beat_of(agent: Agent) -> dict[str, Any]:
    """Write only what a heartbeat changes."""
    return {
        "last_ping": agent.last_heartbeat,
        "metadata": _metadata_of(agent),
        "updated_at": agent.updated_at,
    }


def _metadata_of(agent: Agent) -> dict[str, Any]:
    if (metrics := agent.metrics) is None:
        return dict(agent.metadata)
    stored: dict[str, Any] = {
        "commandsExecuted": metrics.commands_executed,
        "uptime": metrics.uptime,
        "memoryUsage": metrics.memory_usage,
        "cpuUsage": metrics.cpu_usage,
        "lastUpdated": rfc3339(metrics.last_updated),
    }
    if metrics.average_response_time is not None:
        stored["averageResponseTime"] = metrics.average_response_time
    return {**agent.metadata, "metrics": stored}


def _metrics_of(stored: Mapping[str, Any], otherwise: int) -> Metrics:
    try:
        last_updated = parse_ms(str(stored.get("lastUpdated")))
    except ValueError:
        last_updated = otherwise
    return Metrics(
        commands_executed=stored.get("commandsExecuted", 0),
        uptime=stored.get("uptime", 0),
        memory_usage=stored.get("memoryUsage", 0),
        cpu_usage=stored.get("cpuUsage", 0),
        last_updated=last_updated,
        average_response_time=stored.get("averageResponseTime"),
    )
