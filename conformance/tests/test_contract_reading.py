"""The contract as it is read: clauses, operations, messages, bounds, and shapes that two validators must agree on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.contract import Contract, ContractError, Disagreement, load_contract
from conformance.contract import load as loading
from conformance.contract.clauses import read_clauses
from conformance.contract.messages import read_messages
from conformance.contract.operations import read_operations
from conformance.contract.shapes import Shapes, Violation

CONTRACT = load_contract()
RESPONSE: dict[str, Any] = {"responses": {"200": {"content": {"application/json": {}}}}}
DRAFT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, Any] = {
    "a.json": {
        "$schema": DRAFT,
        "type": "object",
        "required": ["n"],
        "properties": {"n": {"$ref": "https://onsembl.ai/contracts/1.0/schemas/n.json"}, "a/b": {"type": "string"}},
        "additionalProperties": False,
    },
    "n.json": {"$schema": DRAFT, "type": "integer", "minimum": 1},
    "time.json": {"$schema": DRAFT, "type": "string", "format": "date-time"},
}


def test_the_contract_is_read_once_and_whole() -> None:
    """The contract has its version, digest, core clauses, operations and messages, and is read only once."""
    assert load_contract() is CONTRACT
    assert CONTRACT.version == "1.0"
    assert len(CONTRACT.digest) == 64
    assert CONTRACT.clauses["DIS-1"].core
    assert {"listAgents", "getAgent", "renameAgent", "deleteAgent"} <= set(CONTRACT.operations)
    status = CONTRACT.message("to-dashboard", "AGENT_STATUS")
    assert status is not None
    assert (status.side, status.type) == ("to-dashboard", "AGENT_STATUS")


def test_messages_are_found_by_side_and_type() -> None:
    """A type with a colon is found, one of another side or unknown is not."""
    assert CONTRACT.message("to-dashboard", "dashboard:connected") is not None
    assert CONTRACT.message("from-agent", "AGENT_STATUS") is None
    assert CONTRACT.message("to-agent", "LUNCH") is None


@pytest.mark.parametrize(
    ("method", "path", "under_base", "operation"),
    [
        ("GET", "/agents", True, "listAgents"),
        ("GET", "/agents/a1", True, "getAgent"),
        ("GET", "/agents/a%20b.c~d", True, "getAgent"),
        ("DELETE", "/agents/a1", True, "deleteAgent"),
        ("GET", "/agents/", True, None),
        ("GET", "/agents/a1/b/c/d", True, None),
        ("get", "/agents", True, None),
        ("GET", "/agents", False, None),
        ("GET", "/agents\n", True, None),
        ("GET", "", True, None),
    ],
)
def test_requests_name_operations(method: str, path: str, under_base: bool, operation: str | None) -> None:
    """A method and a path name one operation or none; where it is served is part of that."""
    assert CONTRACT.operation(method, path, under_base=under_base) == operation


@given(st.sampled_from(sorted(CONTRACT.operations)), st.from_regex(r"[A-Za-z0-9._~-]{9,20}", fullmatch=True))
def test_every_operation_is_named_by_its_own_path(name: str, value: str) -> None:
    """Any path that an operation's template makes names that operation again."""
    operation = CONTRACT.operations[name]
    path = operation.fill(value)
    assert CONTRACT.operation(operation.method, path, under_base=operation.under_base) == name


def test_literal_paths_come_before_parameters() -> None:
    """Where a literal path and a parameter fit, the literal one is meant, in whatever order they are written."""
    for paths in (("/x/{id}", "/x/mine"), ("/x/mine", "/x/{id}")):
        document = {"paths": {p: {"get": {"operationId": p, **RESPONSE}} for p in paths}}
        contract = replace(CONTRACT, operations=read_operations(document))
        assert contract.operation("GET", "/x/mine", under_base=True) == "/x/mine"
        assert contract.operation("GET", "/x/yours", under_base=True) == "/x/{id}"


def test_bounds_are_in_seconds() -> None:
    """The time within which a cause has its effect is given in seconds, and none is made up."""
    assert CONTRACT.within("dashboard.init", "to-dashboard.dashboard_connected") > 0
    with pytest.raises(KeyError):
        CONTRACT.within("dashboard.init", "to-agent.ACK")


