"""Every second chunk of a terminal is held up, and the next one overtakes it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event
HELD_S: Final = 0.05


class _Overtaking(Knowing):
    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.told: Counter[str] = Counter()

    def publish(self, event: Event) -> int:
        if event.type == "TERMINAL_STREAM":
            self.told[event.subject] += 1
            if self.told[event.subject] % 2:
                self.parts.clock.call_later(HELD_S, lambda: self.inner.publish(event))
                return int(self.inner.audience(event.user_id))
        return int(self.inner.publish(event))


DEFECT = Replacing(
    "terminal-reordered",
    ("TRM-1",),
    "The sequence goes back",
    publishing(_Overtaking),
)
