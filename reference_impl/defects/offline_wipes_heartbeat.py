"""A disconnect sets last_heartbeat to null."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent


class _Forgetful(Through):
    def lose(self, agent: Agent, now: int) -> Agent:
        lost: Agent = self.inner.lose(agent, now)
        return replace(lost, last_heartbeat=None)


DEFECT = Replacing(
    "offline-wipes-heartbeat",
    ("AGT-8",),
    "A disconnect sets last_heartbeat to null",
    lambda parts: replace(parts, machine=_Forgetful(parts.machine)),
)
