"""Reconnecting zeroes the metrics and keeps the old version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.agents import Metrics

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent


class _Amnesiac(Through):
    def register(self, known: Agent | None, *said: Any, **facts: Any) -> Agent:
        agent: Agent = self.inner.register(known, *said, **facts)
        if known is None:
            return agent
        return replace(agent, version=known.version, metrics=Metrics(0, 0, 0, 0, last_updated=facts["now"]))


DEFECT = Replacing(
    "connect-wipes-metrics",
    ("CON-3",),
    "Reconnecting zeroes the metrics and keeps the old version",
    lambda parts: replace(parts, machine=_Amnesiac(parts.machine)),
)
