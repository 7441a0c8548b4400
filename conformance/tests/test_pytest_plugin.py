"""The pytest plugin: an item for each case, one engine behind them, and nothing for those who do not ask."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]

SECRET = "a-secret-of-this-test-0123456789"
TOKEN = "opaque-token-of-this-test"


@pytest.fixture
def closed() -> str:
    """A URL at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A backend that breaks much of the contract, by URL."""
    place = tmp_path_factory.mktemp("legacy")
    serve = [sys.executable, "-m", "reference_impl", "serve", "--port", "0", "--exit-with-stdin", "--legacy"]
    with subprocess.Popen(  # noqa: S603 - our own
        [*serve, "--user", "alice", "--user", "bob", "--db", str(place / "l.sqlite3"), "--log-level", "error"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={"ONSEMBL_JWT_SECRET": SECRET, "PATH": "/usr/bin:/bin"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


def run(pytester: pytest.Pytester, *arguments: str, plugins: tuple[str, ...] = ()) -> pytest.RunResult:
    """Pytest with our plugin and these, and no other that happens to be installed: that takes seconds each time."""
    pytester._monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    named = [part for plugin in ("conformance.pytest_plugin", *plugins) for part in ("-p", plugin)]
    return run_with_all(pytester, *named, *arguments)


def run_with_all(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Pytest as it comes, with all that is installed."""
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\naddopts = '--strict-markers -W ignore'")
    return pytester.runpytest_subprocess("--pyargs", "conformance", *arguments, timeout=90)


def test_bundled_reference_is_green(pytester: pytest.Pytester) -> None:
    """Every case is an item with a stable id, all pass on the reference, and JUnit and Allure get their share."""
    result = run_with_all(pytester, "--backend", "reference", "-v", "--junitxml", "j.xml", "--alluredir", "allure")
    assert result.ret == 0
    assert set(result.parseoutcomes()) == {"passed"}
    result.stdout.fnmatch_lines(
        [
            "onsembl: reference, level core",
            "conformance::preflight PASSED*",
            "conformance::disconnect/agent-leaves PASSED*",
            "conformance::verdict PASSED*",
            "CONFORMS  core · *",
        ]
    )
    cases = list(ET.parse(pytester.path / "j.xml").getroot().iter("testcase"))  # noqa: S314 - our own
    assert len(cases) == result.parseoutcomes()["passed"]
    ours = next(c for c in cases if c.get("name") == "disconnect/agent-leaves")
    assert ours.find("./properties/property[@name='clauses']") is not None
    told = [json.loads(p.read_text()) for p in (pytester.path / "allure").glob("*-result.json")]
    leaves = next(t for t in told if t["name"] == "disconnect/agent-leaves")
    assert "DIS-1" in [label["value"] for label in leaves["labels"] if label["name"] == "feature"]
    timeline = json.loads((pytester.path / "allure" / leaves["attachments"][0]["source"]).read_text())
    assert timeline["case"] == "disconnect/agent-leaves"
    assert timeline["events"]


def test_selected_cases_only_are_played(pytester: pytest.Pytester, legacy: str) -> None:
    """-k plays only what it selects, a breach fails its item with the report's text, and --lf comes back to it."""
    backend = ("--backend", legacy, "--backend-jwt-secret", SECRET, "--backend-users", "alice,bob")
    result = run(pytester, *backend, "-k", "agent-leaves and not returns", "--junitxml", "j.xml")
    assert result.ret == 1
    assert result.parseoutcomes()["failed"] == 1
    text = result.stdout.str()
    assert re.search(r"^DIS-1  MUST \[core\]$", text, re.MULTILINE)
    assert "AGENT_DISCONNECT" in text
    assert "Captured timeline call" in text
    command = re.search(rf"^ +conformance replay (\S+) {legacy}$", text, re.MULTILINE)
    assert command is not None
    assert (pytester.path / command[1]).is_file()
    assert [p.name for p in (pytester.path / ".conformance" / "failures").iterdir()] == ["disconnect.agent-leaves.json"]
    for path in pytester.path.rglob("*.*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
            assert b"eyJ" not in path.read_bytes()
    again = run(pytester, *backend, "--lf", "--collect-only", "-q")
    again.stdout.fnmatch_lines(["conformance::disconnect/agent-leaves", "*1/*tests collected*"])


def test_closed_backend_is_said_once_for_each_item(pytester: pytest.Pytester, closed: str) -> None:
    """Where nothing listens preflight fails with the reason, the others with `not run`, and the verdict as well."""
    result = run(pytester, "--backend", closed, "--backend-token", TOKEN)
    assert result.ret == 1
    assert set(result.parseoutcomes()) == {"failed"}
    result.stdout.fnmatch_lines(["FAILED conformance::preflight - Nothing listens at*"])
    result.stdout.fnmatch_lines(["FAILED conformance::disconnect/agent-leaves - not run: Nothing listens*"])
    result.stdout.fnmatch_lines(["FAILED conformance::verdict - INCOMPLETE  core*"])
    assert "Traceback" not in result.stdout.str()
    assert TOKEN not in result.stdout.str()


def test_one_worker_of_xdist_plays_all(pytester: pytest.Pytester, closed: str) -> None:
    """Under -n all items go to one worker, so that there is one run."""
    result = run(pytester, "--backend", closed, "--backend-token", TOKEN, "-n", "2", "-v", plugins=("xdist",))
    assert len(set(re.findall(r"\[gw\d\]", result.stdout.str()))) == 1
    assert set(result.parseoutcomes()) == {"failed"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--backend", "ftp://x"], "ERROR: --backend: 'ftp://x' is no URL*"),
        (["--backend", "none.toml"], "ERROR: --backend: none.toml cannot be read*"),
        (["--backend", "reference", "--backend-level", "all"], "ERROR: --backend: level 'all' is none of core, full"),
        (["--backend", "http://127.0.0.1:1", "--backend-header", "x"], "ERROR: --backend: header 'x'*"),
    ],
)
def test_wrong_usage_is_a_sentence(pytester: pytest.Pytester, arguments: list[str], says: str) -> None:
    """A target that cannot be used ends pytest as wrong usage, with one sentence."""
    result = run(pytester, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    assert "Traceback" not in result.stderr.str()


def test_nothing_matches(pytester: pytest.Pytester) -> None:
    """A glob that matches nothing is an error at collection, not a green run of nothing."""
    result = run(pytester, "--backend", "reference", "--backend-only", "no-such-*")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["--backend-only no-such-*: no clause, rule or case of this level matches"])


def test_costs_nothing_without_backend() -> None:
    """Importing the plugin brings in the standard library and pytest, and nothing of ours but the plugin."""
    script = (
        "import pytest, sys; before = set(sys.modules); import conformance.pytest_plugin;"
        "print(*sorted({m for m in set(sys.modules) - before if m.partition('.')[0] not in sys.stdlib_module_names}))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert told.stdout.split() == ["conformance", "conformance.pytest_plugin"]


def test_changes_nothing_without_backend(pytester: pytest.Pytester) -> None:
    """Someone else's tests, even in a directory called conformance, are collected as ever."""
    pytester.makepyfile(**{"conformance/test_theirs": "def test_theirs(): pass"})
    result = pytester.runpytest_subprocess("conformance", "-q", "-W", "ignore", "-p", "no:schemathesis")
    assert result.parseoutcomes() == {"passed": 1}
