"""A command is acknowledged and never reaches the agent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.live.session import AgentLink

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


class _Mute(AgentLink):
    def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
        if type != "COMMAND_REQUEST":
            super().send(type, payload)


DEFECT = Replacing(
    "command-lost",
    ("CMD-1",),
    "ACK success, and nothing reaches the agent",
    lambda parts: replace(parts, make_link=_Mute),
)
