"""Two AGENT_DISCONNECT for one loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import again, publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Twice(Knowing):
    def publish(self, event: Event) -> int:
        if event.type == "AGENT_DISCONNECT":
            self.inner.publish(again(event, self.parts))
        return int(self.inner.publish(event))


DEFECT = Replacing(
    "disconnect-twice",
    ("DIS-1",),
    "Two AGENT_DISCONNECT for one loss",
    publishing(_Twice),
)
