"""Whether some order of what happened explains what was seen (linearizability; Wing and Gong 1993, with a memory).

Each act has an interval in which it took effect, from when it was asked for until its answer came, and says from which
states to which it leads. Acts whose intervals overlap may have happened in either order; others only in theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.timeline import Event

State = Hashable
Step = Callable[[State], Iterable[State]]
LARGEST = 50_000
"""Situations looked at before the search is given up: far more than any script of ours can make."""


class TooLargeError(Exception):
    """There were too many orders to try: nothing is known, which is never the same as an explanation."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that took effect at one moment of an interval (seconds on the timeline's clock)."""

    start: float
    end: float
    step: Step
    """The states that it may lead to from a state; none where it is impossible there."""
    event: Event


def maybe(step: Step) -> Step:
    """The step of an act of which nobody knows whether it took effect."""
    return lambda state: {state, *step(state)}


def unexplained(acts: Sequence[Act], initial: State) -> Act | None:
    """The act up to which no order explains what was seen, in the order of their ends; None when all is explained.

    Raises `TooLargeError`.
    """
    ordered = sorted(acts, key=lambda act: act.end)
    if _is_explained(ordered, initial):
        return None
    low, high = 0, len(ordered)  # the first prefix without an explanation, by halving: a longer one has none either
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_explained(ordered[:middle], initial) else (low, middle)
    return ordered[high - 1]


def _is_explained(acts: Sequence[Act], initial: State) -> bool:
    """Whether acts, in the order of their ends, are explained."""
    first = list(accumulate(reversed([act.start for act in acts]), min))[::-1]
    """The earliest start among an act and all that end after it."""
    seen: set[tuple[int, State]] = set()

    def after(left: int, state: State) -> Iterator[tuple[int, State]]:
        n = (left & -left).bit_length() - 1
        horizon = acts[n].end
        while n < len(acts) and first[n] <= horizon:
            if left >> n & 1 and acts[n].start <= horizon:
                yield from ((left & ~(1 << n), then) for then in acts[n].step(state))
            n += 1

    waiting = [iter([((1 << len(acts)) - 1, initial)])]
    while waiting:
        if (found := next(waiting[-1], None)) is None:
            waiting.pop()
        elif not found[0]:
            return True
        elif found not in seen:
            seen.add(found)
            if len(seen) > LARGEST:
                raise TooLargeError(f"more than {LARGEST} orders of {len(acts)} acts")
            waiting.append(after(*found))
    return False
