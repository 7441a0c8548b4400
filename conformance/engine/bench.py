"""Where timelines are judged while the run goes on: in a thread, one after the other, within bounds."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from conformance.judge import judge_all
from conformance.reached import reached

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.judge import Judgement
    from conformance.rule import Rule
    from conformance.timeline import Timeline

JUDGING = 20.0
"""Seconds that judging one case may take."""
GRACE = 2.0
"""Seconds for what is still to be judged when a run is ended."""
LATE = "judging it took too long"


class Bench:
    """Judges for one run; several threads would only keep the one that talks to the backend from its turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._until = math.inf

    def hurry(self) -> None:
        """The run is to end: what is left to judge has only a little time."""
        self._until = min(self._until, time.monotonic() + GRACE)

    async def judged(self, timeline: Timeline, rules: Iterable[Rule]) -> tuple[tuple[Judgement, ...], str, bool]:
        """What the rules say; why they did not come to an end, if so; whether the run was ended meanwhile."""
        clock = time.monotonic
        end = math.inf

        def is_over() -> bool:
            return clock() > min(end, self._until)

        def work() -> list[Judgement]:
            found = judge_all(rules, timeline, is_over)
            if not is_over():
                reached(timeline)  # remembered, so that the end of the run need not wait for it
            return found

        async def in_turn() -> list[Judgement]:
            nonlocal end
            async with self._turn:
                end = clock() + JUDGING
                return await asyncio.to_thread(work)

        judging = asyncio.create_task(in_turn())
        interrupted = False
        while not judging.done() and clock() < min(end, self._until) + GRACE:
            try:
                await asyncio.wait({judging}, timeout=min(min(end, self._until) + GRACE - clock(), GRACE))
            except asyncio.CancelledError:
                interrupted = True
                self.hurry()
        if not judging.done():
            judging.cancel()  # the next may begin
            return (), LATE, interrupted
        return tuple(judging.result()), LATE if is_over() else "", interrupted
