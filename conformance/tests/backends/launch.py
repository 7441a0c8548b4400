# ruff: noqa: INP001 -- a directory of scripts, not a package
"""Start an opponent, know where it listens, and end it."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
STARTS_WITHIN = 15.0


@contextmanager
def backend(name: str, *arguments: str, port: int = 0) -> Iterator[str]:
    """The URL of `name`.py, which runs as long as the block does."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--port", str(port), "--exit-with-stdin", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 -- our own script
    try:
        yield _listening(process)
    finally:
        _end(process)


def _listening(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    line = _line(process.stdout)
    if not line:
        raise RuntimeError(f"{process.args!r} did not say where it listens")
    return str(json.loads(line)["url"])


def _line(stream: IO[bytes]) -> bytes:
    """The first line, or nothing if it does not come in time."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(STARTS_WITHIN) else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
