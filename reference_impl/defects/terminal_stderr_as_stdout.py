"""Chunks are merged for a moment into one, which says that all of it came from STDOUT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Knowing, Replacing
from reference_impl.domain.events import Event

MERGED_S: Final = 0.03
if TYPE_CHECKING:
    from collections.abc import Mapping


class _Merging(Knowing):
    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.held: dict[str, tuple[Event, Mapping[str, Any]]] = {}

    def publish(self, event: Event) -> int:
        if event.type != "TERMINAL_STREAM":
            return int(self.inner.publish(event))
        body = dict(event.body(1) or {})
        if event.subject in self.held:
            body["content"] = self.held[event.subject][1]["content"] + body["content"]
        else:
            self.parts.clock.call_later(MERGED_S, lambda: self.settle(event.subject))
        self.held[event.subject] = event, {**body, "streamType": "STDOUT"}
        return int(self.inner.audience(event.user_id))

    def settle(self, subject: str) -> None:
        of, body = self.held.pop(subject)
        self.inner.publish(Event(of.user_id, of.type, of.topic, subject, lambda _: body, self.parts.codec.encode))


DEFECT = Replacing("terminal-stderr-as-stdout", ("TRM-2",), "Merged chunks lose their stream", publishing(_Merging))
