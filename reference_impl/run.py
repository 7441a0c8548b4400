"""From settings to a running server, for the command line and for tests."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import reduce
from typing import TYPE_CHECKING, TypedDict

from reference_impl.app import BASE, create_app, make_parts
from reference_impl.defects import load
from reference_impl.server import Server, bind, make_server
from reference_impl.store import UnusableDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_impl.parts import Parts
    from reference_impl.settings import Settings


class Listening(TypedDict):
    """What is said once the server listens."""

    event: str
    url: str
    agent_ws: str
    dashboard_ws: str
    base_path: str
    heartbeat_interval_s: float


def run(  # noqa: PLR0913 - what the command line knows
    settings: Settings,
    *,
    host: str,
    port: int,
    defects: Sequence[str],
    listening: Callable[[Listening], None],
    patience_s: float,
    exit_with_stdin: bool,
) -> None:
    """Serve until told to stop.

    Args:
        settings: what it is to be.
        host: where to listen.
        port: on which port; 0 takes a free one.
        defects: which to switch on, by name.
        listening: called once it listens.
        patience_s: seconds to wait for the database to come up.
        exit_with_stdin: whether to stop when stdin closes.

    Raises:
        ValueError: a defect has no such name.
        OSError: the port cannot be had.
        UnusableDatabaseError: the database cannot be opened.
    """
    chosen = load(defects)
    parts: Parts = reduce(lambda parts, defect: defect.apply(parts), chosen, make_parts(settings))
    listener = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    told = Listening(
        event="listening",
        url=f"http://{shown}:{listener.getsockname()[1]}",
        agent_ws="/ws/agent",
        dashboard_ws="/ws/dashboard",
        base_path=BASE,
        heartbeat_interval_s=settings.timings.heartbeat_interval_s,
    )
    server = make_server(create_app(parts), lambda: listening(told))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        try:
            runner.run(parts.database.start(patience_s))  # here, where a failure can still be told in one sentence
        except UnusableDatabaseError:
            runner.run(_drivers_end())
            raise
        if exit_with_stdin:
            threading.Thread(target=_stop_with_stdin, args=(server,), daemon=True).start()
        runner.run(server.serve(sockets=[listener]))


async def _drivers_end() -> None:
    """Let the driver's thread say its last word while there is still a loop to say it to."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            await asyncio.to_thread(thread.join, 1)


def _stop_with_stdin(server: Server) -> None:
    """A parent that was killed leaves no orphan: its end of the pipe is closed with it."""
    while sys.stdin.buffer.read(4096):
        pass
    server.stop()
