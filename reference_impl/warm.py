"""A command that starts in an instant: a process that has loaded what it needs, and forks for each call.

    python -m reference_impl.warm SOCKET MODULE REHEARSALS

Rehearsals are command lines of `python -m MODULE`, a JSON list of lists. Each is run here once, in whole, so that a
fork of this process has imported and read what a new one would spend seconds on. A call comes from `call.py` and is a
process of its own: with its environment, directory and streams, and killed as soon as its caller is gone. This process
ends with its input.

It prints a JSON line at once, `{"call": [the words that call it]}`, and a second, `{"warm": true}`, after the
rehearsals. Calls in between wait.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

CALL: Final = Path(__file__).with_name("call.py")
CALLED_BY: Final = "REFERENCE_CALLED_BY"
_STREAMS: Final = 3
_AT_ONCE: Final = 65536


@dataclass(slots=True)
class Call:
    """One call: its caller's connection, what came over it, and the process that serves it."""

    connection: socket.socket
    said: bytes = b""
    streams: list[int] = field(default_factory=list)
    pid: int = 0

    def hear(self) -> bool:
        """Take in what the caller says; false once it is gone."""
        with suppress(ConnectionError):
            said, streams, _, _ = socket.recv_fds(self.connection, _AT_ONCE, _STREAMS)
            self.said += said
            self.streams += streams
            return bool(said)
        return False

    def tell(self, word: str, number: int) -> None:
        """Tell the caller, if it is still there."""
        with suppress(OSError):
            self.connection.sendall(f"{word} {number}\n".encode())

    def close(self) -> None:
        """Forget the caller and its streams."""
        self.connection.close()
        self.close_streams()

    def close_streams(self) -> None:
        """They are the served process's alone."""
        for stream in self.streams:
            os.close(stream)
        self.streams.clear()


class Warm:
    """Takes calls and forks for them, until its own input ends."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._calls: dict[int, Call] = {}
        self._woken, self._wake = os.pipe()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> dict[str, Any] | None:
        """Comes back in each forked process with its call; here with nothing, once this process is to end."""
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for place in (self._listener.fileno(), self._woken, 0):
            self._selector.register(place, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == 0 and not os.read(0, _AT_ONCE):
                    self._end_all()
                    return None
                if key.fd == self._woken:
                    os.read(self._woken, _AT_ONCE)
                    self._reap()
                elif key.fd == self._listener.fileno():
                    connection, _ = self._listener.accept()
                    self._calls[connection.fileno()] = Call(connection)
                    self._selector.register(connection, selectors.EVENT_READ)
                elif (wanted := self._heard(key.fd)) is not None:
                    return wanted

    def _heard(self, place: int) -> dict[str, Any] | None:
        """Something came from a caller; in the process that is forked for it, what it wants."""
        if (call := self._calls.get(place)) is None:
            return None
        if not call.hear():
            self._forget(call)
            if call.pid:
                _kill(call.pid)
        elif not call.pid and call.said.endswith(b"\n"):
            wanted: dict[str, Any] = json.loads(call.said)
            if (pid := os.fork()) == 0:
                self._become(call)
                return wanted
            call.pid = pid
            call.close_streams()
            call.tell("pid", pid)
        return None

    def _become(self, call: Call) -> None:
        """In the forked process: of all that was open here only the caller's streams stay, as its own."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        for number, stream in enumerate(call.streams):
            os.dup2(stream, number)
        self._selector.close()
        for place in (self._woken, self._wake):
            os.close(place)
        for one in self._calls.values():
            one.close()
        self._listener.close()

    def _reap(self) -> None:
        """Tell callers how their processes ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for call in [call for call in self._calls.values() if call.pid == pid]:
                call.tell("code", os.waitstatus_to_exitcode(status))
                self._forget(call)

    def _forget(self, call: Call) -> None:
        self._selector.unregister(call.connection)
        del self._calls[call.connection.fileno()]
        call.close()

    def _end_all(self) -> None:
        for call in self._calls.values():
            if call.pid:
                _kill(call.pid)


def _kill(pid: int) -> None:
    """With all that it started; before it has a group of its own, it has started nothing."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def run(module: str, arguments: Sequence[str]) -> None:
    """What `python -m MODULE ARGUMENTS` does; ends by `SystemExit`, or not at all."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def rehearse(module: str, lines: Sequence[Sequence[str]]) -> None:
    """Runs each command line once, its output thrown away. Whatever it says, only what it loaded matters."""
    kept, nowhere = [os.dup(number) for number in range(_STREAMS)], os.open(os.devnull, os.O_RDWR)
    for number in range(_STREAMS):
        os.dup2(nowhere, number)
    for line in lines:
        with suppress(SystemExit):
            run(module, line)
    sys.stdout.flush()
    for number, stream in enumerate(kept):
        os.dup2(stream, number)
        os.close(stream)
    os.close(nowhere)


def run_and_end(module: str, arguments: Sequence[str]) -> None:
    """The same, and the end of this process.

    What is done at an interpreter's exit is done, but its parts are not taken down one by one: libraries that were
    loaded before the fork (uvloop) do not survive that.
    """
    code: Any = 0
    try:
        run(module, arguments)
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException:  # noqa: BLE001 - told as the interpreter tells it
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as the interpreter does: threads come to their end
    atexit._run_exitfuncs()  # noqa: SLF001 - likewise
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 0xFF)


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(place: str, module: str, rehearsals: str) -> None:
    """Rehearse, listen, and be each process that is called for."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen()
    words = [sys.executable, "-I", "-S", str(CALL), place]
    _say({"call": words})
    rehearse(module, json.loads(rehearsals))
    if (left := threading.active_count()) > 1:
        raise SystemExit(f"{left - 1} threads go on after the rehearsal: a fork would lack them")
    gc.collect()
    gc.freeze()
    _say({"warm": True})
    if (wanted := Warm(listener).serve()) is None:
        return
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.environ[CALLED_BY] = json.dumps(words)  # for what the command itself starts of its kind
    os.chdir(wanted["directory"])
    run_and_end(module, wanted["arguments"])


if __name__ == "__main__":
    main(*sys.argv[1:])
