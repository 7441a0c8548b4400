"""Applies rules to a timeline: pure, the same for a live run, a saved failure and a rule's own examples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from conformance.broken import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.rule import Finding, Rule
    from conformance.timeline import Timeline

LIMIT = 50
"""Findings kept per rule and timeline: a broken backend breaks the same thing a thousand times."""
MOST = 20_000
"""Occasions looked at per rule and timeline: a backend can give any number of them. A good one gives up to 5,000."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule says about one timeline."""

    rule: str
    occasions: int
    """How often the timeline exercised the rule; 0 is not a pass."""
    findings: tuple[Finding, ...] = ()
    error: str = ""
    """Set when the rule itself broke: a fault of the harness, never a verdict."""
    undecided: str = ""
    """Why the tester itself could not tell, in a sentence, where it could not."""
    cut: bool = False
    """Whether occasions were left that nobody looked at."""


def never() -> bool:
    """Nobody is waiting."""
    return False


def judge(rule: Rule, timeline: Timeline, is_over: Callable[[], bool] = never) -> Judgement:
    """One rule on one timeline, until its occasions are too many or the time `is_over`."""
    occasions = 0
    findings: list[Finding] = []
    cut, undecided = False, ""
    try:
        for occasion in rule.when(timeline):
            if cut := (occasions >= MOST or is_over()):
                break
            occasions += 1
            if len(findings) == LIMIT:
                continue
            for finding in islice(rule.check(occasion, timeline), LIMIT - len(findings)):
                if finding.fault != "harness":
                    findings.append(rule.stamped(finding, timeline.case))
                else:
                    undecided = undecided or finding.says
    except Exception as error:  # noqa: BLE001 - whatever breaks in a rule is reported as ours, with the rule's name
        return Judgement(rule.id, occasions, tuple(findings), f"{named(error)}: {error}")
    return Judgement(rule.id, occasions, tuple(findings), undecided=undecided, cut=cut)


def judge_all(rules: Iterable[Rule], timeline: Timeline, is_over: Callable[[], bool] = never) -> list[Judgement]:
    """Every rule on one timeline, as far as time allows; rules without an occasion are left out."""
    judgements: list[Judgement] = []
    for rule in rules:
        if is_over():
            break
        judgements.append(judge(rule, timeline, is_over))
    return [j for j in judgements if j.occasions or j.error]
