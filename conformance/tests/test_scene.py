"""Scenes: what a hand-written timeline leaves out is right, so that an example shows only what it is about."""

from __future__ import annotations

import pytest

from conformance.contract import load_contract
from conformance.judge import judge_all
from conformance.rules import all_rules
from conformance.scene import Scene, item, row

CONTRACT = load_contract()


def test_a_usual_scene_keeps_the_contract() -> None:
    """A scene that changes nothing gives no rule of the suite a finding, and many of them an occasion."""
    scene = Scene(CONTRACT)
    dashboard = scene.dashboard()
    agent = scene.agent("a1")
    dashboard.told("a1")
    agent.closes()
    dashboard.told_gone("a1")
    scene.wait(3)
    judgements = judge_all(all_rules().values(), scene.timeline())
    assert [f for j in judgements for f in j.findings] == []
    assert [j.error for j in judgements if j.error] == []
    assert len(judgements) > 10


def test_usual_shapes_fit_their_schemas() -> None:
    """The row, the snapshot and the messages that a scene writes by itself fit the contract's schemas."""
    scene = Scene(CONTRACT)
    dashboard = scene.dashboard(item("a1"))
    agent = scene.agent("a1")
    agent.heartbeats()
    frames = [dashboard.told("a1"), dashboard.told_gone("a1")]
    frames += [f for c in scene.timeline().connections for f in c.frames]
    for frame in frames:
        role = frame.connection.split("-")[0]
        message = CONTRACT.message(f"{'from' if frame.is_sent else 'to'}-{role}", frame.type)
        assert message is not None
        assert CONTRACT.violations(message.schema, frame.value["payload"]) == []


@pytest.mark.parametrize("make", [row, item])
def test_fields_are_changed_added_and_removed(make: object) -> None:
    """A value given replaces the right one, None stays a value, and an ellipsis takes the field away."""
    assert callable(make)
    made = make("x", name=None, more=1, version=...)
    assert made["name"] is None
    assert made["more"] == 1
    assert "version" not in made
    assert "x" in made.values()


def test_time_passes_and_events_are_numbered() -> None:
    """Events are numbered from nought without a gap, each a little later, and waiting is seen in what follows."""
    scene = Scene(CONTRACT)
    scene.agent()
    before = scene.now
    scene.wait(5)
    scene.lists(scene.row())
    t = scene.timeline()
    assert [e.seq for e in t.events] == list(range(len(t.events)))
    assert all(a.at < b.at for a, b in zip(t.events, t.events[1:], strict=False))
    assert scene.now - before >= 5000


def test_envelope_fields_can_be_left_out() -> None:
    """A message can be written without a field of its envelope, and as text that is no JSON."""
    socket = Scene(CONTRACT).socket("agent")
    assert set(socket.gets("ACK", {}, id=..., timestamp=...).value) == {"type", "payload"}
    assert socket.sends_text("{").text == "{"
