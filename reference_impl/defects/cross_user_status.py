"""Another user's dashboard sees AGENT_STATUS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import again, publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Broadcasting(Knowing):
    def publish(self, event: Event) -> int:
        if event.type == "AGENT_STATUS":
            for user in {*self.parts.settings.users} - {event.user_id}:
                self.inner.publish(again(event, self.parts, user))
        return int(self.inner.publish(event))


DEFECT = Replacing(
    "cross-user-status",
    ("ISO-2",),
    "Another user's dashboard sees AGENT_STATUS",
    publishing(_Broadcasting),
)
