# ruff: noqa: INP001 -- a directory of scripts, not a package
"""What all opponents share: bind loopback, say where, and go when told."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

Stop = Callable[[], Awaitable[None]]
Start = Callable[[socket.socket], Awaitable[Stop]]


def parser(description: str) -> argparse.ArgumentParser:
    """The options every script has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--port", type=int, default=0, help="0 takes a free one")
    made.add_argument("--exit-with-stdin", action="store_true", help="end when stdin closes")
    return made


def serve(options: argparse.Namespace, start: Start, facts: Mapping[str, object] | None = None) -> None:
    """Run until SIGTERM, SIGINT or (if asked) the end of stdin."""
    asyncio.run(_serve(options.port, start, facts or {}, with_stdin=options.exit_with_stdin))


async def _serve(port: int, start: Start, facts: Mapping[str, object], *, with_stdin: bool) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if with_stdin:
        _watch_stdin(loop, told)
    listener = _bind(port)
    stop = await start(listener)
    _announce(f"http://127.0.0.1:{listener.getsockname()[1]}", facts)
    await told.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop(), 2)


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    listener.setblocking(False)
    return listener


def _announce(url: str, facts: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps({"event": "listening", "url": url, **facts}) + "\n")
    sys.stdout.flush()


def _watch_stdin(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    def wait() -> None:
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(told.set)

    threading.Thread(target=wait, daemon=True).start()


def start_app(app: web.Application) -> Start:
    """How an aiohttp application is started on a bound socket."""

    async def start(listener: socket.socket) -> Stop:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        return runner.cleanup

    return start
