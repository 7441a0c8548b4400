"""What reports of the suite say about a defect and about the clean server; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

JUDGED = frozenset({"passed", "failed", "known"})
"""The outcomes of a clause that there was an occasion to judge."""
_VIOLATES = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that is wrong on purpose, and the clauses that must fail there."""

    name: str
    clauses: tuple[str, ...]
    summary: str
    arguments: tuple[str, ...]
    """What makes `serve` so."""
    needs: str = ""
    """What must come together for it to show, of one that sequences are to find."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the suite, as its JSON report and exit code tell it."""

    exit_code: int
    document: Mapping[str, Any]

    @property
    def clauses(self) -> Mapping[str, Mapping[str, Any]]:
        """What became of each clause."""
        clauses: Mapping[str, Mapping[str, Any]] = self.document["clauses"]
        return clauses

    @property
    def failed(self) -> frozenset[str]:
        """The clauses that failed."""
        return frozenset(name for name, clause in self.clauses.items() if clause["outcome"] == "failed")

    @property
    def untried(self) -> frozenset[str]:
        """The clauses that were not judged, or not by all that can be tried."""
        return frozenset(name for name, one in self.clauses.items() if one["outcome"] not in JUDGED or one["why"])

    @property
    def unjudged(self) -> frozenset[str]:
        """The clauses that there was no occasion to judge."""
        return frozenset(name for name, one in self.clauses.items() if one["outcome"] not in JUDGED)

    @property
    def complete(self) -> bool:
        """Whether everything planned was done."""
        plan = self.document["plan"]
        return bool(plan["planned"] == plan["emitted"] > 0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one defect."""

    candidate: Candidate
    failed: frozenset[str]
    missed: Mapping[str, str]
    """Named clauses that did not fail, and what the suite says of them."""
    trouble: str
    seconds: float

    @property
    def found(self) -> bool:
        """Whether every clause it names failed."""
        return not self.missed and not self.trouble

    @property
    def word(self) -> str:
        """The finding in a word."""
        if self.trouble:
            return "trouble"
        return "found" if self.found else "missed" if self.failed else "alive"


@dataclass(frozen=True, slots=True)
class Clean:
    """What became of the reference without a defect."""

    faults: tuple[str, ...]
    """Why it is not clean, in sentences."""
    untried: frozenset[str]
    """The clauses that no run tried in full."""
    aside: tuple[str, ...] = ()
    """What failed and decides nothing."""


def judge(candidate: Candidate, report: Report, seconds: float) -> Finding:
    """Judge a defect by a run against it: each clause it names must have failed."""
    missed = {name: _told(name, report) for name in candidate.clauses if name not in report.failed}
    return Finding(candidate, report.failed, missed, _wrong_exit(candidate, report), seconds)


def _told(name: str, report: Report) -> str:
    clause = report.clauses.get(name)
    if clause is None:
        return "there is no such clause"
    return f"{clause['outcome']}: {clause['why']}" if clause["why"] else str(clause["outcome"])


def _wrong_exit(candidate: Candidate, report: Report) -> str:
    """A failure that counts must show in the exit code."""
    counting = [name for name in candidate.clauses if name in report.failed and report.clauses[name]["counts"]]
    if counting and report.exit_code != _VIOLATES:
        return f"the suite exits {report.exit_code} although {', '.join(counting)} failed"
    return ""


def judge_clean(core: Report, full: Report, named: frozenset[str]) -> Clean:
    """Judge the clean server: it conforms at level core, no clause fails, and those that defects name are judged.

    A SHOULD that no defect names is told and decides nothing: speed at a thousand agents is the machine's as well.
    """
    bad = sorted(core.failed | full.failed)
    deciding = frozenset(n for r in (core, full) for n, one in r.clauses.items() if one["counts"]) | named
    faults = [f"{name} fails" for name in bad if name in deciding]
    if core.document["verdict"] != "conforms" or core.exit_code != 0:
        faults.append(f"at level core the verdict is {core.document['verdict']}, exit code {core.exit_code}")
    for level, report in (("core", core), ("full", full)):
        plan = report.document["plan"]
        if not report.complete:
            faults.append(f"at level {level} {plan['planned']} cases are planned and {plan['emitted']} done")
    unjudged = full.unjudged & core.unjudged & named
    faults += [f"{name} is not judged, though a defect names it: {_told(name, full)}" for name in sorted(unjudged)]
    aside = tuple(f"{name} fails, a {full.clauses[name]['level']}" for name in bad if name not in deciding)
    return Clean(tuple(faults), full.untried & core.untried, aside)
