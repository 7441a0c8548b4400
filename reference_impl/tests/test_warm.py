"""A command that is held ready: to its caller it is the command itself."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reference_impl import call, warm
from reference_impl.prove.programs import warm_programs

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = """
import os, signal, sys, time
import loaded
match sys.argv[1]:
    case "rehearse":
        loaded.times += 1
        raise SystemExit(9)
    case "tell":
        print(loaded.times, sys.argv[2:], os.environ["OURS"], os.getcwd(), sys.stdin.read())
        print("aside", file=sys.stderr)
        raise SystemExit(3)
    case "wait":
        print(os.getpid(), flush=True)
        signal.pause()
"""


@contextmanager
def held(place: Path) -> Iterator[tuple[list[str], subprocess.Popen[str]]]:
    """The command, rehearsed once: the words that call it, and the process that holds it."""
    (place / "command.py").write_text(MODULE)
    (place / "loaded.py").write_text("times = 0")
    program = [sys.executable, "-m", warm.__name__, str(place / "s"), "command", json.dumps([["rehearse"]])]
    paths = os.pathsep.join([str(Path(warm.__file__).parents[1]), str(place)])
    environment = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(  # noqa: S603 - our own
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        words = json.loads(process.stdout.readline())["call"]
        assert words == [sys.executable, "-I", "-S", call.__file__, str(place / "s")]
        assert json.loads(process.stdout.readline()) == {"warm": True}
        yield words, process
        process.stdin.close()
        assert process.wait(10) == 0


def waiting(words: list[str]) -> tuple[subprocess.Popen[str], int]:
    """A call that waits, and the number of the process that serves it."""
    caller = subprocess.Popen([*words, "wait"], stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    assert caller.stdout is not None
    return caller, int(caller.stdout.readline())


def ends(pid: int) -> bool:
    """Whether a process ends; it is waited for where it still is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


def test_a_call_is_the_command(tmp_path: Path) -> None:
    """Arguments, environment, directory, streams and exit code are the caller's; what was loaded once stays loaded."""
    with held(tmp_path) as (words, _):
        for text in ("one", "two"):
            told = subprocess.run(  # noqa: S603 - our own
                [*words, "tell", "a", ""],
                input=text, capture_output=True, text=True, cwd=tmp_path, env={"OURS": "ä"}, check=False,
            )  # fmt: skip
            assert told.stdout == f"1 ['a', ''] ä {tmp_path} {text}\n"
            assert (told.stderr, told.returncode) == ("aside\n", 3)


def test_signals_are_passed_on(tmp_path: Path) -> None:
    """A call that is asked to end asks the command, and tells how that ended."""
    with held(tmp_path) as (words, _):
        caller, pid = waiting(words)
        caller.terminate()
        assert caller.wait(10) == 128 + signal.SIGTERM
        assert ends(pid)


def test_no_command_outlives_its_caller(tmp_path: Path) -> None:
    """A call that is killed leaves nothing."""
    with held(tmp_path) as (words, _):
        caller, pid = waiting(words)
        caller.kill()
        assert caller.wait(10) == -signal.SIGKILL
        assert ends(pid)


def test_nothing_outlives_the_holder(tmp_path: Path) -> None:
    """When the one that started it is gone it ends, and with it all that it serves; callers are told of a loss."""
    with held(tmp_path) as (words, holder):
        caller, pid = waiting(words)
        assert holder.stdin is not None
        holder.stdin.close()
        assert ends(pid)
        assert caller.wait(10) == call.LOST


@pytest.mark.parametrize("half", ["suite", "reference"])
async def test_both_halves_are_held(half: str) -> None:
    """The suite and the reference get warm, and say the same as when they are started anew."""
    line = {"suite": ["explain", "AGT-1"], "reference": ["mail", "--to", "a@b", "--outbox", "/nowhere"]}[half]
    module = {"suite": "conformance", "reference": "reference_impl"}[half]
    async with warm_programs() as programs:
        words = getattr(programs, half)
        assert call.__file__ in words
        called, anew = (
            subprocess.run([*first, *line], capture_output=True, check=False)  # noqa: ASYNC221, S603 - ours; nothing else runs
            for first in (words, (sys.executable, "-m", module))
        )
        assert (called.returncode, called.stdout, called.stderr) == (anew.returncode, anew.stdout, anew.stderr)
