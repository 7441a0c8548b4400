"""One socket's outgoing side: a bounded queue and one writer (TRM-5)."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_impl.clock import Clock, Timer
    from reference_impl.domain.errors import Refusal
    from reference_impl.domain.events import Body
    from reference_impl.live.codec import Codec
    from reference_impl.settings import Limits

_LONGEST_REASON: Final = 120
"""A close frame holds at most 123 bytes of reason; ours are ASCII."""

_BURST: Final = 50
"""After so many frames to one client the others' turn comes, though this one could take more (TRM-5)."""

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Cut = Callable[[int, str], None]
"""Ends a socket at once, past whatever waits to be written."""


@dataclass(frozen=True, slots=True)
class Close:
    """How a connection ends."""

    code: int
    reason: str


class _Waiting(NamedTuple):
    """A frame in the queue: the memory it takes, when it came, and whether it may go inside a BATCH."""

    frame: str
    size: int
    at: int
    event: bool
    gate: asyncio.Event | None
    """Until it is open, this frame and those behind it wait."""

    @property
    def held(self) -> bool:
        """Whether it must not be written yet."""
        return self.gate is not None and not self.gate.is_set()


class Connection:
    """What the server sends to one client.

    Nothing here waits: a frame is put into the queue, and one task writes the queue out. A client
    that reads more slowly than it is told is cut rather than kept in memory.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the ports it joins
        self, send: Send, cut: Cut, codec: Codec, clock: Clock, limits: Limits, grace_s: float
    ) -> None:
        self.closing: Close | None = None
        self._send = send
        self._cut = cut
        self._codec = codec
        self._clock = clock
        self._limits = limits
        self._grace = grace_s
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._batches = False
        self._wake = asyncio.Event()
        self._gate: asyncio.Event | None = None
        self._writer: asyncio.Task[None] | None = None
        self._last_resort: Timer | None = None

    @contextmanager
    def holding(self) -> Iterator[asyncio.Event]:
        """What is sent inside waits in the queue until the event is set; what is sent later waits behind it."""
        gate = self._gate = asyncio.Event()
        try:
            yield gate
        finally:
            self._gate = None

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write())

    def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
        """Send one message to this client alone."""
        self.enqueue(self._codec.encode(type, payload))

    def error(self, refusal: Refusal, message_id: str | None = None) -> None:
        """Send ERROR (WSX-7)."""
        body: dict[str, Any] = {
            "code": refusal.socket_code,
            "message": refusal.sentence,
            "recoverable": refusal.close is None,
        }
        if refusal.details is not None:
            body["details"] = refusal.details
        if message_id is not None:
            body["originalMessageId"] = message_id
        self.send("ERROR", body)

    @property
    def backlog(self) -> int:
        """Bytes of memory that wait for this client to read."""
        return self._bytes

    def accept_batches(self, accepts: bool) -> None:  # noqa: FBT001 - it is what the client said
        """Whether from now on events that wait may be sent together (STA-7)."""
        self._batches = accepts

    def enqueue(self, frame: str, *, event: bool = False) -> None:
        """Put a finished frame into the queue, or cut a client that has let it overflow.

        What counts is the memory that a frame takes: a text with one emoji in it takes four bytes
        for each character.
        """
        if self.closing is not None:
            return
        waiting = _Waiting(frame, sys.getsizeof(frame), self._clock.now_ms(), event, self._gate)
        self._queue.append(waiting)
        self._bytes += waiting.size
        if len(self._queue) > self._limits.queue_messages or self._bytes > self._limits.queue_bytes:
            self._queue.clear()
            self._bytes = 0
            self.closing = Close(1008, "The client reads too slowly")
            self._give_up()
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """End the connection after what is already in the queue; the first reason counts."""
        if self.closing is None:
            self.closing = Close(code, reason[:_LONGEST_REASON])
            self._wake.set()
            self._last_resort = self._clock.call_later(self._grace, self._give_up)

    async def stop(self) -> None:
        """Stop the writer; the client is gone."""
        if self._last_resort is not None:
            self._last_resort.cancel()
        if self._writer is not None:
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer

    def _give_up(self) -> None:
        """What is queued has had its time; a client that does not read even the close frame is let go."""
        if self.closing is not None:
            self._cut(self.closing.code, self.closing.reason)

    async def _write(self) -> None:
        with suppress(OSError, RuntimeError):  # the client is gone; the reading side finds out too
            while self._queue or self.closing is None:
                await self._wake.wait()
                self._wake.clear()
                sent = 0
                while self._queue:
                    if (gate := self._queue[0].gate) is not None and not gate.is_set():
                        await gate.wait()
                        continue  # the queue may be another by now
                    await self._send({"type": "websocket.send", "text": self._next()})
                    sent += 1
                    if sent % _BURST == 0:
                        await asyncio.sleep(0)
            await self._send({"type": "websocket.close", "code": self.closing.code, "reason": self.closing.reason})

    def _next(self) -> str:
        """Take the next frame out of the queue, or a BATCH of those that wait, in their order (STA-7)."""
        taken = [self._take()]
        size = taken[0].size
        while self._batches and taken[0].event and self._queue and self._queue[0].event and not self._queue[0].held:
            size += self._queue[0].size
            if size > self._limits.batch_bytes or len(taken) == self._limits.batch_messages:
                break
            taken.append(self._take())
        if len(taken) == 1:
            return taken[0].frame
        return self._codec.batch([waiting.frame for waiting in taken], taken[-1].at)

    def _take(self) -> _Waiting:
        waiting = self._queue.popleft()
        self._bytes -= waiting.size
        return waiting
