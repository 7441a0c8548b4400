"""The command line: what it offers, and that wrong usage is one sentence and exit 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from conformance import __version__
from conformance.cli.main import app
from conformance.contract import load_contract
from conformance.rules import all_rules

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

URL = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ONSEMBL_TOKEN", "ONSEMBL_SECOND_TOKEN", "ONSEMBL_JWT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def told(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="conformance")


def sentence(*arguments: str) -> str:
    """What is said on wrong usage of ours: one sentence, nothing on the standard output."""
    result = told(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("conformance: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_help_names_the_commands_and_exit_codes() -> None:
    """--help says what there is to do and what the exit codes mean."""
    result = told("--help")
    assert result.exit_code == 0
    for word in ("run", "replay", "list", "explain", "Exit codes: 0 conforms, 1 does not, 2 wrong usage"):
        assert word in result.stdout


@pytest.mark.parametrize("command", ["run", "replay", "list", "explain"])
def test_every_command_has_help(command: str) -> None:
    """Each command explains itself."""
    result = told(command, "--help")
    assert result.exit_code == 0
    assert "Usage: conformance" in result.stdout


def test_version() -> None:
    """--version says the version and nothing else."""
    assert told("--version").stdout == f"conformance {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "'nonsense' is no URL"),
        (["ftp://x"], "http://localhost:3001"),
        (["ws://x/ws/agent"], "--agent-ws"),
        (["http://x:99999"], "99999"),
        (["http://[::1"], "http://[::1"),
        ([""], "no url"),
        (["none.toml"], "none.toml cannot be read"),
        ([URL, "--report", "json"], "KIND=FILE"),
        ([URL, "--report", "pdf=x.pdf"], "json, junit, html"),
        ([URL, "--only", "NOPE-*"], "--only NOPE-*: no clause, rule or case of level core matches"),
        ([URL, "--level", "all"], "core, full"),
        ([URL, "--header", "X-Key"], "'X-Key': write it as 'Name: value'"),
        ([URL, "--base-path", "api"], "begins with /"),
        ([URL, "--second-token", "opaque"], "give --token as well"),
        (["reference", "--level", "all"], "core, full"),
        (["http://127.0.0.1:1", "--agent-ws", "ws"], "begins with /"),
    ],
    ids=lambda v: v if isinstance(v, str) else " ".join(v),
)
def test_wrong_usage_is_one_sentence(arguments: list[str], says: str) -> None:
    """A run that cannot be meant ends before anything is sent, with what to write instead."""
    assert says in sentence("run", *arguments)


def test_an_unwritable_report_is_one_sentence(elsewhere: Path) -> None:
    """A report that cannot be written is wrong usage, said with its path."""
    (elsewhere / "file").write_text("")
    assert "file/r.json" in told("run", URL, "--report", "json=file/r.json", "--quiet").stderr


def test_a_profile_with_an_unknown_setting_is_refused(elsewhere: Path) -> None:
    """A misspelt setting of a profile is told with the right one."""
    (elsewhere / "t.toml").write_text(f'url = "{URL}"\nagents_ws = "/ws"\n')
    assert "did you mean agent_ws?" in sentence("run", "t.toml")


@pytest.mark.parametrize(
    "arguments", [["run", "--nonsense"], ["run", "--max-time", "0"], ["run", "--seed", "x"], ["go"]]
)
def test_unknown_options_are_told_by_usage(arguments: list[str]) -> None:
    """What the command line does not know ends with exit 2 and the usage."""
    result = told(*arguments)
    assert result.exit_code == 2
    assert "Usage: conformance" in result.stderr
    assert "Traceback" not in result.output


def test_list_names_every_clause_and_its_rules() -> None:
    """`list` has a line for each clause, with its rules or the reason why there is none."""
    lines = told("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(load_contract().clauses)
    assert all(line.partition("\t")[2] for line in lines)
    for rule in all_rules():
        assert any(rule in line for line in lines)


def test_list_untested_names_only_clauses_without_rule() -> None:
    """`list --untested` leaves out every clause that a rule judges, and no other."""
    judged = {c for rule in all_rules().values() for c in rule.clauses}
    named = [line.split()[0] for line in told("list", "--untested").stdout.splitlines()]
    assert named == [c for c in load_contract().clauses if c not in judged]


def test_list_of_the_core_names_the_core() -> None:
    """`list --level core` names the core clauses alone, and a level that does not exist is refused."""
    named = {line.split()[0] for line in told("list", "--level", "core").stdout.splitlines()}
    assert named == {c.id for c in load_contract().clauses.values() if c.core}
    assert "core, full" in sentence("list", "--level", "all")


@pytest.mark.parametrize("name", ["DIS-1", "dis-1"])
def test_explain_tells_a_clause_whole(name: str) -> None:
    """`explain` says a clause's sentence, source and rules, in whatever casing it is asked."""
    text = told("explain", name).stdout
    assert text.startswith("DIS-1 (MUST, core)")
    assert "disconnect.announced-once judges DIS-1" in text
    assert "case disconnect/agent-leaves" in text


@pytest.mark.parametrize("name", [*load_contract().clauses, *all_rules()])
def test_everything_can_be_explained(name: str) -> None:
    """Every clause and every rule has its explanation."""
    result = told("explain", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("nonsense", "see `conformance list`"), ("DIS1", "DIS-1"), ("disconnect.announced", "disconnect.announced-once")],
)
def test_explain_hints_at_what_is_near(name: str, hint: str) -> None:
    """A name that is neither clause nor rule is told with those that are near, else where all are."""
    said = sentence("explain", name)
    assert f"{name!r}" in said
    assert hint in said


def test_replay_of_what_is_no_saved_case(elsewhere: Path) -> None:
    """A file that is not there, or holds something else, is one sentence, with and without a backend."""
    (elsewhere / "x.json").write_bytes(b"\x00garbage")
    assert "not a saved case" in sentence("replay", "x.json")
    assert "not a saved case" in sentence("replay", "x.json", URL)
    assert "cannot be read" in sentence("replay", "none.json")


def test_bare_command_shows_the_way() -> None:
    """Without a command there is the help, and exit 2 as for any wrong usage."""
    result = told()
    assert result.exit_code in {0, 2}
    assert "Commands:" in result.output
