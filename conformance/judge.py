"""Applies rules to a timeline: pure, the same for a live run, a saved failure and a rule's own examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.rule import Finding, Rule
    from conformance.timeline import Timeline

LIMIT = 50
"""Findings kept per rule and timeline: a broken backend breaks the same thing a thousand times."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule says about one timeline."""

    rule: str
    occasions: int
    """How often the timeline exercised the rule; 0 is not a pass."""
    findings: tuple[Finding, ...] = ()
    error: str = ""
    """Set when the rule itself broke: a fault of the harness, never a verdict."""


def judge(rule: Rule, timeline: Timeline) -> Judgement:
    """One rule on one timeline."""
    occasions = 0
    findings: list[Finding] = []
    try:
        for occasion in rule.when(timeline):
            occasions += 1
            if len(findings) < LIMIT:
                findings += (rule.stamped(f, timeline.case) for f in rule.check(occasion, timeline))
    except Exception as error:  # noqa: BLE001 - whatever breaks in a rule is reported as ours, with the rule's name
        frame = _where(error)
        return Judgement(rule.id, occasions, tuple(findings), f"{type(error).__name__} in {frame}: {error}")
    return Judgement(rule.id, occasions, tuple(findings[:LIMIT]))


def judge_all(rules: Iterable[Rule], timeline: Timeline) -> list[Judgement]:
    """Every rule on one timeline; rules without an occasion are left out."""
    judgements = (judge(rule, timeline) for rule in rules)
    return [j for j in judgements if j.occasions or j.error]


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
