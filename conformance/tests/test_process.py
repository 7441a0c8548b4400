"""Backends that the suite starts: ready before anything is asked, restarted, ended with all they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from conformance.contract import load_contract
from conformance.engine.process import GUARD, started
from conformance.launch import HeldError
from conformance.profile import make_target, settings_of
from conformance.target import Target, TargetError
from conformance.world.credentials import Keyring
from conformance.world.rest import open_session
from conformance.world.site import Site
from conformance.world.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

SERVER = """
import http.server, os, subprocess, sys
port, place = int(sys.argv[1]), sys.argv[2]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(f"{place}/pids", "a").write(f"{os.getpid()} {child.pid}\\n")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
print("listening with", os.environ.get("OUR_KEY"), flush=True)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""A backend with a child of its own; each start adds a line with the numbers of both."""


LINGERING = """
import subprocess, sys, time
port, place = sys.argv[1:]
if place != "inner":
    open(f"{place}/pids", "a").write("0 0\\n")
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    inner = [sys.executable, __file__, port, "inner"]
    subprocess.Popen(inner, stdin=pipe, stdout=none, stderr=none, start_new_session=True).wait()
import http.server, os, threading
def linger():
    sys.stdin.read()
    time.sleep(0.5)
    os._exit(0)
threading.Thread(target=linger).start()
http.server.HTTPServer(("127.0.0.1", int(port)), http.server.BaseHTTPRequestHandler).serve_forever()
"""
"""A command that only talks to what serves, elsewhere; that goes on for a moment when the command has ended."""


def target_of(place: Path, script: str = SERVER, more: str = "") -> Target:
    (place / "server.py").write_text(script)
    command = [sys.executable, str(place / "server.py"), "{port}", str(place)]
    (place / "target.toml").write_text(f'command = {command!r}\nready = "/health"\n{more}\n')
    return make_target(settings_of(str(place / "target.toml"), {}))


def pids(place: Path) -> list[list[int]]:
    return [[int(n) for n in line.split()] for line in (place / "pids").read_text().splitlines()]


def is_gone(pid: int) -> bool:
    """Whether a process has ended (one that nobody has waited for has ended too)."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def until(true: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not (now := true()) and time.monotonic() < end:
        time.sleep(0.01)  # the kernel tells nobody of other people's children
    return now


async def status(target: Target, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(target.url + path) as answer:
        return answer.status


async def test_it_is_ready_restarted_and_ended_with_its_children(tmp_path: Path) -> None:
    """It answers when the run begins and after each restart, on one address, and nothing of it is left at the end."""
    async with started(target_of(tmp_path)) as target:
        assert target.held is not None
        assert await status(target, "/health") == 200
        for kill in (False, True):
            await target.held.restart(kill=kill)
            assert await status(target, "/health") == 200
        assert len(pids(tmp_path)) == 3
        assert all(is_gone(pid) for line in pids(tmp_path)[:2] for pid in line)
    assert all(is_gone(pid) for line in pids(tmp_path) for pid in line)


async def test_what_lingers_is_waited_for(tmp_path: Path) -> None:
    """It is not taken for somebody else's when what the command started elsewhere ends a moment after the command."""
    (tmp_path / "server.py").write_text(LINGERING)
    command = [sys.executable, str(tmp_path / "server.py"), "{port}", str(tmp_path)]
    (tmp_path / "target.toml").write_text(f"command = {command!r}\n")
    async with started(make_target(settings_of(str(tmp_path / "target.toml"), {}))) as target:
        assert target.held is not None
        await target.held.restart(kill=True)
        assert len(pids(tmp_path)) == 2


async def test_a_command_of_its_own_restarts_it(tmp_path: Path) -> None:
    """Where the profile names a command for that, the command restarts it, with the environment of the profile."""
    restart = [sys.executable, "-c", f"import os; open({str(tmp_path / 'asked')!r}, 'a').write(os.environ['OUR_KEY'])"]
    more = f'restart = {restart!r}\nenv = {{ OUR_KEY = "a-secret-of-ours" }}'
    async with started(target_of(tmp_path, more=more)) as target:
        assert target.held is not None
        await target.held.restart()
        assert (tmp_path / "asked").read_text() == "a-secret-of-ours"
        assert len(pids(tmp_path)) == 1


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import os; raise SystemExit('no such table, ' + os.environ['OUR_KEY'])", "ended with 1 before it was ready"),
        (SERVER.replace("/health", "/other"), "does not answer with 2xx within"),
    ],
)
async def test_why_it_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str) -> None:
    """A backend that ends, or is never ready, is told by its file and command, with its last words, without secrets."""
    monkeypatch.setattr("conformance.engine.process.START_SECONDS", 1.0)
    target = target_of(tmp_path, script, 'env = { OUR_KEY = "a-secret-of-ours" }')
    with pytest.raises(TargetError, match=said) as caught:
        async with started(target):
            pass
    assert str(caught.value).startswith(f"{tmp_path}/target.toml: command (")
    assert "a-secret-of-ours" not in str(caught.value)
    assert ("no such table, ***" in str(caught.value)) == script.startswith("import os; raise")


