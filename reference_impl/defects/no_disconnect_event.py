"""Nothing is said when an agent's socket ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Silent(Through):
    def publish(self, event: Event) -> int:
        return 0 if event.type == "AGENT_DISCONNECT" else int(self.inner.publish(event))


DEFECT = Replacing(
    "no-disconnect-event",
    ("DIS-1",),
    "No AGENT_DISCONNECT when an agent's socket ends",
    publishing(lambda hub, _parts: _Silent(hub)),
)
