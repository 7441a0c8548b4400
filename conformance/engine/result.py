"""The result of a run: an outcome for every clause, and one verdict, worked out from what was judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from conformance import reading
from conformance.timeline import Exchange, Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.contract import Clause, Contract
    from conformance.engine.events import CaseFinished
    from conformance.engine.plan import Plan
    from conformance.rule import Finding, Rule
    from conformance.target import Target

Verdict = Literal["conforms", "violates", "incomplete", "error"]
Outcome = Literal[
    "passed", "failed", "known", "not_exercised", "not_promised", "untestable", "harness_error"
]
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
    """What makes two findings the same breach: the rule, where it shows, what was expected; not which row or agent."""
    where = finding.where
    shown = where.label if isinstance(where, Frame | Exchange) else type(where).__name__
    return finding.rule, shown, reading.signature(finding.pointer), finding.expected


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


@dataclass(slots=True)
class Ledger:
    """Collects what finished cases say, rule by rule."""

    rules: Mapping[str, Rule]
    occasions: Counter[str] = field(default_factory=Counter)
    errors: dict[str, str] = field(default_factory=dict)
    finished: list[CaseFinished] = field(default_factory=list)

    def take(self, event: CaseFinished) -> None:
        """A finished case."""
        self.finished.append(event)
        for judgement in event.judgements:
            self.occasions[judgement.rule] += judgement.occasions
            if judgement.error:
                self.errors.setdefault(judgement.rule, f"{event.case}: {judgement.error}")

    def problems(self) -> list[str]:
        """Harness faults, and stalls that no finding explains."""
        found = [f"rule {rule} broke on {error}" for rule, error in self.errors.items()]
        for event in self.finished:
            if event.error:
                found.append(f"case {event.case} broke: {event.error}")
        return found

    def stalls(self) -> list[str]:
        """Cases that waited in vain, or were cut, although no rule found anything wrong there."""
        return [
            f"case {e.case} {'was cut: ' + e.cut if e.cut else 'waited in vain for ' + ', '.join(e.unmet)}"
            for e in self.finished
            if (e.cut or e.unmet) and not e.findings
        ]


def conclude(  # noqa: PLR0913 - the facts of a run, by name
    ledger: Ledger,
    plan: Plan,
    *,
    contract: Contract,
    target: Target,
    level: str,
    seed: int,
    seconds: float,
    stopped: str = "",
) -> Result:
    """The result of what was judged."""
    breaches = gather(f for event in ledger.finished for f in event.findings)
    clauses = {c.id: _clause_result(c, ledger, plan, breaches.values(), target, level) for c in contract.clauses.values()}
    problems, stalls = ledger.problems(), ledger.stalls()
    emitted = len(ledger.finished)
    if emitted != plan.size and not stopped:
        problems.append(f"{plan.size} cases were planned and {emitted} reported")
    return Result(
        verdict=_verdict(clauses.values(), plan, problems, stalls, stopped),
        level=level,
        target=target,
        contract=contract,
        seed=seed,
        planned=plan.size,
        emitted=emitted,
        seconds=seconds,
        clauses=clauses,
        stopped=stopped,
        problems=(*problems, *stalls),
        finished=tuple(ledger.finished),
    )


def _clause_result(  # noqa: PLR0913 - see conclude
    clause: Clause, ledger: Ledger, plan: Plan, breaches: Iterable[Breach], target: Target, level: str
) -> ClauseResult:
    rules = [r for r in ledger.rules.values() if clause.id in r.clauses]
    mine = tuple(b for b in breaches if clause.id in b.finding.clauses)
    outcome, why = _outcome(clause, rules, ledger, plan, mine, target)
    counts = clause.counts_at(level) and outcome not in {"untestable", "not_promised"}
    if plan.partial and outcome == "not_exercised" and not any(r.id in plan.rules for r in rules):
        counts = False
    occasions = sum(ledger.occasions[r.id] for r in rules)
    return ClauseResult(clause, outcome, tuple(r.id for r in rules), occasions, mine, counts, why)


def _outcome(  # noqa: PLR0913 - see conclude
    clause: Clause,
    rules: list[Rule],
    ledger: Ledger,
    plan: Plan,
    breaches: tuple[Breach, ...],
    target: Target,
) -> tuple[Outcome, str]:
    if clause.untestable:
        return "untestable", clause.untestable
    if clause.capability in target.withheld:
        return "not_promised", f"the target's profile withholds {clause.capability}"
    if breaches:
        return "failed", ""
    broken = [ledger.errors[r.id] for r in rules if r.id in ledger.errors]
    if broken:
        return "harness_error", broken[0]
    if not rules:
        return "not_exercised", "no rule judges it yet"
    lacking = {r.id: reason for r in rules if (reason := _lacking(r, plan)) is not None}
    silent = [r.id for r in rules if not ledger.occasions[r.id] and r.id not in lacking]
    planned = [r.id for r in rules if r.id in plan.rules]
    missing = [r for r in silent if r in planned] if planned else silent
    if missing:
        return "not_exercised", f"nothing in this run gave occasion for {', '.join(missing)}"
    if len(lacking) == len(rules):
        return "not_exercised", "; ".join(f"{r} needs {reason}" for r, reason in lacking.items())
    return "passed", "; ".join(f"not tried, for want of a {reason}: {r}" for r, reason in lacking.items())


def _lacking(rule: Rule, plan: Plan) -> str | None:
    """What the target would have to offer for a rule, when that is why none of its cases is in the plan."""
    reasons = [plan.left_out[p.id] for p in rule.provocations if p.id in plan.left_out]
    return ", ".join(dict.fromkeys(reasons)) if reasons and rule.id not in plan.rules else None


def _verdict(
    clauses: Iterable[ClauseResult], plan: Plan, problems: list[str], stalls: list[str], stopped: str
) -> Verdict:
    counting = [c for c in clauses if c.counts]
    if any(c.outcome == "failed" for c in counting):
        return "violates"
    if problems or any(c.outcome == "harness_error" for c in counting):
        return "error"
    if stopped or stalls or not plan.cases or any(c.outcome == "not_exercised" for c in counting):
        return "incomplete"
    return "conforms"
