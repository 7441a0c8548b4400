"""An agent that reconnects is shown OFFLINE for a moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.vocabulary import AgentStatus

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent
    from reference_impl.parts import Parts


class _Flickering(Through):
    def connected(self, agent: Agent) -> None:
        self.inner.connected(agent)
        if agent.updated_at > agent.created_at:
            self.inner.status(replace(agent, status=AgentStatus.OFFLINE))
            self.inner.status(agent)


def _apply(parts: Parts) -> Parts:
    return replace(parts, make_announcer=lambda final: _Flickering(parts.make_announcer(final)))


DEFECT = Replacing("status-flicker", ("STA-5",), "OFFLINE for a moment at each reconnect", _apply)
