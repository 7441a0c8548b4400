"""The last AGENT_STATUS of each agent is kept for a second and handed to dashboards that come, after their snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import again, publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event
    from reference_impl.hub import Member


class _Retaining(Knowing):
    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.kept: dict[str, Event] = {}

    def publish(self, event: Event) -> int:
        if event.type == "AGENT_STATUS":
            self.kept[event.subject] = event
            self.parts.clock.call_later(1, lambda: self.forget(event))
        return int(self.inner.publish(event))

    def forget(self, event: Event) -> None:
        if self.kept.get(event.subject) is event:
            del self.kept[event.subject]

    def join(self, user_id: str, member: Member) -> None:
        self.inner.join(user_id, member)
        for event in self.kept.values():
            if event.user_id == user_id and member.wants(event):
                member.deliver(again(event, self.parts))


DEFECT = Replacing(
    "init-stale-event",
    ("DSH-4",),
    "An event older than the snapshot arrives after it",
    publishing(_Retaining),
)
