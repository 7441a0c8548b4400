"""How an agent looks on each channel, per API version (AGT-1, STA-1, VER-2).

A presenter turns domain values into bodies. What a client sees is decided here and nowhere
else: version 0, version 1 and the plan's switches are different presenters, not branches in
the code that sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.agents import Agent, Failure
    from reference_impl.domain.events import Body


class Presenter(Protocol):
    """The bodies of one API version; None means that this version is not told."""

    def listed(self, agent: Agent) -> Body:
        """The agent as an item of GET /agents (AGT-1)."""

    def single(self, agent: Agent) -> Body:
        """The agent as GET and PATCH /agents/{agentId} answer it (AGT-6)."""

    def status(self, agent: Agent, timestamp: int) -> Body | None:
        """AGENT_STATUS (STA-1)."""

    def snapshot(self, agents: Sequence[Agent], timestamp: int) -> Body | None:
        """`dashboard:connected` (DSH-1, DSH-2)."""

    def connected(self, agent: Agent, timestamp: int) -> Body | None:
        """AGENT_CONNECTED (CON-2)."""

    def disconnected(self, agent_id: str, reason: str, timestamp: int) -> Body | None:
        """AGENT_DISCONNECT (DIS-1)."""

    def failed(self, agent_id: str, failure: Failure, timestamp: int) -> Body | None:
        """AGENT_ERROR (AER-1)."""
