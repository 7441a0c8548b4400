"""AGENT_ERROR never reaches a dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Discreet(Through):
    def publish(self, event: Event) -> int:
        return 0 if event.type == "AGENT_ERROR" else int(self.inner.publish(event))


DEFECT = Replacing(
    "error-not-forwarded",
    ("AER-1",),
    "AGENT_ERROR never reaches a dashboard",
    publishing(lambda hub, _parts: _Discreet(hub)),
)
