"""Every rule against its own examples: the good ones exercise it and pass, the bad ones fail it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.contract import load_contract
from conformance.judge import judge
from conformance.rules import all_rules
from conformance.scene import Scene

if TYPE_CHECKING:
    from conformance.rule import Example, Rule
    from conformance.timeline import Timeline

RULES = list(all_rules().values())


def timeline(example: Example) -> Timeline:
    scene = Scene(load_contract())
    example(scene)
    return scene.timeline()


def pairs(side: str) -> list[object]:
    return [
        pytest.param(rule, example, id=f"{rule.id}-{example.__name__}")
        for rule in RULES
        for example in getattr(rule, side)
    ]


@pytest.mark.parametrize(("rule", "example"), pairs("good"))
def test_good_example_exercises_the_rule_and_passes(rule: Rule, example: Example) -> None:
    """A good example gives the rule at least one occasion and no finding."""
    judgement = judge(rule, timeline(example))
    assert judgement.error == ""
    assert judgement.occasions > 0
    assert judgement.findings == ()


@pytest.mark.parametrize(("rule", "example"), pairs("bad"))
def test_bad_example_fails_the_rule(rule: Rule, example: Example) -> None:
    """A bad example makes the rule find something, and say what was expected."""
    judgement = judge(rule, timeline(example))
    assert judgement.error == ""
    assert judgement.findings
    for finding in judgement.findings:
        assert finding.says
        assert finding.expected


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)
def test_rule_is_whole(rule: Rule) -> None:
    """A rule names clauses that exist and has examples of both sides."""
    clauses = load_contract().clauses
    assert rule.clauses
    assert set(rule.clauses) <= set(clauses)
    if any(clauses[c].untestable for c in rule.clauses):  # then only what the target itself shows can be judged
        assert rule.provocations
        assert all("evidence" in p.needs for p in rule.provocations)
    assert rule.good
    assert rule.bad
    assert rule.judges.endswith(".")
