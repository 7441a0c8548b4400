"""Events reach dashboards a moment after they happened, so one older than the snapshot can come after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event
LAG_S: Final = 0.05
"""A broker between commit and fan-out."""


class _Lagging(Knowing):
    def publish(self, event: Event) -> int:
        self.parts.clock.call_later(LAG_S, lambda: self.inner.publish(event))
        return int(self.inner.audience(event.user_id))


DEFECT = Replacing(
    "init-stale-event",
    ("DSH-4",),
    "An event older than the snapshot arrives after it",
    publishing(_Lagging),
)
