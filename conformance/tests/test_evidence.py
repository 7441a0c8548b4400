"""The evidence command: bounded, its output data, its clauses untestable without it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from conformance.contract import load_contract
from conformance.engine.conclude import Ledger, conclude
from conformance.engine.events import CaseFinished
from conformance.engine.run import Options, Run
from conformance.judge import judge_all
from conformance.profile import make_target, read_profile
from conformance.rules import all_rules
from conformance.rules.stored_agents import RULE
from conformance.scene import Scene
from conformance.target import Target, TargetError
from conformance.world import command
from conformance.world.command import CommandError, printed
from conformance.world.world import _document

if TYPE_CHECKING:
    from pathlib import Path

CASE = "stored-agents/stored"


def says(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_output_is_given_as_it_is() -> None:
    """What the command prints comes back, byte for byte; what it says on stderr does not."""
    assert await printed(says("import sys; print('{}'); print('hm', file=sys.stderr)")) == b"{}\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit('no such table')", "ended with 1, its last words: no such table"),
        ("import time; time.sleep(60)", "did not end within 0.5 s"),
        ("while True: print('x' * 1000)", "printed more than 1 MiB"),
    ],
)
async def test_nothing_to_go_by_is_told(code: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that fails, hangs or floods is ended and told in a few words."""
    monkeypatch.setattr(command, "MOST", 2**20)
    with pytest.raises(CommandError, match=told):
        await printed(says(code), seconds=0.5 if "sleep" in code else 10)


async def test_missing_command_is_told() -> None:
    """A command that is not there is no fault of the backend or of the suite."""
    with pytest.raises(CommandError, match="could not be started"):
        await printed(["/nowhere/at-all"])


@pytest.mark.parametrize(
    "output",
    [
        *(b"", b"nonsense", b"[]", b"[" * 5000, b'{"agents": {}}', b'{"agents": [1]}', b'{"agents": [{}]}'),
        *(b'{"agents": [], "migration": []}', b'{"agents": [], "migration": {"before": []}}'),
    ],
)
def test_only_the_document_is_taken(output: bytes) -> None:
    """Anything else than rows, and a migration in its four steps, is refused."""
    with pytest.raises(CommandError):
        _document(output)


def test_backend_without_migration_shows_agents() -> None:
    """Of a migration that there is not, nothing need be shown."""
    assert _document(b'{"agents": [{"id": "a"}], "more": 1}') == {"agents": [{"id": "a"}]}


def test_only_a_profile_names_the_command(tmp_path: Path) -> None:
    """The setting is a list of strings."""
    path = tmp_path / "target.toml"
    path.write_text('url = "http://localhost:1"\nevidence = ["show", "--db", "test"]\n')
    assert make_target(read_profile(path)).evidence == ("show", "--db", "test")
    for wrong in ('"show --db test"', "[]", "[1]", '[""]'):
        path.write_text(f'url = "http://localhost:1"\nevidence = {wrong}\n')
        with pytest.raises(TargetError, match="evidence"):
            read_profile(path)


@pytest.mark.parametrize("evidence", [(), ("show",)])
def test_case_is_planned_where_there_is_a_command(evidence: tuple[str, ...]) -> None:
    """Without a command the case is left out."""
    target = Target(url="http://localhost:1", users=("alice", "bob"), jwt_secret="x" * 32, evidence=evidence)
    plan = Run(target, all_rules().values(), load_contract(), Options()).plan
    assert (CASE in [case.id for case in plan.cases]) == bool(evidence)


@pytest.mark.parametrize(
    ("example", "outcome", "counts"),
    [(RULE.good[0], "passed", True), (RULE.bad[0], "failed", True), (Scene.agent, "untestable", False)],
)
def test_untestable_clause_is_judged_where_there_was_occasion(example: object, outcome: str, *, counts: bool) -> None:
    """With evidence DAT-1 is judged and counts; without, it stays untestable and does not."""
    contract, rules = load_contract(), all_rules()
    scene = Scene(contract)
    example(scene)  # type: ignore[operator]
    ledger = Ledger(rules)
    timeline = scene.timeline()
    ledger.take(CaseFinished(CASE, 1.0, tuple(judge_all(rules.values(), timeline)), timeline))
    target = Target(url="http://localhost:1", users=("alice", "bob"), jwt_secret="x" * 32)
    plan = Run(target, rules.values(), contract, Options()).plan
    result = conclude(ledger, plan, contract=contract, target=target, level="core", seed=0, seconds=1.0)
    clause = result.clauses["DAT-1"]
    assert (clause.outcome, clause.counts) == (outcome, counts)
    assert bool(clause.why) == (outcome == "untestable")
