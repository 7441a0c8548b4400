"""The plan: which cases a run intends, decided by level, offers, promises and what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.contract import load_contract
from conformance.engine.plan import NEEDS, Plan, make_plan
from conformance.rule import Rule, provocation
from conformance.rules import all_rules
from conformance.target import Target, TargetError

CONTRACT = load_contract()
BEYOND = next(c.id for c in CONTRACT.clauses.values() if c.level == "MUST" and not c.core and not c.capability)
PROMISED = next(c for c in CONTRACT.clauses.values() if c.capability and not c.core)


async def leaves(_world: object) -> None:
    """A script."""


async def crashes(_world: object) -> None:
    """Another."""


async def expires(_world: object) -> None:
    """One that needs much."""


def rule(rule_id: str, *clauses: str, cases: tuple[Any, ...] = (leaves,)) -> Rule:
    return Rule(rule_id, clauses, "This.", lambda _: (), lambda _o, _t: (), (), (), cases)


def planned(*rules: Rule, target: Target | None = None, **options: Any) -> Plan:
    facts: dict[str, Any] = {"level": "core", "offers": frozenset()}
    return make_plan(rules, CONTRACT, target or Target("http://x"), **(facts | options))


def ids(plan: Plan) -> list[str]:
    return [case.id for case in plan.cases]


def test_the_first_clause_decides_the_level() -> None:
    """A rule is planned at core when the clause it is written for is core, and at full whatever it is."""
    rules = rule("a", "DIS-1", BEYOND), rule("b", BEYOND, "DIS-1", cases=(crashes,))
    assert planned(*rules).rules == {"a"}
    assert planned(*rules, level="full").rules == {"a", "b"}


def test_a_case_of_two_rules_is_played_once() -> None:
    """A script that serves several rules is one case, with all their names, in the order of the rules."""
    plan = planned(rule("a", "DIS-1"), rule("b", "DIS-2", cases=(crashes, leaves)))
    assert ids(plan) == ["test-plan/leaves", "test-plan/crashes"]
    assert plan.cases[0].rules == ("a", "b")
    assert plan.size == 3


def test_what_the_target_does_not_offer_is_left_out_with_its_reason() -> None:
    """A case that needs what is not offered is not played, and the plan says what it lacks."""
    costly = provocation(needs="signing-key second-user")(expires)
    one = rule("a", "DIS-1", cases=(leaves, costly))
    plan = planned(one, offers=frozenset({"second-user"}))
    assert ids(plan) == ["test-plan/leaves"]
    assert plan.left_out == {"test-plan/expires": NEEDS["signing-key"]}
    assert planned(one, offers=frozenset({"second-user", "signing-key"})).left_out == {}
    assert planned(rule("a", "DIS-1", cases=(costly,))).rules == frozenset()
    assert plan.wanting == {"a"}
    assert planned(one, only="DIS-2").wanting == frozenset()


def test_what_a_case_needs_can_be_offered() -> None:
    """No case of any rule needs what nobody can offer (a word, or a capability): it would be left out of every run."""
    capabilities = {c.capability for c in load_contract().clauses.values() if c.capability}
    needed = {need for r in all_rules().values() for p in r.provocations for need in p.needs}
    assert needed <= NEEDS.keys() | capabilities


def test_what_restarts_the_backend_runs_alone() -> None:
    """Whatever restarts or kills the backend needs it to itself: it would end everybody's sockets."""
    cases = [p for r in all_rules().values() for p in r.provocations]
    assert any(p.disturbs for p in cases)
    assert all(p.alone and p.disturbs for p in cases if p.needs & {"restart", "kill"})


def test_a_withheld_capability_is_not_planned() -> None:
    """What a target does not promise is not provoked."""
    one = rule("a", PROMISED.id)
    assert planned(one, level="full").rules == {"a"}
    target = Target("http://x", withheld=(str(PROMISED.capability),))
    assert planned(one, level="full", target=target).cases == ()


def test_a_capability_that_nobody_knows_cannot_be_withheld() -> None:
    """A slip of the pen in `withheld` is wrong usage: nothing would be withheld, and nobody would see why."""
    with pytest.raises(TargetError, match=r"no capability versons; there are .*versions"):
        planned(rule("a", PROMISED.id), target=Target("http://x", withheld=("versons",)))


@pytest.mark.parametrize(
    ("only", "rules"),
    [
        ("", {"some.rule", "other.rule"}),
        ("DIS-1", {"some.rule"}),
        ("dis-*", {"some.rule", "other.rule"}),
        ("*/CRASHES", {"other.rule"}),
        ("other.*,some.*", {"some.rule", "other.rule"}),
        ("NOPE", set()),
    ],
)
def test_only_narrows_by_clause_rule_or_case(only: str, rules: set[str]) -> None:
    """A glob picks clauses, rules and cases in any casing, commas part several, and the plan is then partial."""
    plan = planned(rule("some.rule", "DIS-1"), rule("other.rule", "DIS-2", cases=(crashes,)), only=only)
    assert plan.rules == rules
    assert plan.partial == bool(only)


def test_a_selection_names_the_cases_that_are_wanted() -> None:
    """Only the cases selected are played; a selection of all leaves the plan whole."""
    rules = rule("a", "DIS-1"), rule("b", "DIS-2", cases=(crashes,))
    some = planned(*rules, select=frozenset({"test-plan/crashes"}))
    assert (ids(some), some.rules, some.partial) == (["test-plan/crashes"], frozenset({"b"}), True)
    assert not planned(*rules, select=frozenset({"test-plan/leaves", "test-plan/crashes"})).partial


def test_the_same_asked_twice_is_the_same_plan() -> None:
    """The suite's own rules make the same plan every time, with no case twice, and a larger one at full."""
    offers = frozenset({"second-user", "signing-key", "origins", "load"})
    core, again, full = (
        make_plan(all_rules().values(), CONTRACT, Target("http://x"), level=level, offers=offers)
        for level in ("core", "core", "full")
    )
    assert ids(core) == ids(again)
    assert len(set(ids(full))) == len(full.cases)
    assert set(ids(core)) < set(ids(full))
