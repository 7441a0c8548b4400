"""Heartbeats are answered, but REST never changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent


class _Forgetful(Through):
    def beat(self, agent: Agent) -> None:
        """Nothing is kept."""


DEFECT = Replacing(
    "heartbeat-not-stored",
    ("HB-2",),
    "Heartbeats are answered, REST never changes",
    lambda parts: replace(parts, agents=_Forgetful(parts.agents)),
)
