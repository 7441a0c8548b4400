"""Reports: the same result, told to a person, to a program, to CI and on paper; never more than is safe to show."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from conformance.contract import load_contract
from conformance.engine.conclude import Ledger, conclude
from conformance.engine.events import CaseFinished, CaseStarted, PlanMade, RunFinished
from conformance.engine.plan import Case, Plan
from conformance.judge import judge_all
from conformance.redact import Redactor
from conformance.report import WRITERS, ReportError, parse_report, pretty, write_report
from conformance.report.terminal import Terminal
from conformance.rule import Provocation, Rule
from conformance.rules import all_rules, disconnect, rest_auth_first
from conformance.saved import save_failures
from conformance.scene import Scene
from conformance.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.engine.result import Result, Verdict

URL = "http://user:pass-word@localhost:3001"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
HOSTILE = f"<script>x</script> \x1b[31m\x00\x08\ufffe\u202e ]]> & ' \" {TOKEN} hunter22"
REDACTOR = Redactor(["hunter22"])
SCHEMA = Path(__file__).parents[2] / "reports" / "report.schema.json"


async def nothing(_: object) -> None:
    """A script that does nothing."""


def finished(name: str, example: Callable[[Scene], None]) -> CaseFinished:
    scene = Scene(load_contract())
    example(scene)
    timeline = scene.timeline()
    timeline.case = name
    return CaseFinished(name, 0.1, tuple(judge_all(all_rules().values(), timeline)), timeline)


def result(*events: CaseFinished, rules: dict[str, Rule] | None = None, **facts: Any) -> Result:
    ledger = Ledger(all_rules() if rules is None else rules)
    for event in events:
        ledger.take(event)
    cases = tuple(Case(e.case, Provocation(nothing), ()) for e in events[1:])
    plan = Plan(cases, frozenset(ledger.rules), {})
    usual: dict[str, Any] = {"target": Target(URL), "level": "core", "seed": 4, "seconds": 3.14}
    return conclude(ledger, plan, contract=load_contract(), **(usual | facts))


def broken() -> Result:
    return result(
        finished("preflight", disconnect.announced),
        finished("disconnect/agent-leaves", disconnect.never),
        finished("disconnect/agent-crashes", disconnect.never),
        finished("disconnect/hostile", hostile),
    )


def hostile(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1", timestamp=HOSTILE, reason=HOSTILE)
    s.wait(2)
    s.lists(s.row(status=HOSTILE, agent_type=HOSTILE))


def stopped() -> Result:
    return result(stopped=f"Nothing listens at {URL}, it said {HOSTILE}", rules={})


def printed(one: Result, *, width: int = 80, quiet: bool = False) -> str:
    out = io.StringIO()
    Terminal(REDACTOR, out=out, err=io.StringIO(), width=width, quiet=quiet).take(RunFinished(one))
    return out.getvalue()


def given(verdict: Verdict, **facts: Any) -> Result:
    return replace(broken(), verdict=verdict, **facts)


@pytest.mark.parametrize("make", [broken, stopped])
def test_json_keeps_its_schema(make: Callable[[], Result]) -> None:
    """What the JSON report says has the shape that its schema promises."""
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    document = json.loads(WRITERS["json"](make(), REDACTOR))
    errors = list(
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).iter_errors(document)
    )
    assert errors == []
    assert set(document["clauses"]) == set(load_contract().clauses)


def test_json_tells_the_breach() -> None:
    """A finding names its rule, place, expectation, cases and evidence, in order."""
    document = json.loads(WRITERS["json"](broken(), REDACTOR))
    assert document["verdict"] == "violates"
    assert document["plan"] == {"planned": 4, "emitted": 4}
    clause = document["clauses"]["DIS-1"]
    assert (clause["outcome"], clause["counts"], clause["level"], clause["core"]) == ("failed", True, "MUST", True)
    finding = clause["findings"][0]
    assert finding["rule"] == "disconnect.announced-once"
    assert finding["cases"] == ["disconnect/agent-leaves", "disconnect/agent-crashes"]
    assert finding["times"] == 2
    assert [e["breach"] for e in finding["evidence"]] == [False, True]
    assert document["started_at"].startswith("2025-10-09T")


@pytest.mark.parametrize("kind", [*WRITERS, "terminal", "quiet"])
@pytest.mark.parametrize("make", [broken, stopped])
def test_nothing_unsafe_is_shown(kind: str, make: Callable[[], Result]) -> None:
    """No secret, no control character and no foreign markup gets through any writer."""
    one = make()
    text = printed(one, quiet=kind == "quiet") if kind in ("terminal", "quiet") else WRITERS[kind](one, REDACTOR)
    assert isinstance(text, str)
    assert "hunter22" not in text
    assert TOKEN not in text
    assert "pass-word" not in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ufffe\u202e]", text)
    if kind in ("html", "junit"):
        assert "<script" not in text


def test_junit_is_xml_with_a_case_per_clause() -> None:
    """Every clause is a test case; only those that count fail, and the counts of the suite are right."""
    root = ET.fromstring(str(WRITERS["junit"](broken(), REDACTOR)))  # noqa: S314 - our own
    suite = root[0]
    cases = suite.findall("testcase")
    ours = [c for c in cases if c.get("classname") != "onsembl.run"]
    assert len(ours) == len(load_contract().clauses)
    assert int(suite.get("tests", "")) == len(cases)
    failed = {c.get("name", "").split()[0] for c in cases if c.find("failure") is not None}
    assert failed == {c.clause.id for c in broken().of("failed", counting=True)}
    assert int(suite.get("failures", "")) == len(failed)


def test_html_stands_alone() -> None:
    """The page asks for nothing from elsewhere, runs nothing, and holds verdict, evidence and a place to sign."""
    page = str(WRITERS["html"](broken(), REDACTOR))
    assert not re.search(r"<(script|link|img|iframe|object)|\bsrc=|url\(|@import|href=\"(?!#)", page)
    assert "Violates" in page
    assert load_contract().digest in page
    assert 'id="DIS-1"' in page
    assert "is missing here" in page
    assert "Signature" in page
    assert page.count("<article") == len(broken().of("failed"))


@pytest.mark.parametrize(
    ("one", "begins"),
    [
        (given("conforms"), "CONFORMS  core · "),
        (given("violates"), "VIOLATES  core · "),
        (given("error", problems=("rule x broke",)), "ERROR  core · the tester itself failed"),
        (given("incomplete"), "INCOMPLETE  core · "),
        (stopped(), "INCOMPLETE  core · nothing could be tested: Nothing listens at "),
        (result(finished("preflight", disconnect.announced), rules={}), "INCOMPLETE  core · nothing was planned"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_first_line_is_the_answer(one: Result, begins: str) -> None:
    """The first line says the verdict, at which level and why; --quiet says only that."""
    assert printed(one).startswith(begins)
    assert printed(one, quiet=True).splitlines() == printed(one).splitlines()[:1]


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_wraps_all_but_what_is_copied(width: int, tmp_path: Path) -> None:
    """Nothing is wider than the terminal but the first line and the replay commands, each on a line of its own."""
    one = broken()
    save_failures(one, REDACTOR, tmp_path)
    first, *rest = printed(one, width=width).splitlines()
    assert first
    commands = [line for line in rest if "conformance replay" in line]
    assert all(len(line) <= width for line in rest if line not in commands)
    path = tmp_path / "disconnect.agent-leaves.json"
    assert f"    conformance replay {path} http://localhost:3001" in commands


def test_terminal_shows_one_cause_once() -> None:
    """A breach of two clauses is told under the first, and only named under the second."""
    event = finished("disconnect/agent-leaves", disconnect.never)
    double = [replace(f, clauses=("DIS-1", "DIS-2")) for f in event.findings if f.rule == "disconnect.announced-once"]
    judgements = tuple(
        replace(j, findings=tuple(double)) if j.rule == "disconnect.announced-once" else replace(j, findings=())
        for j in event.judgements
    )
    shown = printed(result(replace(event, judgements=judgements)))
    assert shown.count("expected  one AGENT_DISCONNECT") == 1
    assert "(see DIS-1)" in shown


def test_what_the_plan_is_about_comes_first() -> None:
    """At the full level too: what else is broken often follows from it."""
    one = result(
        finished("auth", rest_auth_first.without_challenge),
        finished("disconnect/agent-leaves", disconnect.never),
        level="full",
    )
    heads = re.findall(r"^[A-Z]+-[0-9]+  MUST.*$", printed(one), re.MULTILINE)
    is_core = ["[core]" in head for head in heads]
    assert is_core == sorted(is_core, reverse=True)
    assert len(set(is_core)) > 1


def test_saving_names_the_replay(tmp_path: Path) -> None:
    """After the failures are saved every breach names a file, one per case, and says so in the report."""
    one = broken()
    paths = save_failures(one, REDACTOR, tmp_path)
    assert all(p.is_file() for p in paths)
    assert all(b.replay for c in one.clauses.values() for b in c.breaches)
    assert len(paths) == len({b.replay for c in one.clauses.values() for b in c.breaches})
    assert TOKEN not in "".join(p.read_text() for p in paths)


def test_what_was_judged_by_a_profile_is_played_again_by_it(tmp_path: Path) -> None:
    """The replay command names the profile, for the URL alone would lose paths, headers and users."""
    one = broken()
    one = replace(one, target=replace(one.target, profile="my staging.toml"))
    save_failures(one, REDACTOR, tmp_path)
    assert f"{tmp_path / 'disconnect.agent-leaves.json'} 'my staging.toml'" in printed(one)


def test_progress_is_quiet_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a plain line comes every two seconds, and nothing on the standard output."""
    now = [0.0]
    monkeypatch.setattr("conformance.report.terminal.time.monotonic", lambda: now[0])
    out, err = io.StringIO(), io.StringIO()
    with Terminal(REDACTOR, out=out, err=err) as terminal:
        terminal.take(PlanMade(Plan((), frozenset(), {})))
        for case in range(5):
            now[0] += 0.9
            terminal.take(CaseStarted(f"c/{case}"))
            terminal.take(finished(f"c/{case}", disconnect.never))
    assert out.getvalue() == ""
    assert re.fullmatch(r"3 cases · \d+ breach(es)?\n", err.getvalue())


