"""Judging: occasions, findings and faults of the rules themselves are three different things."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from conformance.contract import load_contract
from conformance.judge import LIMIT, MOST, judge, judge_all
from conformance.rule import Finding, Provocation, Rule, provocation
from conformance.scene import Scene
from conformance.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = Timeline((), contract=load_contract(), case="some/case")


def rule(
    occasions: Iterable[Any] = (1,), check: Callable[[Any, Timeline], Iterable[Finding]] | None = None, **more: Any
) -> Rule:
    facts: dict[str, Any] = {"id": "some.rule", "clauses": ("DIS-1", "DIS-2"), "judges": "This.", "good": (), "bad": ()}
    return Rule(**(facts | more), when=lambda _: occasions, check=check or (lambda _o, _t: ()))


def broken(_occasion: Any, _t: Timeline) -> Iterable[Finding]:
    raise LookupError("here it broke")


def test_a_finding_is_stamped_with_rule_clauses_and_case() -> None:
    """A finding says whose it is; clauses and case that it names itself stay."""
    own = Finding("this is wrong", clauses=("DIS-2",), case="other/case")
    judgement = judge(rule(check=lambda _o, _t: [Finding("wrong"), own]), T)
    assert [(f.rule, f.clauses, f.case) for f in judgement.findings] == [
        ("some.rule", ("DIS-1", "DIS-2"), "some/case"),
        ("some.rule", ("DIS-2",), "other/case"),
    ]


def test_no_occasion_is_no_pass() -> None:
    """A rule that had no occasion is left out of what is said about a timeline."""
    assert judge(rule(()), T).occasions == 0
    assert judge_all([rule(()), rule()], T) == [judge(rule(), T)]


def test_a_rule_that_breaks_is_our_fault_with_its_place() -> None:
    """An exception in a rule is an error with its kind, file and line; it does not escape and is no finding."""
    line = broken.__code__.co_firstlineno + 1
    judgement = judge(rule(check=broken), T)
    assert judgement.error == f"LookupError at test_judge.py:{line}: here it broke"
    assert (judgement.occasions, judgement.findings) == (1, ())


def test_a_rule_that_breaks_in_when_is_told_as_well() -> None:
    """A rule whose occasions cannot be found is reported although it had none."""

    def occasions() -> Iterable[int]:
        yield 1
        raise ZeroDivisionError("no more")

    (judgement,) = judge_all([rule(occasions(), lambda _o, _t: [Finding("found before")])], T)
    assert judgement.error.startswith("ZeroDivisionError at test_judge.py:")
    assert [f.says for f in judgement.findings] == ["found before"]


def test_findings_are_limited_and_occasions_are_not() -> None:
    """Of a thousand breaches fifty are kept, and every occasion is counted."""
    three = [Finding("a"), Finding("b"), Finding("c")]
    judgement = judge(rule(range(1000), lambda _o, _t: three), T)
    assert judgement.occasions == 1000
    assert len(judgement.findings) == LIMIT == 50


def test_a_rule_with_endless_occasions_ends() -> None:
    """Occasions, and findings of one of them, without end: some are looked at, and it is said that more were left."""
    judgement = judge(rule(count()), T)
    assert (judgement.occasions, judgement.cut, judgement.error) == (MOST, True, "")
    assert not judge(rule(range(MOST)), T).cut
    endless = judge(rule(check=lambda _o, _t: (Finding("wrong") for _ in count())), T)
    assert len(endless.findings) == LIMIT


def test_judging_ends_with_its_time() -> None:
    """When time is over no further occasion and no further rule is looked at."""
    looks = iter([False, False, False, True, True])
    assert [(j.occasions, j.cut) for j in judge_all([rule(count()), rule()], T, lambda: next(looks))] == [(2, True)]


def test_judging_twice_says_the_same() -> None:
    """Judging changes nothing: a rule says the same about a timeline again."""
    scene = Scene(load_contract())
    scene.lists(scene.row(status="online"))
    t = scene.timeline()
    one = rule((1, 2), lambda o, _t: [Finding(f"wrong {o}")])
    assert judge(one, t) == judge(one, t)


async def some_script(_world: object) -> None:
    """A script."""


def test_scripts_become_provocations_with_stable_ids() -> None:
    """A case is named after its file and its function, whatever it needs."""
    marked = provocation(alone=True, needs="second-user load", budget=3)(some_script)
    plain, given = rule(cases=(some_script, marked)).provocations
    assert plain == Provocation(some_script)
    assert plain.id == given.id == "test-judge/some-script"
    assert (given.alone, given.needs, given.budget) == (True, frozenset({"second-user", "load"}), 3)


def test_what_the_tester_could_not_tell_is_no_finding() -> None:
    """A finding whose fault is the harness leaves the rule undecided, beside those of the backend."""
    mine = Finding("the tester slept", fault="harness")
    judgement = judge(rule(check=lambda _o, _t: [mine, Finding("wrong")]), T)
    assert [f.says for f in judgement.findings] == ["wrong"]
    assert judgement.undecided == "the tester slept"


def test_a_heavy_case_has_its_user_to_itself_and_is_the_last() -> None:
    """What fills the backend comes after what restarts it, and that after all else."""

    async def script(_world: object) -> None:
        """A script."""

    heavy, restart, plain = provocation(heavy=True)(script), provocation(needs="restart")(script), Provocation(script)
    assert heavy.alone
    assert sorted((heavy, restart, plain), key=lambda p: p.disturbs) == [plain, restart, heavy]
