"""The start of a command is not told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Silent(Knowing):
    def publish(self, event: Event) -> int:
        started = event.type == "COMMAND_STATUS" and (event.body(1) or {}).get("status") == "EXECUTING"
        return 0 if started else self.inner.publish(event)


DEFECT = Replacing("command-status-missing", ("CMD-2",), "No COMMAND_STATUS on COMMAND_ACK", publishing(_Silent))
