"""A heartbeat does not put off the end: every agent is lost once its first time is over."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.defects._through import Replacing
from reference_impl.live.session import AgentLink


class _Doomed(AgentLink):
    def seen(self) -> None:
        """The timer goes on."""


DEFECT = Replacing(
    "heartbeat-timer-unreset",
    ("DIS-3", "STA-5"),
    "OFFLINE some time after connecting although heartbeats come",
    lambda parts: replace(parts, make_link=_Doomed),
)
