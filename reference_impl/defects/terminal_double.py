"""Each chunk of terminal output arrives twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import again, publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Doubling(Knowing):
    def publish(self, event: Event) -> int:
        if event.type == "TERMINAL_STREAM":
            self.inner.publish(again(event, self.parts))
        return int(self.inner.publish(event))


DEFECT = Replacing(
    "terminal-double",
    ("TRM-1",),
    "Each chunk arrives twice",
    publishing(_Doubling),
)
