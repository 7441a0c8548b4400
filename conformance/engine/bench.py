"""Where timelines are judged while the run goes on: beside it, few at a time, within bounds."""

from __future__ import annotations

import asyncio
import math
import os
import time
from typing import TYPE_CHECKING

from conformance.engine.judging_process import JudgingProcess, NobodyError
from conformance.judge import judge_all
from conformance.reached import reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.contract import Contract
    from conformance.judge import Judgement
    from conformance.rule import Rule
    from conformance.timeline import Timeline

JUDGING = 20.0
"""Seconds that judging one case may take."""
GRACE = 2.0
"""Seconds for what is still to be judged when a run is ended."""
LATE = "judging it took too long"
MOST = 4
"""Processes that judge at once: as many as there are processors, but each has the whole tester as it was."""


class Bench:
    """Judges for one run: in processes of its own where there can be any, else in a thread.

    They give way to the one that talks to the backend, and have the machine once nothing is played any more.
    """

    def __init__(self, rules: Mapping[str, Rule], contract: Contract) -> None:
        self._rules = rules
        self._contract = contract
        self._turns = asyncio.Semaphore(min(MOST, os.cpu_count() or 1))
        self._until = math.inf
        self._processes: list[JudgingProcess] = []
        self._idle: list[JudgingProcess] = []
        self._is_alone = False
        """Whether there are no processes, and will be none."""

    def hurry(self) -> None:
        """The run is to end: what is left to judge has only a little time."""
        self._until = min(self._until, time.monotonic() + GRACE)
        for process in self._processes:
            process.hurry(self._until)

    def close(self) -> None:
        """Nothing more is judged."""
        self._is_alone = True
        self._idle.clear()
        while self._processes:
            self._processes.pop().end()

    async def judged(
        self, timeline: Timeline, rules: Iterable[str], *, here: bool = False
    ) -> tuple[tuple[Judgement, ...], str, bool]:
        """What these rules say; why they did not come to an end, if so; whether the run was ended meanwhile.

        What is very long, and judged by few, is judged `here` in less time than it takes to hand it over.
        """
        clock = time.monotonic
        end = math.inf
        names = tuple(rules)

        async def in_turn() -> tuple[list[Judgement], bool]:
            nonlocal end
            async with self._turns:
                end = clock() + JUDGING
                if not here and (process := self._free()) is not None:
                    try:
                        found = await asyncio.to_thread(process.judged, timeline, names, end)
                    except NobodyError:
                        self.close()
                    else:
                        self._idle.append(process)
                        return found
                return await asyncio.to_thread(self._here, timeline, names, end)

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
            self.close()
            return (), LATE, interrupted
        found, is_over = judging.result()
        return tuple(found), LATE if is_over else "", interrupted

    def _free(self) -> JudgingProcess | None:
        """One that has nothing to judge; None if there can be none."""
        if self._idle:
            return self._idle.pop()
        if not self._is_alone:
            try:
                self._processes.append(JudgingProcess(self._rules, self._contract))
            except NobodyError:
                self._is_alone = True
            else:
                self._processes[-1].hurry(self._until)
                return self._processes[-1]
        return None

    def _here(self, timeline: Timeline, names: Iterable[str], end: float) -> tuple[list[Judgement], bool]:
        def is_over() -> bool:
            return time.monotonic() > min(end, self._until)

        found = judge_all([self._rules[name] for name in names], timeline, is_over)
        if not is_over():
            reached(timeline)  # remembered, so that the end of the run need not wait for it
        return found, is_over()
