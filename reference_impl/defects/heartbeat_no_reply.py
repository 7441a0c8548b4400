"""No SERVER_HEARTBEAT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import speaking
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


class _Mute(Through):
    def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
        if type != "SERVER_HEARTBEAT":
            self.inner.send(type, payload)


DEFECT = Replacing("heartbeat-no-reply", ("HB-1",), "No SERVER_HEARTBEAT", speaking("AGENT_HEARTBEAT", _Mute))
