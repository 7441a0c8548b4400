"""Saved cases: what is written comes back equal, without secrets, and what is not one is refused in a sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance import saved
from conformance.cli.replay import replay_recorded
from conformance.contract import load_contract
from conformance.engine.events import CaseFinished
from conformance.judge import Judgement
from conformance.redact import Redactor
from conformance.rule import Finding
from conformance.saved import SavedError, load, save
from conformance.scene import Scene
from conformance.terms import Terms
from conformance.timeline import MISSING, Closed, Exchange, Frame, Note, Opened, Timeline

if TYPE_CHECKING:
    from pathlib import Path

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.floats(0, 1e6, allow_nan=False)
texts = st.dictionaries(words, words, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
values = st.just(MISSING) | json_values
statuses = st.integers(0, 599)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    value = draw(values)
    text = draw(st.sampled_from([json.dumps(value) if value is not MISSING else "no JSON", draw(words), None]))
    binary = draw(st.none() | st.binary(max_size=9))
    return Frame(0, draw(times), draw(words), draw(st.sampled_from(["to_server", "to_client"])), text, binary, value)


exchanges = st.builds(
    Exchange, seq=st.integers(0), at=times, ended=times, user=words, credential=words, method=words, path=words,
    operation=st.none() | words, under_base=st.booleans(), query=texts, request_headers=texts, request=values,
    status=statuses, headers=texts, text=words, value=values, failure=words,
)  # fmt: skip
opened = st.builds(
    Opened, seq=st.integers(0), at=times, connection=words, user=words, credential=words, channel=words, role=words,
    status=statuses, query=texts, failure=words,
)  # fmt: skip
closed = st.builds(
    Closed, seq=st.integers(0), at=times, connection=words, by=words, code=st.none() | statuses, reason=words
)
notes = st.builds(Note, seq=st.integers(0), at=times, kind=words, data=st.dictionaries(words, json_values, max_size=3))
events = st.lists(exchanges | opened | frames() | closed | notes, max_size=6)


def finished(timeline: Timeline, case: str = "disconnect/agent-leaves") -> CaseFinished:
    return CaseFinished(case, 0.1, (), timeline)


def written(tmp_path: Path, timeline: Timeline, **options: Any) -> Path:
    facts: dict[str, Any] = {"seed": 7, "target": "http://x", "level": "core", "directory": tmp_path}
    return save(finished(timeline), **(facts | options))


@given(events=events, epoch=times, end=times, slack=st.floats(0, 9))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_comes_back_equal(tmp_path: Path, events: list[Any], epoch: float, end: float, slack: float) -> None:
    """A timeline that is saved and loaded is the same timeline."""
    contract = load_contract()
    before = Timeline(
        events, contract=contract, terms=Terms(slack=slack), epoch=epoch, case="disconnect/agent-leaves", end=end
    )
    case = load(save(finished(before), seed=7, target="http://x", level="full", directory=tmp_path))
    after = case.timeline
    assert after.events == before.events
    assert repr(after.events) == repr(before.events)
    assert (after.terms, after.epoch, after.end, after.case) == (before.terms, before.epoch, before.end, before.case)
    assert (case.seed, case.level, case.digest, case.cut) == (7, "full", contract.digest, False)


def test_secrets_stay_out(tmp_path: Path) -> None:
    """No secret and no token reaches a saved case, wherever a backend repeats it."""
    scene = Scene(load_contract())
    scene.socket("dashboard", query={"token": "eyJhbGciOi.eyJzdWIi.c2ln"}).gets("ERROR", {"message": 'a"secret/x'})
    scene.rest("GET", "/agents", 401, {"error": "Bearer abc.def is bad"}, headers={"location": "/x?k=a%22secret%2Fx"})
    path = written(tmp_path, scene.timeline(), redactor=Redactor(['a"secret/x']), target='http://u:a"secret/x@h')
    content = path.read_text()
    assert "eyJ" not in content
    assert "secret" not in content
    assert "abc.def" not in content
    assert len(load(path).timeline.events) == 3


def test_long_texts_are_cut(tmp_path: Path) -> None:
    """A text over 64 KiB is cut with a mark, and the file says that it cannot be judged again."""
    scene = Scene(load_contract())
    scene.socket("agent").gets_text("x" * 1_000_000)
    path = written(tmp_path, scene.timeline())
    case = load(path)
    frame = case.timeline.events[-1]
    assert path.stat().st_size < 80_000
    assert case.cut
    assert isinstance(frame, Frame)
    assert frame.text is not None
    assert frame.text.endswith("the whole was 1000000 characters long]")


def test_of_a_timeline_too_long_the_evidence_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a finding names is kept, with its socket and the notes; such a case is provoked again, not judged again."""
    monkeypatch.setattr(saved, "MOST_EVENTS", 5)
    scene = Scene(load_contract())
    quiet, loud = scene.socket("agent"), scene.socket("dashboard")
    quiet.gets("ERROR", {"message": "unseen"})
    scene.note("load", agents=1000)
    wrong = [loud.gets("PONG", {"sequence": number}) for number in range(9)][4]
    whole = scene.timeline()
    finding = Finding("a wrong answer", wrong)
    event = CaseFinished("load/many", 0.1, (Judgement("load.many", 1, (finding,)),), whole)
    path = save(event, seed=7, target="http://x", level="full", directory=tmp_path)
    case = load(path)
    opened = next(e for e in whole.events if isinstance(e, Opened) and e.connection == loud.name)
    note = next(e for e in whole.events if isinstance(e, Note))
    assert case.cut
    assert case.timeline.events == (opened, note, wrong)
    with pytest.raises(SavedError, match="too long to be kept whole"):
        replay_recorded(path, {})


