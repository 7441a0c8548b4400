"""Concludes a run: from what its cases said to an outcome for every clause and one verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.coverage import Coverage
from conformance.engine.result import ClauseResult, Result, gather
from conformance.sequences.script import extent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.contract import Clause, Contract
    from conformance.engine.events import CaseFinished
    from conformance.engine.plan import Plan
    from conformance.engine.result import Breach, Outcome, Verdict
    from conformance.rule import Rule
    from conformance.target import Target


NOT_REACHED = "the run ended before it came to this"
NO_OCCASION = "nothing in this run gave occasion for {}"


@dataclass(slots=True)
class Ledger:
    """Collects what finished cases say, rule by rule."""

    rules: Mapping[str, Rule]
    occasions: Counter[str] = field(default_factory=Counter)
    errors: dict[str, str] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)
    """Rule → why the tester could not tell."""
    finished: list[CaseFinished] = field(default_factory=list)

    def take(self, event: CaseFinished) -> None:
        """A finished case."""
        self.finished.append(event)
        for judgement in event.judgements:
            self.occasions[judgement.rule] += judgement.occasions
            if judgement.undecided:
                self.undecided.setdefault(judgement.rule, judgement.undecided)
            if judgement.error:
                self.errors.setdefault(judgement.rule, f"{event.case}: {judgement.error}")

    def problems(self) -> list[str]:
        """Harness faults, and stalls that no finding explains."""
        rules = [f"rule {rule} broke on {error}" for rule, error in self.errors.items()]
        return rules + [f"case {event.case} broke: {event.error}" for event in self.finished if event.error]

    def stalls(self) -> list[str]:
        """Cases that waited in vain, or were cut, although no rule found anything wrong there; and rules cut short."""
        endless = [
            f"rule {j.rule} looked at the first {j.occasions} occasions in case {e.case}, and there were more"
            for e in self.finished
            for j in e.judgements
            if j.cut and not j.findings and not e.cut
        ]
        return endless + [
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
    fail_under: float = 0.0,
    chosen: str = "",
) -> Result:
    """The result of what was judged."""
    court = _Court(ledger, plan, target, level, cut=bool(stopped))
    clauses = {c.id: court.clause(c) for c in contract.clauses.values()}
    problems, stalls = ledger.problems(), ledger.stalls()
    coverage = Coverage(contract, frozenset(target.withheld))
    for event in ledger.finished:
        if event.timeline is not None:
            coverage.take(event.timeline)
    shares = coverage.shares()
    stalls += [
        f"reached {share.percent:.1f} % of {kind}, and --fail-under asks for {fail_under:g} %"
        for kind, share in shares.items()
        if share.percent < fail_under
    ]
    spare = {case.id for case in plan.cases if case.provocation.spare}
    emitted = sum(event.case not in spare for event in ledger.finished)
    if emitted != plan.size and not stopped:
        problems.append(f"{plan.size} cases were planned and {emitted} reported")
    return Result(
        verdict=court.verdict(clauses, problems, waiting=bool(stopped or stalls)),
        level=level,
        target=target,
        contract=contract,
        seed=seed,
        planned=plan.size + len(ledger.finished) - emitted,
        emitted=len(ledger.finished),
        seconds=seconds,
        clauses=clauses,
        stopped=stopped,
        problems=(*problems, *stalls),
        finished=tuple(ledger.finished),
        coverage=shares,
        chosen=chosen,
    )


class _Court:
    """Decides, clause by clause, from one run's ledger."""

    def __init__(self, ledger: Ledger, plan: Plan, target: Target, level: str, *, cut: bool) -> None:
        self._cut = cut
        self._ledger = ledger
        self._plan = plan
        self._target = target
        self._level = level
        smallest_first = sorted(ledger.finished, key=lambda event: extent(event.script) if event.script else (0, 0))
        self._breaches = tuple(gather(f for event in smallest_first for f in event.findings).values())

    def clause(self, clause: Clause) -> ClauseResult:
        """The result of one clause."""
        rules = [r for r in self._ledger.rules.values() if clause.id in r.clauses]
        breaches = tuple(b for b in self._breaches if clause.id in b.finding.clauses)
        outcome, why = self._outcome(clause, rules, breaches)
        counts = clause.counts_at(self._level) and outcome not in {"untestable", "not_promised"}
        asked = any(r.id in self._plan.rules | self._plan.wanting for r in rules)
        if self._plan.partial and outcome == "not_exercised" and not asked:
            counts = False
        occasions = sum(self._ledger.occasions[r.id] for r in rules)
        return ClauseResult(clause, outcome, tuple(r.id for r in rules), occasions, breaches, counts, why)

    def _outcome(  # noqa: PLR0911 - one for each outcome
        self, clause: Clause, rules: list[Rule], breaches: tuple[Breach, ...]
    ) -> tuple[Outcome, str]:
        if clause.untestable and not any(self._ledger.occasions[r.id] for r in rules):
            return "untestable", clause.untestable
        if clause.capability in self._target.withheld:
            return "not_promised", f"the target's profile withholds {clause.capability}"
        if breaches:
            return "failed", ""
        broken = [self._ledger.errors[r.id] for r in rules if r.id in self._ledger.errors]
        if broken:
            return "harness_error", broken[0]
        if not rules:
            return "not_exercised", "no rule judges it yet"
        if undecided := [self._ledger.undecided[r.id] for r in rules if r.id in self._ledger.undecided]:
            return "not_exercised", undecided[0]
        lacking = {r.id: reason for r in rules if (reason := self._lacking(r)) is not None}
        if silent := self._silent(rules, lacking):
            return "not_exercised", NOT_REACHED if self._cut else NO_OCCASION.format(", ".join(silent))
        if len(lacking) == len(rules):
            return "not_exercised", "; ".join(f"{r} needs {reason}" for r, reason in lacking.items())
        return "passed", "; ".join(f"not tried, for want of {reason}: {r}" for r, reason in lacking.items())

    def _silent(self, rules: list[Rule], lacking: Mapping[str, str]) -> list[str]:
        """Rules that should have had an occasion and had none: those planned, else all that lack nothing."""
        silent = [r.id for r in rules if not self._ledger.occasions[r.id] and r.id not in lacking]
        planned = {r.id for r in rules} & self._plan.rules
        return [r for r in silent if r in planned] if planned else silent

    def _lacking(self, rule: Rule) -> str | None:
        """What the target would have to offer for a rule, when that is why none of its cases is in the plan."""
        reasons = [self._plan.left_out[p.id] for p in rule.provocations if p.id in self._plan.left_out]
        absent = reasons and rule.id not in self._plan.rules and not self._ledger.occasions[rule.id]
        return ", ".join(dict.fromkeys(reasons)) if absent else None

    def verdict(self, clauses: Mapping[str, ClauseResult], problems: list[str], *, waiting: bool) -> Verdict:
        """The one word for all of it."""
        outcomes = {c.outcome for c in clauses.values() if c.counts}
        if "failed" in outcomes:
            return "violates"
        if problems or "harness_error" in outcomes:
            return "error"
        if waiting or not self._plan.cases or "not_exercised" in outcomes:
            return "incomplete"
        return "conforms"
