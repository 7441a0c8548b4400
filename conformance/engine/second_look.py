"""What came too late while many cases ran at once: the suite's own load, or a breach? A second look, alone, tells.

Whether findings are about time is asked of the rules themselves: they are, if they are gone once the same timeline is
judged with patience. Then the case is played again with the backend to itself (a drawn one some
times at once: a race need not show each time), and what it says then is what is told.
A finding that is not about time stands as it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conformance.judge import judge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from conformance.engine.events import CaseFinished
    from conformance.judge import Judgement
    from conformance.rule import Rule

PATIENCE = 30.0
"""Seconds of slack under which nothing is late that came at all, or that was not waited for so long."""
LOOKS = 3
"""How often a generated case is played again before it is believed that it only came late."""


@dataclass(slots=True)
class SecondLook:
    """Knows which cases of a run are to be played again, and puts both plays together."""

    rules: Mapping[str, Rule]
    confirmed: set[str] = field(default_factory=set)
    """Rules that were broken without company too: for these nobody looks again."""

    def doubts(self, first: CaseFinished) -> frozenset[str]:
        """The rules whose findings may come from load alone, in a case that had company."""
        if first.timeline is None or first.error:
            return frozenset()
        patient = first.timeline.with_terms(slack=PATIENCE)
        return frozenset(
            j.rule
            for j in first.judgements
            if j.rule not in self.confirmed and j.findings and not judge(self.rules[j.rule], patient).findings
        )

    def stalled(self, first: CaseFinished) -> bool:
        """Whether it waited in vain, ran out of time or could not tell, with nothing found that explains it."""
        unclear = first.unmet or first.cut or any(j.undecided for j in first.judgements)
        return not first.findings and not first.error and bool(unclear)

    def merge(
        self, first: CaseFinished, second: CaseFinished, doubts: frozenset[str], own: Collection[str] = ()
    ) -> CaseFinished:
        """What is told of a case that was played twice; `own` are the rules that it was made for.

        A rule that has no occasion in the second play of its own case said nothing there, and what it found in the
        first stands. In a case made for others it had its occasion by load alone, for that made the case longer.
        """
        again = {f.rule for f in second.findings}
        self.confirmed |= again
        silent = set(own) - {j.rule for j in second.judgements if not j.error}
        gone = doubts - again - silent
        if all(f.rule in gone | again for f in first.findings):
            return replace(second, late=_said(first, gone))
        kept = tuple(_without(j) if j.rule in gone else j for j in first.judgements)
        return replace(first, judgements=kept, late=_said(first, gone))


async def looked_at(
    play: Callable[[], Awaitable[tuple[CaseFinished, bool]]], times: int, at_once: int, doubts: frozenset[str]
) -> tuple[CaseFinished, bool]:
    """Plays a case so many times, some at once, until something is found or the run is ended: what shows it."""
    while True:
        found = await asyncio.gather(*(play() for _ in range(at_once)))
        shown = max(found, key=lambda one: (one[1], any(f.rule in doubts for f in one[0].findings)))
        times -= at_once
        if times <= 0 or shown[0].findings or shown[1]:
            return shown


def undecided(first: CaseFinished, doubts: frozenset[str]) -> CaseFinished:
    """What is told of a case for whose second play no time was left."""
    says = "it came too late while other cases ran, and no time was left to look again"
    judgements = tuple(replace(_without(j), undecided=says) if j.rule in doubts else j for j in first.judgements)
    return replace(first, judgements=judgements)


def _without(judgement: Judgement) -> Judgement:
    return replace(judgement, findings=())


def _said(first: CaseFinished, gone: frozenset[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f.says for f in first.findings if f.rule in gone))
