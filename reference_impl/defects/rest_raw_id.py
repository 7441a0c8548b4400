"""Agent items carry `id`, not `agent_id`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent
    from reference_impl.domain.events import Body


class _RawId(Through):
    def listed(self, agent: Agent) -> Body:
        return _raw(self.inner.listed(agent))

    def single(self, agent: Agent) -> Body:
        return _raw(self.inner.single(agent))


def _raw(body: Body) -> Body:
    return {("id" if key == "agent_id" else key): value for key, value in body.items()}


DEFECT = Replacing(
    "rest-raw-id",
    ("AGT-1", "AGT-2"),
    "Agent items carry id, not agent_id",
    lambda parts: replace(parts, presenters={**parts.presenters, 1: _RawId(parts.presenters[1])}),
)
