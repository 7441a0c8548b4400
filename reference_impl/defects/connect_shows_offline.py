"""After the ACK the agent stays OFFLINE everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.vocabulary import AgentStatus

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent


class _Shy(Through):
    def register(self, *known: Any, **facts: Any) -> Agent:
        agent: Agent = self.inner.register(*known, **facts)
        return replace(agent, status=AgentStatus.OFFLINE)


DEFECT = Replacing(
    "connect-shows-offline",
    ("CON-2",),
    "After the ACK the agent stays OFFLINE everywhere",
    lambda parts: replace(parts, machine=_Shy(parts.machine)),
)
