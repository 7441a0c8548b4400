"""Timelines: who is on a socket, since when it is accepted, how long is waited, and what rules are shown of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.contract import load_contract
from conformance.scene import EPOCH, Scene
from conformance.terms import Terms
from conformance.timeline import MISSING, Exchange, Timeline
from conformance.views import narrowed


@pytest.fixture
def scene() -> Scene:
    return Scene(load_contract(), Terms(slack=0.25))


def test_role_follows_the_first_message(scene: Scene) -> None:
    """The role of a socket is that of its role message, and before one that for which it was opened."""
    scene.socket("dashboard", channel="shared").sends("AGENT_CONNECT", {"agentId": "a1"})
    scene.socket("agent", channel="shared").sends("DASHBOARD_INIT", {})
    scene.socket("agent")
    assert [c.role for c in scene.timeline().connections] == ["agent", "dashboard", "agent"]


def test_an_agent_is_accepted_by_its_ack(scene: Scene) -> None:
    """An agent counts from its ACK on; a failing ACK, an ERROR or silence accept nobody."""
    scene.agent("a1")
    for kind, payload in [("ACK", {"success": False}), ("ERROR", {"code": "X"})]:
        socket = scene.socket("agent")
        socket.sends("AGENT_CONNECT", {"agentId": "a2"})
        socket.gets(kind, payload)
    scene.socket("agent").sends("AGENT_CONNECT", {"agentId": "a3"})
    t = scene.timeline()
    assert [a.agent_id for a in t.agents] == ["a1"]
    assert [c.accepted is not None for c in t.connections] == [True, False, False, False]


def test_an_ack_before_the_role_message_accepts_nobody(scene: Scene) -> None:
    """What came before the role message is no answer to it."""
    socket = scene.socket("agent")
    socket.gets("ACK", {"success": True, "agentId": "x"})
    socket.sends("AGENT_CONNECT", {"agentId": "a1"})
    assert scene.timeline().connections[0].accepted is None


def test_the_id_in_force_is_the_acknowledged_one(scene: Scene) -> None:
    """An agent's id is that of the ACK, else the announced one; a dashboard has none."""
    for answer in ({"agentId": "given"}, {"agentId": ""}, {"agentId": 7}, {}):
        socket = scene.socket("agent")
        socket.sends("AGENT_CONNECT", {"agentId": "announced"})
        socket.gets("ACK", answer)
    scene.dashboard()
    ids = [c.agent_id for c in scene.timeline().connections]
    assert ids == ["given", "announced", "announced", "announced", None]


def test_a_dashboard_is_accepted_by_ready_or_what_stands_for_it(scene: Scene) -> None:
    """DASHBOARD_READY accepts a dashboard, in an older spelling or as an ACK as well."""
    for kind in ("DASHBOARD_READY", "dashboard:ready", "ACK"):
        socket = scene.socket("dashboard")
        socket.sends("DASHBOARD_INIT", {})
        socket.gets(kind, {})
    assert all(c.accepted for c in scene.timeline().connections)


def test_only_good_tokens_make_agents_and_dashboards(scene: Scene) -> None:
    """Sockets with a bad credential are no agents and no dashboards, and another version's are no dashboards."""
    for role, fields in [("agent", {"credential": "expired"}), ("dashboard", {"credential": "none"})]:
        socket = scene.socket(role, **fields)
        socket.sends({"agent": "AGENT_CONNECT", "dashboard": "DASHBOARD_INIT"}[role], {"agentId": "a1"})
        socket.gets("ACK", {})
    scene.socket("dashboard", query={"v": "0"}).sends("DASHBOARD_INIT", {})
    t = scene.timeline()
    assert len(t.connections) == 3
    assert (t.agents, t.dashboards) == ((), ())


def test_users_are_kept_apart(scene: Scene) -> None:
    """Owners and dashboards are told user by user."""
    scene.agent("a1")
    scene.agent("b1", user="bob")
    scene.dashboard()
    scene.dashboard(user="bob")
    t = scene.timeline()
    assert t.owners == {"a1": "alice", "b1": "bob"}
    assert [d.id for d in t.dashboards_of("bob")] == ["dashboard-4"]


def test_frames_of_unknown_sockets_are_left_out(scene: Scene) -> None:
    """A frame or an end without its opening makes no socket and breaks nothing."""
    scene.frame("nowhere", "to_client", "{}")
    assert scene.timeline().connections == ()
    assert scene.timeline().connection("nowhere") is None


def test_the_first_end_counts(scene: Scene) -> None:
    """A socket ends once, and was watched until then; an open one until the end of the timeline."""
    first, second = scene.socket("agent"), scene.socket("agent")
    end = first.closes(by="backend", code=4008)
    first.closes()
    t = scene.timeline()
    closed, still = t.connection(first.name), t.connection(second.name)
    assert closed is not None
    assert still is not None
    assert closed.closed == end
    assert (closed.until, still.until) == (end.at, t.end)


def test_frames_are_found_by_kind_agent_and_moment(scene: Scene) -> None:
    """Messages are found by their kind in any spelling, after an event, before a time, and about an agent."""
    dashboard = scene.dashboard()
    first = dashboard.told("a1")
    later = dashboard.gets("agent_status", {"agent_id": "a2"})
    (view,) = scene.timeline().dashboards
    assert view.of_kind("AGENT_STATUS") == [first, later]
    assert view.of_kind("AGENT_STATUS", after=first.seq) == [later]
    assert view.of_kind("AGENT_STATUS", before=first.at) == [first]
    assert view.about("a2", "AGENT_STATUS") == [later]


