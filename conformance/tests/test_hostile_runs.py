"""Runs against what is no backend: each ends by itself, in a red verdict whose first line names the cause."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from conformance.tests.backends.launch import backend
from conformance.tests.running import PATIENCE, Told, environment, run, run_against

if TYPE_CHECKING:
    from pathlib import Path

CAUSES = {
    "web-page": "a web page, not the API",
    "hang": "did not answer within",
    "refuses-token": "token of alice is refused",
    "reject-all": "token of alice is refused",
    "close-at-once": "does not answer in HTTP",
    "endless-body": "a body that never ends",
    "redirect-loop": "is redirected",
    "invalid-utf8": "not valid JSON",
    "deflate-bomb": "compressed",
    "tls-on-plain": "does not answer in HTTP",
    "html-errors": "a web page, not the API",
}
"""Kind of server → what the first line says of it: nothing could be judged."""
BROKEN = ("accept-all", "empty-object", "echo", "silent-socket", "huge-frame")
"""Kinds that speak enough to be judged."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """A run against each of those that cannot be judged."""
    kinds = {kind: ("degenerate", "--kind", kind) for kind in CAUSES}
    return run_against(tmp_path_factory.mktemp("stopped"), kinds)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """A run against each of those that can, cut short."""
    kinds = {kind: ("degenerate", "--kind", kind) for kind in BROKEN}
    return run_against(tmp_path_factory.mktemp("judged"), kinds, "--max-time", "15", at_once=len(kinds))


@pytest.mark.parametrize("kind", CAUSES)
def test_what_is_no_backend_is_not_judged(stopped: dict[str, Told], kind: str) -> None:
    """The first line says what is there in place of a backend; no clause failed, and nothing is green."""
    told = stopped[kind]
    assert told.code == 3
    assert told.first.startswith("INCOMPLETE  core · nothing could be tested: ")
    assert CAUSES[kind] in told.first
    assert told.failed(core=False) == set()
    assert "passed" not in {c["outcome"] for c in told.report["clauses"].values() if c["counts"]}
    assert told.report["stopped"]


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_ends_red(judged: dict[str, Told], kind: str) -> None:
    """A server that answers nonsense violates the contract or is not judged; a run that was cut tells what was done."""
    told = judged[kind]
    report = told.report
    assert told.code in {1, 3}
    assert report["verdict"] == {1: "violates", 3: "incomplete"}[told.code]
    assert report["plan"]["emitted"] >= 1
    assert not report["problems"] or "broke:" not in " ".join(report["problems"])
    if report["plan"]["emitted"] < report["plan"]["planned"]:
        assert "--max-time 15 s was over" in told.first
        assert "the run ended before it came to this" in {c["why"] for c in report["clauses"].values()}


def test_nobody_listens(tmp_path: Path) -> None:
    """A closed port is said in the first line, with the question whether the backend runs; --quiet says only that."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        told = run(tmp_path, f"http://127.0.0.1:{free.getsockname()[1]}", "--quiet")
    assert told.code == 3
    assert "Nothing listens at" in told.first
    assert told.out.count("\n") == 1
    assert told.err == ""


def test_a_host_without_address(tmp_path: Path) -> None:
    """A name that does not resolve is said to be one."""
    told = run(tmp_path, "http://no-such-host.invalid", "--token", "opaque-token")
    assert (told.code, told.failed(core=False)) == (3, set())
    assert "has no address (DNS)" in told.first


def test_no_way_in(tmp_path: Path) -> None:
    """Without tokens for a place that is not this machine, nothing is signed: the run says what to give."""
    told = run(tmp_path, "http://no-such-host.invalid")
    assert told.code == 3
    assert "INCOMPLETE" in told.first


def interrupted(place: Path, number: signal.Signals) -> Told:
    """A run that gets a signal while its cases are played."""
    place.mkdir()
    arguments = [sys.executable, "-m", "conformance", "run"]
    with (
        backend("degenerate", "--kind", "silent-socket") as url,
        subprocess.Popen(  # noqa: S603 - our own
            [*arguments, url, "--report", "json=report.json"],
            cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process,
    ):  # fmt: skip
        assert process.stderr is not None
        begun = process.stderr.readline()  # the first line of progress
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert " of " in begun
    return Told(process.returncode, out, err, place)


def test_an_interrupted_run_reports_what_was_done(tmp_path: Path) -> None:
    """Ctrl-C, or a kind kill, in the middle of a run ends it with a report, and with a verdict that is not green."""
    with ThreadPoolExecutor(2) as pool:
        signals = (signal.SIGINT, signal.SIGTERM)
        for told, number in zip(pool.map(lambda n: interrupted(tmp_path / n.name, n), signals), signals, strict=True):
            assert "Traceback" not in told.out + told.err
            assert told.code in {1, 3}
            assert told.report["stopped"] == f"interrupted ({number.name})"
            assert f"interrupted ({number.name})" in told.first
            assert 0 < told.report["plan"]["emitted"] < told.report["plan"]["planned"]


def test_every_user_is_let_in_before_anything_is_judged(tmp_path: Path) -> None:
    """A user whom the backend does not know, also a third one, is a slip of ours: no clause fails for it."""
    with backend("second") as url:
        told = run(tmp_path / "users", url, "--users", "alice,bob,nobody")
    assert told.code == 3
    assert "token of nobody is refused" in told.first
    assert told.failed(core=False) == set()
