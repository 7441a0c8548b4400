"""Writes events onto a timeline, stamps them, and keeps the whole within bounds whatever a backend sends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from conformance import reading
from conformance.timeline import Event, Frame, Note, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.contract import Contract
    from conformance.terms import Terms

E = TypeVar("E", bound=Event)

MAX_EVENTS = 20_000
MAX_BYTES = 32 * 1024 * 1024
ROOM = 8
"""How many times as much the timeline of a heavy case may hold."""


class Recorder:
    """One timeline in the making."""

    def __init__(
        self,
        contract: Contract,
        *,
        case: str = "",
        clock: Callable[[], float] = time.monotonic,
        heavy: bool = False,
    ) -> None:
        self._contract = contract
        self._room = ROOM if heavy else 1
        self._case = case
        self._clock = clock
        self._start = clock()
        self._epoch = time.time()
        self._events: list[Event] = []
        self._bytes = 0

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def last(self) -> int:
        """The `seq` of the latest event."""
        return len(self._events) - 1

    @property
    def full(self) -> bool:
        """Whether the bounds are reached; then nothing more is taken and the case must end."""
        return len(self._events) >= self._room * MAX_EVENTS or self._bytes >= self._room * MAX_BYTES

    def add(self, kind: type[E], /, *, size: int = 0, **fields: Any) -> E:
        """An event, now (or at the `at` given)."""
        if "at" not in fields:
            fields["at"] = self.now
        event = kind(seq=len(self._events), **fields)
        if not self.full:
            self._events.append(event)
            self._bytes += size
        return event

    def received(self, *, value: Any, size: int, **fields: Any) -> list[Frame]:
        """A frame from the backend, and after it the messages inside it where it is a BATCH."""
        outer = self.add(Frame, direction="to_client", value=value, size=size, **fields)
        found = [outer]
        for message in reading.batched(value):
            text = orjson.dumps(message).decode()
            inside = {**fields, "at": outer.at, "text": text, "batch": outer.seq}
            found += self.received(value=message, size=0, **inside)
            if self.full:
                break
        return found

    def note(self, kind: str, **data: Any) -> None:
        """Something that the tester knows and the wire does not say."""
        self.add(Note, kind=kind, data=data)

    def timeline(self, terms: Terms) -> Timeline:
        """What has been recorded so far."""
        return Timeline(
            self._events, contract=self._contract, terms=terms, epoch=self._epoch, case=self._case, end=self.now
        )