async def test_it_is_not_started_beside_another(tmp_path: Path) -> None:
    """What listens there already is not judged in its place."""
    async with started(target_of(tmp_path)) as target:
        with pytest.raises(TargetError, match="answers already, before"):
            async with started(target):
                pass


def test_nothing_outlives_the_suite(tmp_path: Path) -> None:
    """However the suite dies, the backend and its children end: the guard sees its input close."""
    target = target_of(tmp_path)
    assert target.launch is not None
    guard = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-I", "-S", str(GUARD), *target.launch.command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert guard.stdin is not None
    assert until(lambda: (tmp_path / "pids").exists() and bool(pids(tmp_path)))
    guard.stdin.close()
    assert guard.wait(10) == 128 + signal.SIGTERM
    assert until(lambda: all(is_gone(pid) for line in pids(tmp_path) for pid in line))


async def test_a_restart_is_on_the_timeline(tmp_path: Path) -> None:
    """A case that restarts the target notes when; one that cannot notes why, as a wait in vain."""
    async with started(target_of(tmp_path)) as target, open_session() as session:
        world = World(Site(target, load_contract(), Keyring(target), session), "case")
        assert await world.restart(kill=True)
        kinds = [n.kind for n in world.timeline().notes]
        assert kinds == ["restarting", "restarted"]
        await target.held.end()  # type: ignore[union-attr]
        assert not await world.restart()
        last = world.timeline().notes[-1]
        assert (last.kind, last.data["waited_for"]) == ("unmet", "a restart")
        assert "is not running" in last.data["connection"]


async def test_nodes_are_told_apart(tmp_path: Path) -> None:
    """What is sent to a node is recorded with its name, and goes to its address."""
    async with started(target_of(tmp_path)) as first, open_session() as session:
        target = Target(url="http://127.0.0.1:1", nodes=(first.url, first.url + "/"), tokens=("t",))
        world = World(Site(target, load_contract(), Keyring(target), session), "case")
        assert await world.nodes() == ("node-1", "node-2")
        answer = await world.user(0, "node-2").rest.get("/health", under_base=False)
        assert (answer.status, answer.node) == (200, "node-2")
        await world.user(0, "node-1").socket("agent")
        connection = world.timeline().connections[0]
        assert connection.opened.node == "node-1"
        assert (await world.user().rest.get("/health", under_base=False)).failure == "refused"


async def test_nodes_that_do_not_come_are_told() -> None:
    """Nodes that cannot be started are a wait in vain with the reason, and the case goes home."""

    class Poor:
        async def nodes(self) -> Any:
            raise HeldError("there is no Redis here")

    target = Target(url="http://127.0.0.1:1", tokens=("t",), held=Poor())  # type: ignore[arg-type]
    async with open_session() as session:
        world = World(Site(target, load_contract(), Keyring(target), session), "case")
        assert await world.nodes() is None
        assert world.timeline().notes[-1].data["connection"] == "the target: there is no Redis here"


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    """A run that is interrupted while the backend starts leaves nothing behind."""
    target_of(tmp_path, SERVER.replace("/health", "/never"))
    run = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-m", "conformance", "run", str(tmp_path / "target.toml")],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    try:
        assert until(lambda: (tmp_path / "pids").exists() and bool(pids(tmp_path)), 30)
        run.send_signal(signal.SIGINT)
        run.wait(90)
        assert until(lambda: all(is_gone(pid) for line in pids(tmp_path) for pid in line))
    finally:
        with suppress(ProcessLookupError):
            run.kill()
        run.wait()
