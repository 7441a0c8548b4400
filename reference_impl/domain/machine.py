"""How an agent changes: pure steps from one frozen Agent to the next.

Every step takes the time from outside and never lets `updated_at` go back (AGT-7).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.domain.agents import Agent, Announcement, Failure, Metrics
from reference_impl.domain.vocabulary import AgentStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


class AgentMachine:
    """The steps an agent can take; one object, so that a wrapper can replace a single step."""

    def register(self, known: Agent | None, said: Announcement, *, user_id: str, connection_id: str, now: int) -> Agent:
        """Bring an agent online, new or known.

        A known agent keeps id, creation time, heartbeat and metrics; name, version and
        capabilities follow the latest announcement (CON-3). A name that was not announced
        leaves the known one alone, so that a rename survives a reconnect (AGT-10).
        """
        metadata: dict[str, Any] = dict(known.metadata) if known else {}
        metadata["host_machine"] = said.host_machine
        metadata["connection_id"] = connection_id
        metadata["capabilities"] = {
            "maxTokens": said.flags.max_tokens,
            "supportsInterrupt": said.flags.supports_interrupt,
            "supportsTrace": said.flags.supports_trace,
        }
        return Agent(
            agent_id=said.agent_id,
            user_id=user_id,
            name=said.name or (known.name if known else said.agent_id),
            type=said.type,
            status=AgentStatus.ONLINE,
            version=said.version,
            capabilities=said.flags.names(),
            created_at=known.created_at if known else now,
            updated_at=max(now, known.updated_at) if known else now,
            last_heartbeat=known.last_heartbeat if known else None,
            metrics=known.metrics if known else None,
            metadata=metadata,
        )

    def announced_again(self, known: Agent, agent: Agent) -> Agent:
        """The same connection announced its agent again: that is no reconnect, so an ERROR lasts (AER-1).

        Args:
            known: the agent before.
            agent: what `register` made of the announcement.

        Returns:
            `known` itself if nothing else changed, else `agent` with the status it had.
        """
        said = replace(agent, status=known.status, updated_at=known.updated_at)
        return known if said == known else replace(agent, status=known.status)

    def beat(self, agent: Agent, metrics: Metrics, now: int) -> Agent:
        """Take a heartbeat: metrics and time follow it, the status stays (an ERROR lasts, AER-1)."""
        metadata = agent.metadata
        if "legacy_metrics" in metadata:  # the migration's memory of older numbers, now outdated (DAT-2)
            metadata = {key: value for key, value in metadata.items() if key != "legacy_metrics"}
        seen = max(now, agent.last_heartbeat or 0)
        return self._touch(agent, now, metrics=metrics, last_heartbeat=seen, metadata=metadata)

    def fail(self, agent: Agent, failure: Failure, now: int) -> Agent:
        """Take an AGENT_ERROR; only one that is not recoverable changes the status (AER-1)."""
        count = agent.metadata.get("error_count", 0)
        metadata = {
            **agent.metadata,
            "last_error": failure.message,
            "error_count": count + 1 if isinstance(count, int) else 1,
        }
        status = agent.status if failure.recoverable else AgentStatus.ERROR
        return self._touch(agent, now, metadata=metadata, status=status)

    def lose(self, agent: Agent, now: int) -> Agent:
        """Take the end of the agent's connection; heartbeat and metrics stay readable (AGT-8)."""
        return self._touch(agent, now, status=AgentStatus.OFFLINE)

    def rename(self, agent: Agent, name: str, now: int) -> Agent:
        """Give the agent another name (AGT-10)."""
        return self._touch(agent, now, name=name)

    def _touch(self, agent: Agent, now: int, **changes: object) -> Agent:
        fields: Mapping[str, Any] = changes
        return replace(agent, updated_at=max(now, agent.updated_at), **fields)
