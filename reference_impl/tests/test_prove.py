"""Proving the suite: what counts as found, and the whole of it on a few defects."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from reference_impl.cli import app
from reference_impl.defects import UnknownDefectError
from reference_impl.prove import running
from reference_impl.prove.command import candidates, longest_first, prove
from reference_impl.prove.judging import Candidate, Report, judge, judge_clean
from reference_impl.prove.matrix import answer, document, grid, markdown, text
from reference_impl.prove.proving import Proof, Prover

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMED = ("AGT-1", "DIS-1")


def candidate(name: str = "wrong", clauses: Sequence[str] = NAMED) -> Candidate:
    return Candidate(name, tuple(clauses), "Something is wrong", ("--defect", name))


def report(
    exit_code: int = 0, *, planned: int = 3, emitted: int = 3, verdict: str = "conforms", **outcomes: str
) -> Report:
    """A report; an outcome is said with underscores for hyphens in the clause's id."""
    clauses: dict[str, Any] = {
        name: {"outcome": "passed", "counts": True, "why": "", "rules": ["r"]} for name in ("AGT-1", "DIS-1", "DIS-3")
    }
    for name, outcome in outcomes.items():
        clauses[name.replace("_", "-")]["outcome"] = outcome
    plan = {"planned": planned, "emitted": emitted}
    return Report(exit_code, {"verdict": verdict, "plan": plan, "clauses": clauses})


class Fake:
    """Runs that take no time: what each server makes of the suite is said beforehand."""

    def __init__(self, **failing: str) -> None:
        self.failing = failing
        self.asked: list[tuple[str, ...]] = []

    async def __call__(self, serve: Sequence[str], *, level: str = "full", only: Sequence[str] = ()) -> Report:
        self.asked.append((*serve, level, *only))
        failed = self.failing.get(serve[-1].replace("-", "_"), "").split() if serve else []
        outcomes: dict[str, Any] = dict.fromkeys(failed, "failed")
        return report(1 if failed else 0, **outcomes)


def proved(wanted: Sequence[Candidate], suite: Fake, *, every_clause: bool = False) -> tuple[Proof, list[str]]:
    told: list[str] = []
    prover = Prover(2, told.append, every_clause=every_clause, suite=suite)
    return asyncio.run(prover.prove(wanted)), told


def test_found_when_all_named_clauses_fail() -> None:
    """A defect is found when every clause it names failed."""
    finding = judge(candidate(), report(1, AGT_1="failed", DIS_1="failed"), 1.0)
    assert (finding.found, finding.word, finding.missed) == (True, "found", {})


def test_missed_when_one_named_clause_is_green() -> None:
    """A defect is missed when one of its clauses did not fail, and what the suite says of that clause is told."""
    finding = judge(candidate(), report(1, AGT_1="failed", DIS_3="failed"), 1.0)
    assert (finding.found, finding.word, finding.missed) == (False, "missed", {"DIS-1": "passed"})


def test_alive_when_nothing_fails() -> None:
    """A defect that makes nothing fail is alive."""
    assert judge(candidate(), report(), 1.0).word == "alive"


def test_exit_code_must_tell() -> None:
    """A failure that counts and does not show in the exit code is trouble with the suite."""
    finding = judge(candidate(), report(0, AGT_1="failed", DIS_1="failed"), 1.0)
    assert finding.trouble == "the suite exits 0 although AGT-1, DIS-1 failed"
    assert not finding.found


@pytest.mark.parametrize(
    ("core", "full", "fault"),
    [
        (report(), report(DIS_3="failed"), "DIS-3 fails"),
        (report(3, verdict="incomplete"), report(), "at level core the verdict is incomplete, exit code 3"),
        (report(emitted=2), report(), "at level core 3 cases are planned and 2 done"),
        (report(planned=0, emitted=0), report(), "at level core 0 cases are planned and 0 done"),
        (report(), report(emitted=2), "at level full 3 cases are planned and 2 done"),
        (
            report(AGT_1="not_exercised"), report(AGT_1="not_exercised"),
            "AGT-1 is not judged, though a defect names it: not_exercised",
        ),
    ],
)  # fmt: skip
def test_unclean(core: Report, full: Report, fault: str) -> None:
    """The clean run is not clean when a clause fails, one that matters is not judged, or a case was left out."""
    assert judge_clean(core, full, frozenset(NAMED)).faults == (fault,)


def test_clean() -> None:
    """The clean run is clean when the core conforms, all planned was done, and no clause fails."""
    assert judge_clean(report(), report(DIS_3="not_exercised"), frozenset(NAMED)).faults == ()


def test_a_clause_on_which_nothing_hangs_is_told_aside() -> None:
    """A SHOULD that fails on the clean server and that no defect names is told, and decides nothing."""
    full = report(DIS_3="failed")
    full.document["clauses"]["DIS-3"] |= {"counts": False, "level": "SHOULD"}
    core = report()
    core.document["clauses"]["DIS-3"]["counts"] = False
    clean = judge_clean(core, full, frozenset({"AGT-1"}))
    assert (clean.faults, clean.aside) == ((), ("DIS-3 fails, a SHOULD",))


@pytest.mark.parametrize(("every_clause", "only"), [(False, NAMED), (True, ())])
def test_each_defect_is_judged_once(every_clause: bool, only: tuple[str, ...]) -> None:
    """A defect is judged in one run, by the clauses it names, or by all; the matrix says by which."""
    suite = Fake(loud="AGT_1 DIS_1")
    proof, told = proved([candidate("loud")], suite, every_clause=every_clause)
    assert sorted(suite.asked) == sorted([("full",), ("core",), ("--defect", "loud", "full", *only)])
    assert proof.holds
    assert any("found" in line and "loud" in line for line in told)
    assert ("every clause" in markdown(proof)) == json.loads(document(proof))["every_clause"] == every_clause


