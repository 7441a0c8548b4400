"""Shrinks a script that breaks something to the few steps that still do.

A script is plain data, so shrinking is editing: steps are taken out, what happened together is made to happen in turn,
payloads lose what is optional. Each edit is played anew; a race need not show every time, so each is given some tries.
Hypothesis' own shrinker is not used, since it takes a failure that comes and goes for a fault of the test.
"""

from __future__ import annotations

import asyncio
import copy
import time
from typing import TYPE_CHECKING, Any

from conformance.sequences.script import each_step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from conformance.sequences.draw import Script

    Fails = Callable[[Script], Awaitable[bool]]

AT_ONCE = 12
TRIES = 3
"""How often an edit is played that did not break anything, once what shows each time has been taken out."""
SECONDS = 30.0


async def shrink(
    script: Script, fails: Fails, *, seconds: float = SECONDS, tries: int = TRIES, at_once: int = AT_ONCE
) -> Script:
    """The smallest script found in time for which `fails` still says yes; the script itself where none is smaller.

    So many are tried at once: one, where they would disturb one another.
    """
    end = time.monotonic() + seconds
    smallest = script
    passes = ((edits, count) for count in (1, tries) for edits in (_without_names, *EDITS))
    for edits, count in passes:  # what shows each time needs one try, and is soon small; a race is given more then
        found: Script | None = smallest
        while found is not None and time.monotonic() < end:
            found = await _first(edits(smallest), fails, count, end, at_once)
            smallest = found or smallest
    return _without_idle_actors(smallest)


async def _first(candidates: Iterator[Script], fails: Fails, tries: int, end: float, at_once: int) -> Script | None:
    """The first candidate, in order, that fails; some are tried at the same time."""

    async def still(candidate: Script) -> bool:
        for _ in range(tries):
            if time.monotonic() > end:
                return False
            if await fails(candidate):
                return True
        return False

    batch: list[Script] = []
    for candidate in candidates:
        batch.append(candidate)
        if len(batch) == at_once:
            if (found := await _of_batch(batch, still)) is not None:
                return found
            batch = []
        if time.monotonic() > end:
            return None
    return await _of_batch(batch, still)


async def _of_batch(batch: list[Script], still: Fails) -> Script | None:
    answers = await asyncio.gather(*(still(candidate) for candidate in batch))
    return next((candidate for candidate, yes in zip(batch, answers, strict=True) if yes), None)


def _with(script: Script, steps: list[Any]) -> Script:
    return {**script, "steps": steps}


def _without_names(script: Script) -> Iterator[Script]:
    """Everything that one actor does, or that is about it or one command, taken out."""
    made = [step["makes"]["command"] for step in each_step(script) if "makes" in step]
    actors = dict.fromkeys([*(step["actor"] for step in each_step(script)), *script["agents"], *made])
    for name in actors:
        groups = [[m for m in step.get("together", [step]) if f"'{name}'" not in repr(m)] for step in script["steps"]]
        left = [group[0] if len(group) == 1 else {"together": group} for group in groups if group]
        if left and left != script["steps"]:
            yield _with(script, left)


def _without_chunks(script: Script) -> Iterator[Script]:
    """Halves, quarters … and single steps taken out, the last first: what comes late depends on what came before."""
    steps = script["steps"]
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            yield _with(script, steps[:start] + steps[start + size :])
        size //= 2


def _without_members(script: Script) -> Iterator[Script]:
    """One of those that act together taken out."""
    for at, step in enumerate(script["steps"]):
        members = step.get("together", ())
        for out in range(len(members)):
            left = [m for n, m in enumerate(members) if n != out]
            yield _with(script, _put(script, at, left if len(left) == 1 else [{"together": left}]))


def _in_turn(script: Script) -> Iterator[Script]:
    """What happened together happens one after the other."""
    for at, step in enumerate(script["steps"]):
        if "together" in step:
            yield _with(script, _put(script, at, step["together"]))


def _put(script: Script, at: int, instead: list[Any]) -> list[Any]:
    steps: list[Any] = script["steps"]
    return [*steps[:at], *instead, *steps[at + 1 :]]


def _plainer(script: Script) -> Iterator[Script]:
    """A member of a payload taken out; what the schema needs is missed at once, and the edit is then no good."""
    for number, step in enumerate(each_step(script)):
        for name in list(step.get("payload", step.get("body", {}))):
            edited = copy.deepcopy(script)
            inner = list(each_step(edited))[number]
            del inner["payload" if "payload" in inner else "body"][name]
            yield edited


EDITS = (_without_chunks, _without_members, _in_turn, _plainer)


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
