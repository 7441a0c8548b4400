"""Lenient reading: what is meant is found wherever an older backend keeps it, and nothing a backend sends breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import reading

words = st.text(max_size=8)
names = words | st.sampled_from(
    ["data", "agents", "items", "agent", "agentId", "agent_id", "id", "type", "status", "metrics", "payload"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
numbers = st.integers(0, 10**9) | st.floats(0, 1e9)
ROW = {"agent_id": "a1", "status": "ONLINE"}


@given(anything, anything)
def test_any_value_can_be_read(value: Any, other: Any) -> None:
    """Whatever JSON a backend sends, each reader gives its type and none raises."""
    assert isinstance(reading.payload(value), dict)
    assert isinstance(reading.rows(value), list | None)
    assert isinstance(reading.one(value), dict | None)
    assert isinstance(reading.agent_id(value), str | None)
    assert isinstance(reading.agent_type(value), str | None)
    assert isinstance(reading.status(value), str | None)
    assert set(reading.reported(value)) <= set(reading.NUMBERS)
    assert reading.same_metrics(reading.metrics(value), other) in {True, False}


@given(st.lists(anything, max_size=3), st.sampled_from(["data", "agents", "items", "results"]))
def test_rows_are_found_in_every_envelope(rows: list[Any], name: str) -> None:
    """A list is found bare, under each historical name, and one level deeper."""
    assert reading.rows(rows) == rows
    assert reading.rows({"success": True, name: rows}) == rows
    assert reading.rows({"data": {name: rows}}) == rows


@pytest.mark.parametrize("value", [None, 7, "rows", {}, {"data": {}}, {"data": "x"}, {"other": []}])
def test_no_list_is_not_an_empty_list(value: Any) -> None:
    """Where there is no list the reader says None, not an empty one."""
    assert reading.rows(value) is None


@pytest.mark.parametrize("value", [ROW, {"data": ROW}, {"agent": ROW}, {"data": {"agent": ROW}}])
def test_a_resource_is_found_in_every_envelope(value: Any) -> None:
    """One agent is found bare, in the contract's envelope, in the old one, and in both."""
    assert reading.one(value) == ROW


def test_no_resource_is_none() -> None:
    """A refusal holds no resource."""
    assert reading.one({"success": False, "error": "No"}) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("AGENT_STATUS", "AGENT_STATUS"),
        ("agent:status", "AGENT_STATUS"),
        ("agentStatus", "AGENT_STATUS"),
        ("DASHBOARD_CONNECTED", "dashboard:connected"),
        ("dashboard:connected", "dashboard:connected"),
        ("LUNCH", "LUNCH"),
        ("", ""),
    ],
)
def test_types_have_one_spelling(written: str, meant: str) -> None:
    """A type in another casing or punctuation is known by the contract's name; an unknown one stays as written."""
    assert reading.canonical_type(written) == meant


@given(words)
def test_spelling_is_settled_at_once(written: str) -> None:
    """The contract's spelling of a type is its own spelling."""
    once = reading.canonical_type(written)
    assert reading.canonical_type(once) == once


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ({"type": "X", "payload": {"a": 1}}, {"a": 1}),
        ({"type": "X", "data": {"a": 1}}, {"a": 1}),
        ({"type": "X", "id": "1", "timestamp": 2, "a": 1}, {"a": 1}),
        ({"payload": {"a": 1}, "data": {"b": 1}}, {"a": 1}),
        ({"payload": None, "a": 1}, {}),
        ([], {}),
    ],
)
def test_payload_is_found(message: Any, payload: dict[str, Any]) -> None:
    """The payload is what stands under payload, else under data, else beside the envelope's fields."""
    assert reading.payload(message) == payload


def test_historical_names_are_read() -> None:
    """Ids, types and metrics are read under all their names, and commandsProcessed by its new name."""
    assert reading.agent_id({"id": "x", "agent_id": "y"}) == "y"
    assert reading.agent_id({"id": 7}) is None
    assert reading.agent_type({"type": "claude"}) == "CLAUDE"
    assert reading.status({"status": "online"}) == "ONLINE"
    assert reading.metrics({"healthMetrics": {"commandsProcessed": 3}})["commandsExecuted"] == 3
    assert reading.metrics({"metrics": None, "last_metrics": {"uptime": 1}}) is None


@given(st.fixed_dictionaries(dict.fromkeys(("commandsProcessed", "uptime", "memoryUsage", "cpuUsage"), numbers)))
def test_what_was_reported_is_what_is_shown(health: dict[str, Any]) -> None:
    """A heartbeat's numbers are the same metrics as themselves in either spelling, and differ when one differs."""
    wanted = reading.reported(health)
    assert reading.same_metrics(reading.metrics({"metrics": health}), wanted)
    assert reading.differing(wanted | {"uptime": wanted["uptime"] + 1.5e9}, wanted) == ["uptime"]
    assert not reading.same_metrics(None, wanted)
    assert reading.same_metrics(None, None)


def test_signature_leaves_positions_out() -> None:
    """The same fault in two rows has one signature; names with digits stay."""
    assert reading.signature("/data/0/x") == reading.signature("/data/17/x") == "/data/*/x"
    assert reading.signature("/data/3") == "/data/*"
    assert reading.signature("/v1/a2") == "/v1/a2"


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/agents", "/agents"),
        ("/agents/a1", "/agents/{agentId}"),
        ("/agents/a1/stop", "/agents/{agentId}/stop"),
        ("/reports/r1", "/reports/{id}"),
        ("/system/health", "/system/health"),
        ("", ""),
    ],
)
def test_paths_have_templates(path: str, template: str) -> None:
    """A path with an id is told as its template."""
    assert reading.template(path) == template
