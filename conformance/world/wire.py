"""A WebSocket whose end of the line can fail: it falls silent, is cut in mid-frame, reads no more for a while.

A backend cannot see whether a peer reads while little is on its way; so the tester goes on reading where its peer has
fallen silent, and the timeline holds when what came. What a silent peer never does is answer: no PONG, no close frame.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from websockets.frames import Close
    from websockets.http11 import Response

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: the end is told by RST, whatever is still to be sent."""


class Wire(ClientConnection):
    """The library's connection, with the faults that a network has."""

    _on_close: Callable[[Close | None], None] | None = None
    """Set once it is silent: who is to know that the backend has begun to close it."""

    def fall_silent(self, on_close: Callable[[Close | None], None]) -> None:
        """Nothing leaves it any more of itself, not even what the library answers."""
        self._on_close = on_close

    def send_data(self) -> None:
        """Nothing leaves a silent one."""
        if self._on_close is None:
            super().send_data()
        else:
            self.protocol.data_to_send()

    async def send_all(self, texts: Iterable[str]) -> None:
        """Many frames in one go: each system call costs more than the frame that it writes."""
        async with self.send_context():
            for text in texts:
                self.protocol.send_text(text.encode())
            if self._on_close is None:
                self.transport.write(b"".join(self.protocol.data_to_send()))

    def process_event(self, event: Frame | Response) -> None:  # type: ignore[override]
        """A close frame is the last that a silent one hears; it does not answer it."""
        super().process_event(event)
        if self._on_close is not None and isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
            self._on_close(self.protocol.close_rcvd)

    def write_past(self, text: str) -> bool:
        """Writes a whole frame, silent or not, closed by the other side or not; says whether the line still stood."""
        return self._write(_frame(text))

    def cut(self, text: str) -> None:
        """Writes half of a frame and ends the line."""
        data = _frame(text)
        self._write(data[: len(data) // 2])
        self.transport.close()  # after what was written; without a close frame

    def reset(self) -> None:
        """Ends the line by RST."""
        line: socket.socket = self.transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.transport.abort()

    def stall(self, seconds: float) -> None:
        """Reads nothing for so long, then reads on."""

        def read_on() -> None:
            if not self.transport.is_closing():
                self.transport.resume_reading()

        self.transport.pause_reading()
        asyncio.get_running_loop().call_later(seconds, read_on)

    def _write(self, data: bytes) -> bool:
        if self.transport.is_closing():
            return False
        self.transport.write(data)
        return True


def _frame(text: str) -> bytes:
    extensions: list[Any] = []
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=True, extensions=extensions)
