"""Some order explains what was seen, or none does."""

from __future__ import annotations

import pytest

from conformance.explain import Act, TooLargeError, maybe, unexplained
from conformance.timeline import Note


def write(value: str, start: float, end: float) -> Act:
    return Act(start, end, lambda _state: [value], Note(0, start, f"write {value}"))


def read(value: str, start: float, end: float) -> Act:
    return Act(start, end, lambda state: [state] if state == value else [], Note(0, start, f"read {value}"))


def test_acts_at_the_same_time_may_have_happened_in_either_order() -> None:
    """Two writes overlap: a later read may show the one or the other."""
    for value in ("a", "b"):
        assert unexplained([write("a", 0, 2), write("b", 1, 3), read(value, 4, 5)], "") is None


def test_acts_that_follow_each_other_keep_their_order() -> None:
    """A read after both writes that shows the first one is explained by no order, and is named."""
    late = read("a", 4, 5)
    assert unexplained([write("a", 0, 1), write("b", 2, 3), late, read("a", 6, 7)], "") is late


def test_an_act_of_unknown_effect_explains_either() -> None:
    """A write without an answer may have taken effect, or not."""
    lost = Act(0, 9, maybe(lambda _state: ["a"]), Note(0, 0, "write a"))
    for value in ("", "a"):
        assert unexplained([lost, read(value, 4, 5)], "") is None
    assert unexplained([lost, read("a", 4, 5), read("", 6, 7)], "") is not None


def test_a_search_that_is_too_large_explains_nothing() -> None:
    """Too many acts at the same time raise; that is never taken for an explanation."""
    acts = [write(str(n), 0, 1) for n in range(24)]
    with pytest.raises(TooLargeError):
        unexplained([*acts, read("none of them", 2, 3)], "")
