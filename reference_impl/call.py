"""Calls a command that `warm.py` holds ready, as if it were started here: its streams, signals and exit code.

    python call.py SOCKET ARGUMENT…

It needs nothing but the standard library, so that it starts in an instant. When it is gone the command is killed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LOST = 70
"""The exit code when the command is gone without one of its own."""


def main(place: str, arguments: list[str]) -> int:
    """Has the command run; gives its exit code, 128 + n when signal n ended it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until there is a process to pass them on to

    def pass_on(number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        wanted = {"arguments": arguments, "environment": dict(os.environ), "directory": os.getcwd()}  # noqa: PTH109 - pathlib starts slowly
        socket.send_fds(connection, [b" "], [0, 1, 2])
        connection.sendall(json.dumps(wanted).encode() + b"\n")
        with connection.makefile("r") as answers:
            pid = int(answers.readline().removeprefix("pid "))
            for number in PASSED_ON:
                signal.signal(number, pass_on)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
            word, _, code = answers.readline().partition(" ")
    if word != "code":
        return LOST
    return int(code) if int(code) >= 0 else 128 - int(code)


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2:])
    sys.stdout.flush()
    os._exit(code)
