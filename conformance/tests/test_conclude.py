"""Conclusions: what cases said becomes an outcome for every clause, and one verdict that is green only when all is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from conformance.contract import load_contract
from conformance.engine.conclude import Ledger, conclude
from conformance.engine.events import CaseFinished
from conformance.engine.plan import Case, Plan
from conformance.judge import Judgement
from conformance.rule import Finding, Provocation, Rule
from conformance.target import Target

if TYPE_CHECKING:
    from conformance.engine.result import Result

CONTRACT = load_contract()
CORE = [c.id for c in CONTRACT.clauses.values() if c.counts_at("core") and not c.untestable]
BEYOND = next(c.id for c in CONTRACT.clauses.values() if c.level == "MUST" and not c.core and not c.untestable)
SHOULD = next(c.id for c in CONTRACT.clauses.values() if c.level == "SHOULD" and not c.untestable)
FINDING = Finding("wrong", expected="right", rule="rule.DIS-1", clauses=("DIS-1",), case="c")


async def script(_world: object) -> None:
    """A script."""


def rule(clause: str) -> Rule:
    return Rule(f"rule.{clause}", (clause,), "This.", lambda _: (), lambda _o, _t: (), (), (), (script,))


def concluded(
    *finished: CaseFinished, clauses: tuple[str, ...] = (), judged: dict[str, Judgement] | None = None, **options: Any
) -> Result:
    """A run with a rule for each core clause (and these), in which all passed but what is given otherwise."""
    rules = {r.id: r for r in map(rule, (*CORE, *clauses))}
    usual = {name: Judgement(name, 1) for name in rules} | {f"rule.{c}": j for c, j in (judged or {}).items()}
    events = [CaseFinished("preflight", 0.1), CaseFinished("c", 0.1, tuple(usual.values())), *finished]
    plan_facts: dict[str, Any] = {"left_out": {}, "partial": False, "planned": frozenset(rules), "size": len(events)}
    plan_facts |= {k: options.pop(k) for k in list(options) if k in plan_facts}
    cases = tuple(Case(f"c{i}", Provocation(script), ()) for i in range(plan_facts["size"] - 1))
    plan = Plan(cases, plan_facts["planned"], plan_facts["left_out"], partial=plan_facts["partial"])
    ledger = Ledger(rules)
    for event in events:
        ledger.take(event)
    facts: dict[str, Any] = {"target": Target("http://x"), "level": "core", "seed": 0, "seconds": 1.0}
    return conclude(ledger, plan, contract=CONTRACT, **(facts | options))


def silent(clause: str) -> dict[str, Judgement]:
    return {clause: Judgement(f"rule.{clause}", 0)}


FAILED = {"DIS-1": Judgement("rule.DIS-1", 1, (FINDING,))}
OPEN = {"DIS-1": Judgement("rule.DIS-1", 1, undecided="the tester slept")}
BROKEN = {"DIS-1": Judgement("rule.DIS-1", 1, (), "KeyError in x.py:1: y")}


@pytest.mark.parametrize(
    ("result", "verdict", "code"),
    [
        (concluded(), "conforms", 0),
        (concluded(judged=FAILED), "violates", 1),
        (concluded(judged=silent("DIS-1")), "incomplete", 3),
        (concluded(judged=BROKEN), "error", 4),
        (concluded(judged=OPEN), "incomplete", 3),
        (concluded(judged=FAILED | {"AGT-1": Judgement("rule.AGT-1", 1, (), "broke")}), "violates", 1),
        (concluded(stopped="interrupted"), "incomplete", 3),
        (concluded(judged=FAILED, stopped="interrupted"), "violates", 1),
        (concluded(size=9), "error", 4),
        (concluded(size=9, stopped="interrupted"), "incomplete", 3),
        (concluded(size=1, stopped="nobody there"), "incomplete", 3),
        (concluded(CaseFinished("d", 1, error="KeyError at x.py:1: y")), "error", 4),
        (concluded(CaseFinished("d", 1, unmet=("ACK on agent-1",))), "incomplete", 3),
        (concluded(CaseFinished("d", 1, cut="it took more than 15 s")), "incomplete", 3),
        (concluded(level="full"), "incomplete", 3),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_one_verdict(result: Result, verdict: str, code: int) -> None:
    """A breach outweighs our own fault, that outweighs what is missing, and green is only what is whole."""
    assert (result.verdict, result.exit_code) == (verdict, code)


def test_nothing_planned_is_not_green() -> None:
    """A run of nothing but preflight does not conform, whatever preflight showed."""
    rules = {r.id: r for r in map(rule, CORE)}
    ledger = Ledger(rules)
    ledger.take(CaseFinished("preflight", 0.1, tuple(Judgement(name, 1) for name in rules)))
    plan = Plan((), frozenset(), {})
    result = conclude(ledger, plan, contract=CONTRACT, target=Target("http://x"), level="core", seed=0, seconds=0.1)
    assert result.verdict == "incomplete"


def test_planned_and_emitted_must_agree() -> None:
    """A case that was planned and never reported is a problem of ours, said with both numbers."""
    result = concluded(size=5)
    assert (result.planned, result.emitted) == (5, 2)
    assert result.problems == ("5 cases were planned and 2 reported",)


def test_a_stall_that_a_finding_explains_is_no_stall() -> None:
    """A wait in vain counts only where no rule found anything wrong in that case."""
    explained = CaseFinished("d", 1, tuple(FAILED.values()), unmet=("ACK on agent-1",))
    assert concluded(explained).problems == ()
    assert concluded(CaseFinished("d", 1, unmet=("ACK on a", "PONG on b"))).problems == (
        "case d waited in vain for ACK on a, PONG on b",
    )
    assert concluded(CaseFinished("d", 1, cut="over")).problems == ("case d was cut: over",)


def test_outcomes_of_clauses() -> None:
    """Each clause has the outcome that its rules, the contract and the target give it, with the reason."""
    unpromised = next(c for c in CONTRACT.clauses.values() if c.capability and not c.untestable)
    result = concluded(
        judged={**FAILED, "AGT-1": Judgement("rule.AGT-1", 1, (), "broke"), **silent("AGT-2")},
        target=Target("http://x", withheld=(str(unpromised.capability),)),
    )
    outcomes = {i: (c.outcome, c.why) for i, c in result.clauses.items()}
    assert set(outcomes) == set(CONTRACT.clauses)
    assert outcomes["CASE-1"] == ("passed", "")
    assert outcomes["DIS-1"] == ("failed", "")
    assert outcomes["AGT-1"] == ("harness_error", "c: broke")
    assert outcomes["AGT-2"] == ("not_exercised", "nothing in this run gave occasion for rule.AGT-2")
    assert outcomes[unpromised.id][0] == "not_promised"
    assert "no rule judges it yet" in {why for _, why in outcomes.values()}


def test_the_verdict_hangs_on_what_counts() -> None:
    """A breach beyond the level, or of a SHOULD, is told and does not count; at full the MUST does."""
    judged = {c: Judgement(f"rule.{c}", 1, (Finding("wrong", clauses=(c,)),)) for c in (BEYOND, SHOULD)}
    result = concluded(clauses=(BEYOND, SHOULD), judged=judged)
    assert result.verdict == "conforms"
    assert {c.clause.id for c in result.of("failed", counting=False)} == {BEYOND, SHOULD}
    full = concluded(clauses=(BEYOND, SHOULD), judged=judged, level="full")
    assert [c.clause.id for c in full.of("failed", counting=True)] == [BEYOND]


def test_a_partial_plan_answers_only_for_what_was_asked() -> None:
    """Where a run was narrowed, what nobody asked for does not count; what was asked for must have its occasion."""
    others = {c: Judgement(f"rule.{c}", 0) for c in CORE if c != "DIS-1"}
    facts: dict[str, Any] = {"partial": True, "planned": frozenset({"rule.DIS-1"})}
    result = concluded(judged=others, **facts)
    assert result.verdict == "conforms"
    assert result.tally() == {"passed": 1}
    assert concluded(judged=others | silent("DIS-1"), **facts).verdict == "incomplete"


def test_what_could_not_be_tried_is_said() -> None:
    """A clause whose only case lacks something is not exercised, with what it lacks."""
    result = concluded(
        judged=silent("DIS-1"),
        planned=frozenset(f"rule.{c}" for c in CORE if c != "DIS-1"),
        left_out={Provocation(script).id: "signing-key"},
    )
    assert result.clauses["DIS-1"].outcome == "not_exercised"
    assert result.clauses["DIS-1"].why == "rule.DIS-1 needs signing-key"
    assert result.verdict == "incomplete"


def test_the_same_breach_is_told_once() -> None:
    """A finding that differs only in ids, numbers and rows is the same breach, counted, with its cases."""
    findings = [
        Finding(
            f"the agent 'a{i}' is wrong {i} times",
            pointer=f"/data/{i}/x",
            expected=f"{UUID(int=0xABCDEF << i)} first",
            clauses=("DIS-1",),
            case=f"c{i % 2}",
        )
        for i in range(100, 104)
    ]
    other = Finding("something else", clauses=("DIS-1",), case="c0")
    result = concluded(judged={"DIS-1": Judgement("rule.DIS-1", 5, (*findings, other))})
    same, different = result.clauses["DIS-1"].breaches
    assert (same.times, same.cases, different.times) == (4, ["c0", "c1"], 1)


def test_a_breach_is_told_by_its_smallest_script() -> None:
    """Of several drawn cases that show the same, the one to look at is the shortest, whichever came first."""
    steps = [{"actor": "agent-1", "cause": "agent.ping"}] * 3
    shown = [
        CaseFinished(name, 1, (Judgement("rule.DIS-1", 1, (replace(FINDING, case=name),)),), script={"steps": some})
        for name, some in (("long", steps), ("short", steps[:1]))
    ]
    (breach,) = concluded(*shown).clauses["DIS-1"].breaches
    assert (breach.finding.case, breach.cases) == ("short", ["short", "long"])
