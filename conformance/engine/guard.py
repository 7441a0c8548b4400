"""Runs one command and sees to it that nothing of it is left: a program of its own, started beside the suite.

    python guard.py COMMAND ARGUMENT…

The command gets a process group of its own. Each line on standard input is an order: TERM or KILL, to the whole group.
When standard input ends (the suite has gone, however it went) the group is ended. When the command ends, whatever else
is in its group is killed; the last words of both its streams are printed, and its exit code is this program's.

It needs nothing but the standard library, so that it starts in an instant.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO

GRACE = 5.0
"""Seconds between being asked to end and being made to."""
MOST = 4096
"""Bytes of its last words that are kept."""
NOT_STARTED = 127
ORDERS = {b"TERM": signal.SIGTERM, b"KILL": signal.SIGKILL}


def main(command: list[str]) -> int:
    """Runs the command; gives its exit code, 128 + n when signal n ended it."""
    try:
        child = subprocess.Popen(  # noqa: S603 - the profile's command
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except (OSError, ValueError) as error:
        sys.stdout.write(f"{command[0]} could not be started: {error}\n")
        return NOT_STARTED
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: _signal(child, signal.SIGTERM))
    kept = bytearray()
    assert child.stdout is not None  # noqa: S101 - asked for above
    reading = threading.Thread(target=_keep, args=(child.stdout, kept), daemon=True)
    reading.start()
    threading.Thread(target=_obey, args=(child,), daemon=True).start()
    code = child.wait()
    _signal(child, signal.SIGKILL)
    reading.join(0.5)
    with suppress(OSError):
        os.write(1, bytes(kept))
    return code if code >= 0 else 128 - code


def _keep(stream: IO[bytes], kept: bytearray) -> None:
    while chunk := os.read(stream.fileno(), 65536):
        kept += chunk
        del kept[:-MOST]


def _obey(child: subprocess.Popen[bytes]) -> None:
    for line in sys.stdin.buffer:
        if (number := ORDERS.get(line.strip())) is not None:
            _signal(child, number)
    _signal(child, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
        return
    _signal(child, signal.SIGKILL)


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the whole group: the child leads it, so its number is the group's even when the child has gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
