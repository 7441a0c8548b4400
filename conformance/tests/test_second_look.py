"""What came too late in company is played again alone: load of the suite's own is no breach, a late backend is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.contract import load_contract
from conformance.engine.events import CaseFinished
from conformance.engine.second_look import SecondLook, undecided
from conformance.judge import judge_all
from conformance.rules import all_rules, load
from conformance.scene import Scene
from conformance.tests.backends.launch import backend
from conformance.tests.running import run
from conformance.tests.test_runs import LESS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = all_rules()
ANSWERED = "heartbeat.answered"


def beat(answer: str, after: float) -> CaseFinished:
    """A case in which one heartbeat was answered by this message, so many seconds later."""
    s = Scene(load_contract())
    agent = s.agent()
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    s.wait(after)
    if answer:
        agent.gets(answer, {"serverTime": s.now, "nextPingExpected": 30000})
    t = s.timeline()
    return CaseFinished("some/case", 1.0, tuple(judge_all([RULES[ANSWERED]], t)), t)


def broken(event: CaseFinished) -> set[str]:
    return {f.rule for f in event.findings}


def test_what_came_late_is_doubted() -> None:
    """A finding that patience takes away is one about time; so is one of an answer that was not waited for so long."""
    for late in (beat("SERVER_HEARTBEAT", 2.5), beat("", 2.5)):
        assert broken(late) == {ANSWERED}
        assert SecondLook(RULES).doubts(late) == {ANSWERED}


def test_what_is_wrong_is_not_doubted() -> None:
    """A wrong answer stands, however patient one is; and so does a right one."""
    for other in (beat("ACK", 0.1), beat("SERVER_HEARTBEAT", 0.1)):
        assert SecondLook(RULES).doubts(other) == set()


def measured(scene: Callable[[Scene], None]) -> CaseFinished:
    """A case in which ten agents beat and ten dashboards watched."""
    s = Scene(load_contract())
    scene(s)
    t = s.timeline()
    return CaseFinished("some/load", 1.0, tuple(judge_all([RULES["load.ten-by-ten"]], t)), t)


def test_a_measured_load_has_company_too() -> None:
    """Events that did not come in time under others' load are doubted; where the tester slept it looks again."""
    look = SecondLook(RULES)
    assert look.doubts(measured(load.late)) == look.doubts(measured(load.one_lost)) == {"load.ten-by-ten"}
    slept = measured(lambda s: load._beat_and_tell(s, load.TEN, lambda _: 0.1, pause=0.2))
    assert not slept.findings
    assert look.stalled(slept)
    assert not look.stalled(measured(load.soon))


def test_in_time_alone_it_was_load() -> None:
    """The second play is told, with what had been late in the first."""
    look, late = SecondLook(RULES), beat("SERVER_HEARTBEAT", 2.5)
    told = look.merge(late, beat("SERVER_HEARTBEAT", 0.1), look.doubts(late))
    assert (broken(told), told.late) == (set(), ("SERVER_HEARTBEAT came late",))
    assert look.confirmed == set()


def test_what_the_second_play_of_a_rule_s_own_case_says_nothing_of_stands() -> None:
    """It was waited for in vain in company, and alone nobody waited for it; in another's case that is no wonder."""
    look, missing = SecondLook(RULES), beat("", 2.5)
    doubts = look.doubts(missing)
    assert broken(look.merge(missing, beat("", 0.1), doubts, [ANSWERED])) == {ANSWERED}
    assert broken(look.merge(missing, beat("", 0.1), doubts, ["another.rule"])) == set()


def test_late_alone_it_is_a_breach_and_no_other_case_is_doubted_for_it() -> None:
    """The rule was broken without company: nobody looks a third time."""
    look, late = SecondLook(RULES), beat("SERVER_HEARTBEAT", 2.5)
    told = look.merge(late, late, look.doubts(late))
    assert (broken(told), told.late) == ({ANSWERED}, ())
    assert look.doubts(late) == set()


def test_without_time_for_a_second_look_nobody_is_accused() -> None:
    """A run that was ended leaves the rule open."""
    look, late = SecondLook(RULES), beat("SERVER_HEARTBEAT", 2.5)
    left = undecided(late, look.doubts(late))
    assert broken(left) == set()
    assert all("no time was left" in j.undecided for j in left.judgements)


def test_a_backend_that_is_slow_only_in_company_conforms_and_the_report_says_so(tmp_path: Path) -> None:
    """A busy machine is told, not accused."""
    with backend("second") as right, backend("front", "--upstream", right, "--busy-at", "8") as url:
        told = run(tmp_path / "busy", url, "--only", "[dhps][eirt]*/*", *LESS)
    assert told.failed(core=False) == set()
    assert any("came late" in late for late in told.report["late"])
