"""The uptime of a heartbeat is stored in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent, Metrics


class _Milliseconds(Through):
    def beat(self, agent: Agent, metrics: Metrics, now: int) -> Agent:
        beaten: Agent = self.inner.beat(agent, replace(metrics, uptime=metrics.uptime * 1000), now)
        return beaten


DEFECT = Replacing(
    "heartbeat-ms-uptime",
    ("UNIT-2",),
    "The uptime of a heartbeat is stored in milliseconds",
    lambda parts: replace(parts, machine=_Milliseconds(parts.machine)),
)
