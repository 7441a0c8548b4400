"""What becomes of a generated case in which something broke: it is told as the smallest that still breaks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from conformance.engine.result import signature
from conformance.sequences.cases import provocation_of
from conformance.sequences.script import extent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from conformance.judge import Judgement
    from conformance.rule import Finding, Provocation
    from conformance.timeline import Timeline

MOST = 5
"""Breaches that are shrunk in one run: a broken backend breaks the same thing in many ways."""
LOOKS = 12
"""How often at most a breach is looked for, by many plays each time, before it is told as it was seen."""


@dataclass(frozen=True, slots=True)
class Played:
    """A script as it was played and judged once."""

    script: Mapping[str, Any]
    timeline: Timeline
    judgements: tuple[Judgement, ...]

    @property
    def findings(self) -> Iterable[Finding]:
        """All findings of it."""
        return (finding for judgement in self.judgements for finding in judgement.findings)


class Player(Protocol):
    """Plays a script, as a case of this id, and judges it; patiently, or with an early end (`sequences.play`)."""

    async def __call__(self, script: Mapping[str, Any], name: str, /, *, patient: bool) -> Played:
        """Play it once."""


@dataclass(slots=True)
class Shrinker:
    """Shrinks the first case of each breach of a run; the others are told as they are."""

    play: Player
    counts: Callable[[Finding], bool]
    """Whether a finding is worth it: one on which the verdict hangs."""
    bears_company: Callable[[Provocation], bool]
    """Whether more than one play of a case may go on at the same time."""
    most: int = MOST
    done: set[tuple[Any, ...]] = field(default_factory=set)
    begun: int = 0
    """How many cases have been shrunk."""

    async def smallest(self, first: Played, seconds: float) -> Played:
        """The smallest play that still shows one of the breaches that no case before showed; else the play itself.

        A race need not show at once: it is looked for again and again, for half of the time. Of what bears no company,
        one edit after the other is tried. What shows in every play that ends early is shrunk by such plays at first,
        which take a third of the time.
        """
        fresh = {signature(f) for f in first.findings if self.counts(f)} - self.done
        if not fresh or self.begun >= self.most or seconds <= 0:
            return first
        self.done |= fresh
        self.begun += 1
        best = first

        async def fails(script: Mapping[str, Any], *, patient: bool) -> bool:
            nonlocal best
            played = await self.play(script, first.timeline.case, patient=patient)
            found = any(signature(f) in fresh for f in played.findings)
            if found and extent(script) < extent(best.script):
                best = played
            return found

        from conformance.sequences.shrink import AT_ONCE, TRIES, shrink, tries_for  # noqa: PLC0415 - seldom needed

        at_once = AT_ONCE if self.bears_company(provocation_of(first.script, "")) else 1
        begun = time.monotonic()
        end, enough = begun + seconds, begun + seconds / 2
        for looked in range(LOOKS):
            if looked >= TRIES and time.monotonic() > enough:
                break
            shown = await asyncio.gather(*(fails(first.script, patient=n % 2 == 0) for n in range(at_once)))
            if any(shown):
                patiently = shown[::2]
                left, tries = end - time.monotonic(), tries_for(sum(patiently) / len(patiently))
                patient, early = (partial(fails, patient=yes) for yes in (True, at_once == 1 or not all(shown)))
                await shrink(dict(first.script), patient, early, seconds=left, tries=tries, at_once=at_once)
                break
        return best  # what does not show again is told as it was seen
