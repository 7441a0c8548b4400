"""Running the application in uvicorn: our own socket, our own way to stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from starlette.types import ASGIApp

_LARGEST_FRAME = 8 * 1024 * 1024
"""Far above what any role may send (WSX-5): up to here we decide, and close with 1009 in good order."""

_LEAVE_S, _LOOK_S = 1.0, 0.005
"""How long what runs may go on when the server stops, and how often it is looked at."""


class Socket(WebSocketsSansIOProtocol):
    """uvicorn's own protocol, which can also end a socket whose client has stopped reading."""

    async def run_asgi(self) -> None:
        """Offer `cut` to the application."""
        cast("dict[str, Any]", self.scope)["extensions"]["onsembl.cut"] = self.cut
        await super().run_asgi()

    def cut(self, code: int, reason: str) -> None:
        """Say goodbye past whatever is waiting to be sent, and wake who waits for this client (TRM-5)."""
        if not self.close_sent and not self.disconnected:
            self.close_sent = self.disconnected = True
            self._goodbye(code, reason)
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
            self.writable.set()
            self.transport.close()
            self.loop.call_later(60, self.transport.abort)

    def shutdown(self) -> None:
        """The server is going away: 1001."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self.close_sent = True
            self._goodbye(1001, "The server is going away")
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1001})
            self.transport.close()
        else:
            super().shutdown()

    def _goodbye(self, code: int, reason: str) -> None:
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))


class Server(uvicorn.Server):
    """uvicorn's server, which tells when it listens and ends with 0 when it is told to stop."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self._tell()

    async def main_loop(self) -> None:
        """Do what is to be done every second, until told to stop; uvicorn's own looks only ten times a second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take leave of every connection, give what runs a moment, close the application.

        uvicorn's own pauses for a tenth of a second each time it looks, also when nobody is there.
        """
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        end = asyncio.get_running_loop().time() + _LEAVE_S
        while (self.server_state.connections or self.server_state.tasks) and not self.force_exit:
            if asyncio.get_running_loop().time() > end:
                break
            await asyncio.sleep(_LOOK_S)
        for task in self.server_state.tasks:
            task.cancel()
        if not self.force_exit:
            await self.lifespan.shutdown()

    def stop(self) -> None:
        """Stop soon; may be called from any thread and from a signal handler."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        super().handle_exit(sig, frame)
        self.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and do not raise them again: to be stopped is no failure."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def make_server(app: ASGIApp, started: Callable[[], None]) -> Server:
    """Configure uvicorn: no compression, no logs of its own (they would hold tokens), no pings of its own.

    Without its pings the heartbeat time-out is the one judge of a silent agent (DIS-3).
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws=Socket,
        ws_max_size=_LARGEST_FRAME,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        log_level="critical",
        server_header=False,
        timeout_keep_alive=65,
    )
    return Server(config, started)


def bind(host: str, port: int) -> socket.socket:
    """Listen on a port; 0 takes a free one, which the socket then knows."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves Nagle on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    return listener