@pytest.mark.parametrize(("answer", "code", "verdict"), [("SERVER_HEARTBEAT", 0, "CONFORMS"), ("ACK", 1, "VIOLATES")])
def test_what_was_recorded_is_judged_without_a_backend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: str, code: int, verdict: str
) -> None:
    """Its one case is all that is planned: a right one conforms, and nothing is missing."""
    s = Scene(load_contract())
    agent = s.agent("a1")
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    agent.gets(answer, {"serverTime": s.now, "nextPingExpected": 30000})
    s.wait(3)
    assert replay_recorded(written(tmp_path, s.timeline()), {}) == code
    told = capsys.readouterr().out
    assert told.startswith(verdict)
    assert "Problems" not in told


def test_name_is_made_from_the_case(tmp_path: Path) -> None:
    """The file is named after its case, and stays in its directory whatever the case is called."""
    scene = Scene(load_contract()).timeline()
    assert written(tmp_path, scene).name == "disconnect.agent-leaves.json"
    odd = save(finished(scene, "../../etc/x y"), seed=1, target="t", level="core", directory=tmp_path)
    assert odd.parent == tmp_path


def test_falls_back_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the current directory refuses, the case is saved in a directory of our own below the temporary one."""
    (tmp_path / ".conformance").write_text("a file in the way")
    monkeypatch.chdir(tmp_path)
    path = save(finished(Scene(load_contract()).timeline()), seed=1, target="t", level="core")
    assert load(path).case == "disconnect/agent-leaves"
    assert path.is_absolute()


GOOD: dict[str, Any] = {
    "format": 1, "case": "c", "seed": 1, "contract": {"version": "1.0", "digest": "d"}, "target": "t", "level": "core",
    "terms": {}, "epoch": 0, "end": 0, "events": [],
}  # fmt: skip
NOTE: dict[str, Any] = {"event": "note", "seq": 0, "at": 0, "kind": "lag"}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"[]", b"7", b"{}", b"[" * 100_000, b'{"format": 1}',
        {**GOOD, "format": 2}, {**GOOD, "seed": "1"}, {**GOOD, "epoch": 10**400}, {**GOOD, "contract": {}},
        {**GOOD, "terms": {"slack": "x"}}, {**GOOD, "terms": {"other": 1}}, {**GOOD, "events": {}},
        {**GOOD, "events": [7]}, {**GOOD, "events": [{"event": []}]}, {**GOOD, "events": [{"event": "note"}]},
        {**GOOD, "events": [NOTE | {"other": 1}]}, {**GOOD, "events": [NOTE | {"data": []}]},
        {**GOOD, "events": [NOTE | {"at": True}]}, {**GOOD, "events": [NOTE | {"value_missing": True, "x": 1}]},
        {**GOOD, "events": [{"event": "frame", "seq": 0, "at": 0, "connection": "c", "direction": "up"}]},
        {**GOOD, "events": [{"event": "frame", "seq": 0, "at": 0, "connection": "c", "direction": "to_client",
                             "binary": "?"}]},
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_saved_case_is_refused_in_one_sentence(tmp_path: Path, content: Any) -> None:
    """A file that is not a saved case gives one line that names it."""
    path = tmp_path / "odd.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(SavedError) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_smallest_saved_case_loads(tmp_path: Path) -> None:
    """The file that the refusals above vary is itself a saved case."""
    path = tmp_path / "good.json"
    path.write_text(json.dumps({**GOOD, "events": [NOTE]}))
    assert load(path).timeline.events == (Note(0, 0, "lag"),)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is said to be not there."""
    with pytest.raises(SavedError, match="No such file"):
        load(tmp_path / "none.json")


def test_redaction_leaves_plain_words() -> None:
    """Sentences about bearer tokens stay readable, credentials go, in whatever spelling."""
    redactor = Redactor(["s3cret-token", "abc"])
    assert redactor.text("missing Bearer token; abc") == "missing Bearer token; abc"
    assert redactor.text("got Bearer 0123abc, and s3cret-token") == "got Bearer ***, and ***"
    assert redactor.text("authorization: bearer%20xyz123") == "authorization: bearer ***"
    assert redactor.value({"s3cret-token": ["s3cret-token", 7, None]}) == {"***": ["***", 7, None]}
    assert saved.FORMAT == 1
