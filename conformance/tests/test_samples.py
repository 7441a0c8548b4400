"""Values made from schemas are right where they should be, and wrong in one keyword where not."""

from __future__ import annotations

import pytest

from conformance.contract import load_contract

CONTRACT = load_contract()
BODIES = [o.body for o in CONTRACT.operations.values() if o.body]
ANSWERS = [name for o in CONTRACT.operations.values() for name in o.answers.values() if name]


@pytest.mark.parametrize("name", BODIES + ANSWERS)
def test_a_made_value_keeps_its_schema(name: str) -> None:
    """The value made from a schema of the contract is accepted by it, and carries the mark."""
    value = CONTRACT.samples.right(name, "cf.1.2.3")
    assert CONTRACT.violations(name, value) == []


@pytest.mark.parametrize("name", BODIES)
def test_neighbours_are_right(name: str) -> None:
    """Right neighbours are accepted; some part of each differs from the value."""
    value = CONTRACT.samples.right(name)
    for neighbour in CONTRACT.samples.neighbours(name, value):
        assert CONTRACT.violations(name, neighbour) == []
        assert neighbour != value


@pytest.mark.parametrize("name", BODIES)
def test_faults_are_wrong_where_they_say(name: str) -> None:
    """Both validators refuse each fault, at its pointer, at what holds it or as a whole; there are some."""
    faults = list(CONTRACT.samples.faults(name, CONTRACT.samples.right(name)))
    assert faults
    for fault in faults:
        pointers = [v.pointer for v in CONTRACT.violations(name, fault.value)]
        assert any(fault.pointer.startswith(p) or p.startswith(fault.pointer) for p in pointers)


def test_every_keyword_of_a_preset_is_broken() -> None:
    """Type, enumeration, lengths and presence are each broken for a preset."""
    name = CONTRACT.operations["createPreset"].body
    broken = {(f.pointer, f.keyword) for f in CONTRACT.samples.faults(name, CONTRACT.samples.right(name))}
    assert {("/name", "minLength"), ("/name", "maxLength"), ("/type", "enum"), ("/variables/0/name", "type")} <= broken
    assert ("/targetAgentTypes/0", "enum") in broken


def test_texts_carry_the_mark() -> None:
    """The mark stands in the texts, so that what was made of them is found again."""
    made = CONTRACT.samples.right(CONTRACT.operations["createPreset"].body, "cf.1.2.3")
    assert made["name"].startswith("cf.1.2.3")
    assert made["content"].startswith("cf.1.2.3")