def test_a_clause_counts_at_its_level() -> None:
    """A MUST of the core counts always, another MUST at full, a SHOULD never."""
    entry = {"sentence": " It is. ", "source": "plan"}
    document = {
        "clauses": {
            "A-1": {**entry, "level": "MUST", "core": True},
            "A-2": {**entry, "level": "MUST"},
            "A-3": {**entry, "level": "SHOULD", "core": True},
        }
    }
    clauses = read_clauses(document)
    assert [c.counts_at("core") for c in clauses.values()] == [True, False, False]
    assert [c.counts_at("full") for c in clauses.values()] == [True, True, False]
    assert clauses["A-1"].sentence == "It is."


def test_a_clause_out_of_form_is_named() -> None:
    """A level that does not exist is refused with the clause, a message without schema with its name."""
    with pytest.raises(ValueError, match="B-1: level 'WOULD'"):
        read_clauses({"clauses": {"B-1": {"level": "WOULD", "sentence": "x", "source": "x"}}})
    with pytest.raises(ValueError, match="'LUNCH' names no payload schema"):
        read_messages({"components": {"messages": {"to-agent.L": {"name": "LUNCH", "payload": {"allOf": [{}]}}}}})


def test_an_unreadable_contract_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Contract files that are absent or out of form give one error that names the place."""
    fresh = loading.load_contract.__wrapped__
    monkeypatch.setattr(loading, "contracts_dir", lambda: tmp_path)
    with pytest.raises(ContractError, match=str(tmp_path)):
        fresh()
    for name in ("clauses.yaml", "openapi.yaml", "asyncapi.yaml"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ContractError, match="KeyError"):
        fresh()
    (tmp_path / "clauses.yaml").write_text("{")
    with pytest.raises(ContractError, match=str(tmp_path)):
        fresh()


@pytest.mark.parametrize(
    ("value", "violations"),
    [
        ({"n": 1}, []),
        ({}, [Violation("/n", "required", "a field n", "nothing")]),
        ({"n": 0}, [Violation("/n", "minimum", "at least 1", 0)]),
        ({"n": "1"}, [Violation("/n", "type", "integer", "1")]),
        ({"n": 1, "a/b": 2}, [Violation("/a~1b", "type", "string", 2)]),
        ([], [Violation("", "type", "object", [])]),
    ],
)
def test_violations_say_where_and_what(value: Any, violations: list[Violation]) -> None:
    """A violation has the pointer, the keyword, what was wanted in words, and what was there, through references."""
    shapes = Shapes(SCHEMAS)
    assert shapes.violations("a.json", value) == violations
    assert shapes.accepts("a.json", value) == (not violations)


def test_several_violations_are_all_told() -> None:
    """Everything that is wrong with a value is told, not only the first of it."""
    found = Shapes(SCHEMAS).violations("a.json", {"a/b": 1, "more": 2})
    assert {v.keyword for v in found} == {"required", "type", "additionalProperties"}


def test_formats_are_judged() -> None:
    """A time that is none breaks its format in both validators."""
    shapes = Shapes(SCHEMAS)
    assert shapes.accepts("time.json", "2025-10-09T08:00:00Z")
    assert [v.keyword for v in shapes.violations("time.json", "yesterday")] == ["format"]


class Content:
    """A validator that finds nothing wrong, ever."""

    def iter_errors(self, _value: object) -> tuple[()]:
        return ()


def test_validators_that_disagree_judge_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one validator refuses what the other accepts, that is a disagreement and no violation."""
    shapes = Shapes(SCHEMAS)
    monkeypatch.setitem(shapes._slow, "a.json", Content())
    assert shapes.violations("a.json", {"n": 1}) == []
    with pytest.raises(Disagreement, match=r"schemas/a\.json") as caught:
        shapes.violations("a.json", {"n": 0, "more": "x" * 10_000})
    assert len(str(caught.value)) < 400


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_both_validators_agree_about_odd_payloads(value: Any) -> None:
    """Whatever stands where a status should, both validators agree about it."""
    message = CONTRACT.message("to-dashboard", "AGENT_STATUS")
    assert isinstance(CONTRACT, Contract)
    assert message is not None
    found = CONTRACT.violations(message.schema, {"agentId": "a1", "status": value, "timestamp": 1, "metrics": None})
    assert isinstance(found, list)
