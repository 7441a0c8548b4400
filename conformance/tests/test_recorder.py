"""The recorder keeps a timeline in order and within bounds, whatever comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from conformance.contract import load_contract
from conformance.terms import Terms
from conformance.timeline import Frame, Note
from conformance.world import recorder
from conformance.world.recorder import Recorder

if TYPE_CHECKING:
    import pytest


def received(log: Recorder, text: str = "{}") -> Frame:
    facts: dict[str, Any] = {"connection": "agent-1", "direction": "to_client", "text": text}
    return log.add(Frame, size=len(text), **facts)


def test_events_are_numbered_and_stamped_from_the_start() -> None:
    """Times count from the recorder's start, numbers from nought, and a time that is given is kept."""
    now = [100.0]
    log = Recorder(load_contract(), case="c/x", clock=lambda: now[0])
    assert log.last == -1
    first = received(log)
    now[0] += 1.5
    log.note("quiet", why="so")
    log.add(Note, kind="lag", at=0.1)
    t = log.timeline(Terms(slack=1))
    assert (first.seq, first.at, log.last) == (0, 0.0, 2)
    assert t.events[1:] == (Note(1, 1.5, "quiet", {"why": "so"}), Note(2, 0.1, "lag"))
    assert (t.case, t.end, t.terms.slack) == ("c/x", 1.5, 1)


def test_too_many_events_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its bound on a recorder takes no event more, and says that it is full."""
    monkeypatch.setattr(recorder, "MAX_EVENTS", 10)
    log = Recorder(load_contract())
    for count in range(25):
        assert log.full == (count >= 10)
        received(log)
    assert len(log.timeline(Terms()).events) == 10


@given(st.lists(st.integers(0, 9 * 2**20), max_size=30))
def test_too_many_bytes_are_not_kept(sizes: list[int]) -> None:
    """What is kept is never larger than the bound and the one event that crossed it."""
    log = Recorder(load_contract())
    for size in sizes:
        log.add(Frame, size=size, connection="c", direction="to_client")
    kept = len(log.timeline(Terms()).events)
    assert sum(sizes[: kept - 1]) < recorder.MAX_BYTES or kept == 0
    assert log.full == (sum(sizes[:kept]) >= recorder.MAX_BYTES)
    assert kept == len(sizes) or log.full


def test_a_timeline_is_what_was_recorded_so_far() -> None:
    """A timeline that was taken does not change when more is recorded."""
    log = Recorder(load_contract())
    received(log)
    before = log.timeline(Terms())
    received(log)
    assert (len(before.events), len(log.timeline(Terms()).events)) == (1, 2)


def test_messages_inside_a_batch_follow_it() -> None:
    """Each message inside a BATCH is an event of its own after it, in a BATCH inside it too; a number is no message."""
    log = Recorder(load_contract())
    ping = {"type": "PING", "id": "1", "payload": {"timestamp": 1}}
    inner = {"type": "BATCH", "payload": {"messages": [ping]}}
    value = {"type": "BATCH", "payload": {"messages": [ping, 7, inner]}}
    frames = log.received(value=value, size=9, connection="dashboard-1", text="…", binary=None)
    assert [(f.seq, f.type, f.batch) for f in frames] == [
        (0, "BATCH", None),
        (1, "PING", 0),
        (2, "BATCH", 0),
        (3, "PING", 2),
    ]
    assert log.timeline(Terms()).events == tuple(frames)
    assert frames[1].text == '{"type":"PING","id":"1","payload":{"timestamp":1}}'
