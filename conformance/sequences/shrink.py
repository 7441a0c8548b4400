"""Shrinks a script that breaks something to the few steps that still do.

A script is plain data, so shrinking is editing: steps are taken out, what happened together is made to happen in turn,
payloads lose what is optional. Each edit is played anew; a race need not show every time, so each is given some tries.
Hypothesis' own shrinker is not used, since it takes a failure that comes and goes for a fault of the test.
"""

from __future__ import annotations

import asyncio
import copy
import math
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, count, islice
from typing import TYPE_CHECKING, TypeVar

from conformance.sequences.script import each_step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from conformance.sequences.draw import Script

    Fails = Callable[[Script], Awaitable[bool]]

T = TypeVar("T")

AT_ONCE = 24
"""How many plays go on at once: they wait for most of their time."""
TRIES = 3
"""How often an edit is played that did not break anything, once what shows each time has been taken out."""
FEW = 14
"""Steps of a script of which two are taken out at a time."""
MOST_TRIES = 6
MISSED = 0.05
"""How seldom what still breaks something may be taken for what does not."""
SECONDS = 30.0


def tries_for(share: float) -> int:
    """How often an edit is to be played, where the whole script shows its breach in such a share of its plays."""
    if not 0 < share < 1:
        return 1 if share else MOST_TRIES
    return min(MOST_TRIES, max(TRIES, math.ceil(math.log(MISSED) / math.log(1 - share))))


async def shrink(  # noqa: PLR0913 - the facts of a search, by name
    script: Script,
    fails: Fails,
    early: Fails | None = None,
    *,
    seconds: float = SECONDS,
    tries: int = TRIES,
    at_once: int = AT_ONCE,
) -> Script:
    """The smallest script found in time for which `fails` still says yes; the script itself where none is smaller.

    What answers sooner, though it may miss something, can be asked `early`: at first, while much is taken out.
    So many are tried at once: one, where they would disturb one another. Few steps come before plain ones, and what
    shows each time before what is given some tries: it is soon small.
    """
    end = time.monotonic() + seconds
    smallest = script
    for work, asked, often in ((_fewer, early or fails, 1), (_fewest, fails, tries), (_plainer, fails, 1)):
        smallest = await work(smallest, _Trial(asked, often, end, at_once))
    return _without_idle_actors(smallest)


@dataclass(frozen=True, slots=True)
class _Trial:
    """How edits are tried: so many at once, each so many times, until it is over."""

    fails: Fails
    tries: int
    end: float
    at_once: int
    known: set[str] = field(default_factory=set)
    """What was tried already, and did not break anything."""

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.end

    async def still(self, candidate: Script) -> bool:
        """Whether a candidate still breaks something."""
        if (text := repr(candidate)) in self.known:
            return False
        for _ in range(self.tries):
            if self.is_over:
                return False
            if await self.fails(candidate):
                return True
        self.known.add(text)
        return False

    async def good(self, edits: Iterable[T], edited: Callable[[T], Script]) -> list[T]:
        """Of the edits that are tried at the same time those whose scripts still break something; the first such."""
        left = iter(edits)
        while (batch := list(islice(left, self.at_once))) and not self.is_over:
            answers = await asyncio.gather(*(self.still(edited(edit)) for edit in batch))
            if found := [edit for edit, yes in zip(batch, answers, strict=True) if yes]:
                return found
        return []


def _none(_script: Script) -> Iterable[frozenset[int]]:
    return ()


async def _fewer(script: Script, trial: _Trial, pairs: Callable[[Script], Iterable[frozenset[int]]] = _none) -> Script:
    """Steps taken out, and what happened together made to happen in turn, until nothing more can be."""
    while not trial.is_over:
        if outs := await trial.good(_outs(script), partial(_without, script)):
            script = await _all_that_can(script, outs, _without, trial)
        elif turns := await trial.good(_in_turn(script), _itself):
            script = turns[0]
        elif out := await trial.good(pairs(script), partial(_without, script)):
            script = _without(script, out[0])
        else:
            break
    return script


async def _fewest(script: Script, trial: _Trial) -> Script:
    """The same, and two steps taken out at a time."""
    return await _fewer(script, trial, _pairs)


async def _all_that_can(
    script: Script, outs: Sequence[frozenset[T]], without: Callable[[Script, frozenset[T]], Script], trial: _Trial
) -> Script:
    """What was found to be idle one by one is mostly idle together."""
    outs = sorted(outs, key=len, reverse=True)
    while len(outs) > 1:
        smaller = without(script, frozenset().union(*outs))
        if await trial.still(smaller):
            return smaller
        outs = outs[: len(outs) // 2]
    return without(script, outs[0])


async def _plainer(script: Script, trial: _Trial) -> Script:
    """Payloads without what is optional."""
    while outs := await trial.good(_members(script), partial(_without_members, script)):
        script = await _all_that_can(script, outs, _without_members, trial)
    return script


def _itself(script: Script) -> Script:
    return script


def _outs(script: Script) -> Iterator[frozenset[int]]:
    """The numbers of steps to take out at a time.

    Everything that one actor does, or that is about it or one command; then halves, quarters … and single steps, the
    last first: what comes late depends on what came before.
    """
    steps = list(each_step(script))
    made = [step["makes"]["command"] for step in steps if "makes" in step]
    for name in dict.fromkeys([*(step["actor"] for step in steps), *script["agents"], *made]):
        out = frozenset(n for n, step in enumerate(steps) if f"'{name}'" in repr(step))
        if 0 < len(out) < len(steps):
            yield out
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            yield frozenset(range(start, start + size))
        size //= 2


def _pairs(script: Script) -> Iterator[frozenset[int]]:
    """Two steps to take out of a script of few: one may be there for the other, or both for the time they take."""
    steps = range(size(script))
    if len(steps) <= FEW:
        yield from map(frozenset, combinations(reversed(steps), 2))


def _without(script: Script, out: frozenset[int]) -> Script:
    """The script without the steps of these numbers, those that happen together each counted."""
    numbers = count()
    groups = [[m for m in step.get("together", [step]) if next(numbers) not in out] for step in script["steps"]]
    return {**script, "steps": [group[0] if len(group) == 1 else {"together": group} for group in groups if group]}


def _in_turn(script: Script) -> Iterator[Script]:
    """What happened together happens one after the other."""
    steps = script["steps"]
    for at, step in enumerate(steps):
        if "together" in step:
            yield {**script, "steps": [*steps[:at], *step["together"], *steps[at + 1 :]]}


def _members(script: Script) -> Iterator[frozenset[tuple[int, str]]]:
    """Each member of a payload: what the schema needs is missed at once, and the edit is then no good."""
    for number, step in enumerate(each_step(script)):
        yield from (frozenset({(number, name)}) for name in step.get("payload", step.get("body", {})))


def _without_members(script: Script, out: frozenset[tuple[int, str]]) -> Script:
    """The script whose steps of these numbers do not say these members."""
    edited = copy.deepcopy(script)
    steps = list(each_step(edited))
    for number, name in out:
        del steps[number]["payload" if "payload" in steps[number] else "body"][name]
    return edited


def _without_idle_actors(script: Script) -> Script:
    text = repr(script["steps"])
    return {
        **script,
        **{
            role: {name: user for name, user in script[role].items() if f"'{name}'" in text}
            for role in ("agents", "dashboards")
        },
    }


def size(script: Script) -> int:
    """How many steps a script has, those that happen together each counted."""
    return sum(1 for _ in each_step(script))
