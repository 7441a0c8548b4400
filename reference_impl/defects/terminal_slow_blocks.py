"""Nobody is told anything while one dashboard lets a quarter of a mebibyte wait."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event
LOOK_S: Final = 0.02
SLOW: Final = 256 * 1024


class _InStep(Knowing):
    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.members: set[Any] = set()
        self.held: deque[Event] = deque()

    def join(self, user_id: str, member: Any) -> None:
        self.members.add(member)
        self.inner.join(user_id, member)

    def leave(self, user_id: str, member: Any) -> None:
        self.members.discard(member)
        self.inner.leave(user_id, member)

    def publish(self, event: Event) -> int:
        self.held.append(event)
        if len(self.held) == 1:
            self.go_on()
        return int(self.inner.audience(event.user_id))

    def go_on(self) -> None:
        while self.held and not any(member.connection.backlog > SLOW for member in self.members):
            self.inner.publish(self.held.popleft())
        if self.held:
            self.parts.clock.call_later(LOOK_S, self.go_on)


DEFECT = Replacing("terminal-slow-blocks", ("TRM-5",), "One slow dashboard delays all", publishing(_InStep))