def test_report_files_are_whole_or_not_there(tmp_path: Path) -> None:
    """Directories are made, an old report is replaced, and nothing else is left behind."""
    path = tmp_path / "a" / "b" / "report.json"
    for _ in range(2):
        assert write_report("json", path, broken(), REDACTOR) == path
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


def test_unwritable_report_is_said_in_a_sentence(tmp_path: Path) -> None:
    """A report that cannot be written gives one sentence with the path."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.json", tmp_path):
        with pytest.raises(ReportError, match=re.escape(str(path))) as caught:
            write_report("json", path, broken(), REDACTOR)
        assert "\n" not in str(caught.value)


def test_option_names_kind_and_file() -> None:
    """`--report` is read as kind=file, and anything else is refused with the kinds there are."""
    assert parse_report("html=a=b.html") == ("html", Path("a=b.html"))
    for wrong in ("json", "json=", "=x", "pdf=x", ""):
        with pytest.raises(ReportError, match="json, junit, html"):
            parse_report(wrong)


@pytest.mark.parametrize(
    ("value", "pointer", "marked"),
    [
        ({"a": {"b": 1}}, "/a/b", ["hit"]),
        ({"a": {"b": 1}}, "/a/c", ["missing"]),
        ([{"a": 1}] * 9, "/7/a", ["left-out", "hit", "left-out"][0:2]),
        ([1], "/5", ["missing"]),
        ([1], "/x", ["missing"]),
        ({"a/b": 1}, "/a~1b", ["hit"]),
        (7, "/a", ["hit"][0:0]),
        ({}, "/a", ["missing"]),
    ],
)
def test_pointed_at_place_is_marked(value: Any, pointer: str, marked: list[str]) -> None:
    """The line that a pointer names is marked, or the place where it is missing."""
    assert [line.mark for line in pretty.lines(value, pointer) if line.mark][: len(marked)] == marked


def test_huge_values_stay_small() -> None:
    """A page's worth of lines is made of whatever a backend sends."""
    deep: Any = 1
    for _ in range(500):
        deep = {"a": deep}
    wide = {f"k{i}": "x" * 10_000 for i in range(5000)}
    for value in (deep, wide, [[1] * 5000] * 5000):
        assert sum(len(line.text) for line in pretty.lines(value, "/a/a")) < 20_000
