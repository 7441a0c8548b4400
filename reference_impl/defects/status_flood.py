"""Three AGENT_STATUS per change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import again, publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Flooding(Knowing):
    def publish(self, event: Event) -> int:
        if event.type == "AGENT_STATUS":
            self.inner.publish(again(event, self.parts))
            self.inner.publish(again(event, self.parts))
        return int(self.inner.publish(event))


DEFECT = Replacing(
    "status-flood",
    (
        "CNS-3",
        "STA-6",
    ),
    "Three AGENT_STATUS per change",
    publishing(_Flooding),
)
