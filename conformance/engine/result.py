"""The result of a run: an outcome for every clause, and one verdict, worked out from what was judged."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from conformance import reading
from conformance.timeline import Exchange, Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.contract import Clause, Contract
    from conformance.coverage import Share
    from conformance.engine.events import CaseFinished
    from conformance.rule import Finding
    from conformance.target import Target

Verdict = Literal["conforms", "violates", "incomplete", "error"]
Outcome = Literal["passed", "failed", "known", "not_exercised", "not_promised", "untestable", "harness_error"]
VALUES = r"'[^']*'|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|-?\d+(\.\d+)?"
"""What may differ between two tellings of the same breach: quoted words, ids and numbers."""
EXIT_CODES: Mapping[Verdict, int] = {"conforms": 0, "violates": 1, "incomplete": 3, "error": 4}


@dataclass(slots=True)
class Breach:
    """The same finding, however often it was made."""

    finding: Finding
    times: int = 1
    cases: list[str] = field(default_factory=list)
    replay: str = ""
    """The saved case, to be judged or provoked again."""


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """What a run says about one clause."""

    clause: Clause
    outcome: Outcome
    rules: tuple[str, ...]
    occasions: int
    breaches: tuple[Breach, ...]
    counts: bool
    """Whether the verdict hangs on it."""
    why: str = ""
    """Why it was not exercised, or what part of it could not be tried."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run."""

    verdict: Verdict
    level: str
    target: Target
    contract: Contract
    seed: int
    planned: int
    emitted: int
    seconds: float
    clauses: Mapping[str, ClauseResult]
    stopped: str = ""
    """Why the run could not begin, or was cut short: one sentence."""
    problems: tuple[str, ...] = ()
    """Faults of the harness, and waits that no rule explains."""
    finished: tuple[CaseFinished, ...] = field(default=(), repr=False)
    coverage: Mapping[str, Share] = field(default_factory=dict)
    """How much of the contract was reached: operations, answers, messages, fields, keywords, transitions."""
    chosen: str = ""
    """By what its cases were chosen, in a sentence, where not all were meant to run."""

    @property
    def exit_code(self) -> int:
        """0 conforms, 1 violates, 3 incomplete, 4 harness error."""
        return EXIT_CODES[self.verdict]

    def of(self, *outcomes: Outcome, counting: bool | None = None) -> list[ClauseResult]:
        """Clauses with these outcomes, those that count first."""
        found = [c for c in self.clauses.values() if c.outcome in outcomes]
        if counting is not None:
            found = [c for c in found if c.counts == counting]
        return found

    def tally(self) -> Counter[str]:
        """How many clauses that count have each outcome."""
        return Counter(c.outcome for c in self.clauses.values() if c.counts)


def signature(finding: Finding) -> tuple[Any, ...]:
    """What makes two findings the same breach: the rule, its clauses, where it shows, what was expected; no values."""
    where = finding.where
    shown = where.label if isinstance(where, Frame | Exchange) else type(where).__name__
    said, expected = (re.sub(VALUES, "…", text) for text in (finding.says, finding.expected))
    return finding.rule, finding.clauses, shown, reading.signature(finding.pointer), said, expected


def gather(findings: Iterable[Finding]) -> dict[tuple[Any, ...], Breach]:
    """Findings as breaches, first come first."""
    breaches: dict[tuple[Any, ...], Breach] = {}
    for finding in findings:
        key = signature(finding)
        if (breach := breaches.get(key)) is None:
            breaches[key] = Breach(finding, 1, [finding.case])
        else:
            breach.times += 1
            if finding.case not in breach.cases:
                breach.cases.append(finding.case)
    return breaches
