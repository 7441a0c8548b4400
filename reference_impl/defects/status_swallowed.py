"""A rate limit on AGENT_STATUS drops what comes on top, even when it says another status."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Event


class _Limiting(Knowing):
    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.sent: dict[str, deque[float]] = defaultdict(lambda: deque([float("-inf")] * 3, maxlen=3))
        self.last: dict[str, str] = {}

    def publish(self, event: Event) -> int:
        if event.type != "AGENT_STATUS":
            return int(self.inner.publish(event))
        status, sent, now = (event.body(1) or {})["status"], self.sent[event.subject], self.parts.clock.monotonic()
        if self.last.get(event.subject, status) != status and now - sent[0] < 1:
            return 0
        self.last[event.subject] = status
        sent.append(now)
        return int(self.inner.publish(event))


DEFECT = Replacing("status-swallowed", ("STA-6",), "Rate limiting eats a status change", publishing(_Limiting))