def test_calls_are_those_with_a_good_token_of_this_version(scene: Scene) -> None:
    """Rules are shown calls by operation, status and version, and never those with a bad credential."""
    good = scene.lists()
    scene.lists(credential="expired")
    old = scene.lists(request_headers={"x-api-version": "0"})
    failed = scene.fails("GET", "/agents", 400)
    t = scene.timeline()
    assert list(t.calls("listAgents")) == [good, failed]
    assert list(t.calls("listAgents", status=200)) == [good]
    assert list(t.calls("listAgents", version=None)) == [good, old, failed]
    assert list(t.calls("getAgent")) == []


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 3)), max_size=5), st.floats(0, 3), st.floats(0, 2))
def test_pauses_of_the_tester_lengthen_every_bound(
    pauses: list[tuple[float, float]], start: float, within: float
) -> None:
    """A bound is never shorter than promised, and grows by the longest pause that fell into it, and by that alone."""
    scene = Scene(load_contract(), Terms(slack=0.25))
    for wait, seconds in pauses:
        scene.wait(wait)
        scene.note("lag", seconds=seconds)
    scene.note("quiet", seconds=99.0)
    t = scene.timeline()
    end = start + within
    expected = max((n.data["seconds"] for n in t.notes[:-1] if start <= n.at <= end + 1), default=0.0)
    assert t.lag(start, end) == expected
    assert t.bound(start, within) == end + 0.25 + expected


def test_a_timeline_can_be_reduced_and_put_under_other_terms(scene: Scene) -> None:
    """The smallest evidence is a timeline in order, and other terms change the events of none."""
    agent = scene.agent("a1")
    end = agent.closes()
    t = scene.timeline()
    assert [e.seq for e in t.only(end, t.events[0]).events] == [0, end.seq]
    changed = t.with_terms(level="full")
    assert (changed.terms.level, changed.events, changed.end) == ("full", t.events, t.end)
    assert t.wall(1.5) == (EPOCH + 1.5) * 1000


def test_an_empty_timeline_ends_at_once() -> None:
    """A timeline of nothing has no connections, no calls and ends at zero; an exchange ends it when it ended."""
    contract = load_contract()
    t = Timeline((), contract=contract)
    assert (t.connections, t.exchanges, t.notes, t.end) == ((), (), (), 0.0)
    exchange = Exchange(0, 1.0, 3.5, "alice", "valid", "GET", "/agents", "listAgents")
    assert Timeline([exchange], contract=contract).end == 3.5


def test_events_are_named_for_people(scene: Scene) -> None:
    """Exchanges are named by their template, frames by their type, and what has none is said to have none."""
    assert scene.shows(scene.row("a1")).label == "GET /agents/{agentId}"
    assert scene.rest("GET", "/lunch/a1", 404).label == "GET /lunch/a1"
    socket = scene.socket("agent")
    assert socket.gets("ACK", {}).label == "ACK"
    odd = socket.gets_text("no JSON")
    assert (odd.label, odd.value, odd.payload, odd.id) == ("a frame without type", MISSING, {}, None)
    assert repr(MISSING) == "MISSING"


@pytest.mark.parametrize(
    ("wish", "less"),
    [
        ({}, False),
        ({"agents": {"all": True}}, False),
        ({"agents": {"all": True}, "commands": {"all": True}, "terminals": True, "traces": True}, False),
        ({"agents": ["a1"]}, True),
        ({"agents": {"all": True}, "traces": False}, True),
        ({"agents": []}, True),
        ({"further": True}, True),
        ([], False),
        ("all", True),
    ],
)
def test_who_asks_for_everything_in_words_is_told_everything(scene: Scene, wish: object, *, less: bool) -> None:
    """SUB-1: what is not named, and what is named as all, is everything; less is no witness of what is left out."""
    scene.socket("dashboard").sends("DASHBOARD_INIT", {"subscriptions": wish})
    assert narrowed(scene.timeline().connections[0]) == less


@pytest.mark.parametrize(
    ("kind", "wish", "less"),
    [
        ("DASHBOARD_SUBSCRIBE", {"type": "agent", "id": "a1"}, False),
        ("DASHBOARD_SUBSCRIBE", {"type": "command", "all": True}, False),
        ("DASHBOARD_SUBSCRIBE", {"type": "trace", "id": "a1", "all": False}, False),
        ("DASHBOARD_SUBSCRIBE", {"type": "agent"}, True),
        ("DASHBOARD_SUBSCRIBE", {"type": "agent", "id": "a1", "all": True}, True),
        ("DASHBOARD_UNSUBSCRIBE", {"type": "trace", "all": True}, True),
    ],
)
def test_who_is_told_everything_and_asks_for_more_still_is(
    scene: Scene, kind: str, wish: object, *, less: bool
) -> None:
    """SUB-3: one more subscription leaves nothing out, where it says clearly to what."""
    dashboard = scene.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.sends(kind, wish)
    assert narrowed(scene.timeline().connections[0]) == less