def test_harmless_defect_fails_the_proof() -> None:
    """One defect that stays green makes the proof fail, and the answer says so first."""
    proof, _ = proved([candidate("loud"), candidate("harmless")], Fake(loud="AGT_1 DIS_1"))
    assert not proof.holds
    assert text(proof).startswith("NOT PROVED  1 of 2 defects found, clean run clean")
    assert "harmless: AGT-1 did not fail (passed)" in text(proof)


def test_no_report_is_trouble() -> None:
    """A run that gives no report is told as trouble of that defect, and the others are still judged."""

    class Broken(Fake):
        async def __call__(self, serve: Sequence[str], *, level: str = "full", only: Sequence[str] = ()) -> Report:
            if "broken" in serve:
                raise running.TroubleError("the reference did not start: no")
            return await super().__call__(serve, level=level, only=only)

    proof, _ = proved([candidate("broken"), candidate("loud")], Broken(loud="AGT_1 DIS_1"))
    assert [finding.word for finding in proof.findings] == ["trouble", "found"]
    assert "broken: the reference did not start: no" in text(proof)


async def test_interrupted() -> None:
    """A proof that is cancelled gives what was found until then."""
    reached = asyncio.Event()

    class Stuck(Fake):
        async def __call__(self, serve: Sequence[str], *, level: str = "full", only: Sequence[str] = ()) -> Report:
            if "stuck" in serve:
                reached.set()
                await asyncio.Event().wait()
            return await super().__call__(serve, level=level, only=only)

    prover = Prover(1, lambda _line: None, suite=Stuck(loud="AGT_1 DIS_1"))
    task = asyncio.create_task(prover.prove([candidate("loud"), candidate("stuck")]))
    await reached.wait()
    task.cancel()
    proof = await task
    assert [finding.candidate.name for finding in proof.findings] == ["loud"]
    assert answer(proof).startswith("INTERRUPTED  1 of 2 defects found")


def test_matrix_marks_each_cell() -> None:
    """The matrix tells named and failed, failed as well, named and green, and nothing apart."""
    proof, _ = proved([candidate("half"), candidate("loud")], Fake(half="AGT_1 DIS_3", loud="AGT_1 DIS_1"))
    assert grid(proof).splitlines()[-2:] == ["half  ● ✗ ○", "loud  ● ● ·"]
    assert "| half | Something is wrong | ● AGT-1 ✗ DIS-1 | DIS-3 |" in markdown(proof)
    written = json.loads(document(proof))
    assert [(one["name"], one["result"]) for one in written["defects"]] == [("half", "missed"), ("loud", "found")]


def test_unknown_glob() -> None:
    """A glob that fits no defect is refused."""
    with pytest.raises(UnknownDefectError, match="There is no defect 'perfect-'"):
        candidates("perfect-")
    assert [one.name for one in candidates("rest-raw-*, legacy")] == ["legacy", "rest-raw-id", "rest-raw-type"]


def test_the_longest_begin_first(tmp_path: Path) -> None:
    """The last matrix tells which defects take long; what it does not know might. Without one nothing is known."""
    wanted = [candidate(name) for name in ("brief", "long", "new")]
    last = {"defects": [{"name": "brief", "seconds": 3.0}, {"name": "long", "seconds": 70}]}
    (tmp_path / "kill-matrix.json").write_text(json.dumps(last))
    assert [one.name for one in longest_first(wanted, tmp_path / "none", tmp_path)] == ["new", "long", "brief"]
    for broken in ("{", "[]", '{"defects": [1]}'):
        (tmp_path / "kill-matrix.json").write_text(broken)
        assert longest_first(wanted, tmp_path) == wanted


def test_nothing_is_run_for_an_unknown_glob(tmp_path: Path) -> None:
    """The command refuses an unknown glob before anything is written."""
    with pytest.raises(UnknownDefectError, match="There is no defect"):
        prove("perfect", 1, str(tmp_path / "report"), every_clause=False)
    assert not (tmp_path / "report").exists()


def test_wrong_usage_is_one_sentence(tmp_path: Path) -> None:
    """On the command line an unknown glob, or a place that cannot be written, is one sentence and exit code 2."""
    (tmp_path / "file").touch()
    for arguments in (["--only", "perfect"], ["--only", "legacy", "--report", str(tmp_path / "file")]):
        outcome = CliRunner().invoke(app, ["prove", *arguments])
        assert outcome.exit_code == 2
        assert outcome.output.startswith("onsembl-reference: ")
        assert outcome.output.count("\n") == 1


async def test_the_whole_on_three_servers() -> None:
    """Against real servers two defects are found, a server without one is alive, and the clean one is clean."""

    async def narrowed(serve: Sequence[str], *, level: str = "full", only: Sequence[str] = ()) -> Report:
        return await running.suite(serve, level=level, only=only or NAMED)

    harmless = Candidate("harmless", ("AGT-2",), "Nothing is wrong", ())
    prover = Prover(2, lambda _line: None, suite=narrowed)
    proof = await prover.prove([*candidates("rest-raw-id,no-disconnect-event"), harmless])
    words = {finding.candidate.name: finding.word for finding in proof.findings}
    assert words == {"harmless": "alive", "no-disconnect-event": "found", "rest-raw-id": "found"}, text(proof)
    assert proof.clean is not None
    assert proof.clean.faults == ()
