"""Runs a plan against a target: preflight, then many cases at once, then those that need a user to themselves."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.engine.bench import Bench
from conformance.engine.clean_up import clean_up
from conformance.engine.conclude import Ledger, conclude
from conformance.engine.events import CaseFinished, CaseStarted, PlanMade, RunEvent, RunFinished
from conformance.engine.groups import Groups
from conformance.engine.offers import offers_of
from conformance.engine.plan import PREFLIGHT, Case, Plan, make_plan
from conformance.engine.playing import play
from conformance.engine.preflight import preflight
from conformance.engine.second_look import LOOKS, SecondLook, looked_at, undecided
from conformance.engine.shrinking import MOST, Played, Player, Shrinker
from conformance.rule import Provocation
from conformance.sequences.cases import provocation_of
from conformance.timeline import Note
from conformance.world.credentials import Keyring
from conformance.world.rest import open_session
from conformance.world.site import Site
from conformance.world.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    from conformance.contract import Contract
    from conformance.engine.playing import Play
    from conformance.judge import Judgement
    from conformance.rule import Finding, Rule
    from conformance.target import Target

AT_ONCE = 16
SHRINKING = 40.0
"""Seconds that shrinking one failure may take."""
TELLING = 8.0
"""Seconds at the end of a run in which nothing is shrunk any more: one more play may take that long."""
AGAIN = 500_000
"""The numbers of worlds in which a case is played a second time begin here: their agents are like nobody else's."""
SHRUNK = 1_000_000
"""The numbers of worlds that play what is being shrunk begin here: their agents are like nobody else's."""
UNJUDGED = 64
"""So many cases that were played may wait to be judged while others are played."""
RECOVERY = 5.0
"""Seconds that a backend is given after heavy load before what came late is looked at again."""
RESERVE = 30.0
"""Seconds at the end of a run in which nothing is begun that is played only if there is time."""
TICK = 0.05
PAUSE = 0.1
TURN = 0.0005
"""Seconds after which a thread that judges gives way to the one that talks to the backend: Python's own are ten times
as many, which that one would wait at each of its system calls."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks of a run."""

    level: str = "core"
    only: str = ""
    seed: int = 0
    max_time: float = 300.0
    at_once: int = AT_ONCE
    select: frozenset[str] | None = None
    """The ids of the cases that are wanted, where not all are."""
    fail_fast: bool = False
    """Whether the first failure ends the run, once it is shrunk."""
    fail_under: float = 0.0
    """The percentage of each kind of coverage below which a run is incomplete."""
    generated: tuple[Provocation, ...] = ()
    """Provocations that belong to no rule: drawn, enumerated, or kept in a corpus."""
    beside: frozenset[str] = frozenset()
    """Clauses whose rules are planned as well, whatever the level."""
    chosen: str = ""
    """By what the cases were chosen, in a sentence, where not all are meant to run."""


class Run:
    """One run. `events()` yields what happens; `stop()` ends it early with a result of what was done."""

    def __init__(self, target: Target, rules: Iterable[Rule], contract: Contract, options: Options) -> None:
        self._target = replace(target, level=options.level)  # type: ignore[arg-type]
        self._rules = {r.id: r for r in rules}
        self._contract = contract
        self._options = options
        self._events: asyncio.Queue[RunEvent | None] = asyncio.Queue()
        self._worlds: set[World] = set()
        self._stopped = ""
        self._bench = Bench(self._rules, contract)
        self._task: asyncio.Task[None] | None = None
        self._keyring = Keyring(self._target)
        self._groups = Groups(self._keyring.groups, bundled=target.bundled)
        self._shrinker: Shrinker | None = None
        self._beside: asyncio.TaskGroup | None = None
        """What goes on beside the cases that are played."""
        self._judging: set[asyncio.Task[None]] = set()
        """What was played and is still to be judged and told."""
        self._running: set[int] = set()
        self._accompanied: set[int] = set()
        self._second_look = SecondLook(self._rules)
        self._doubtful: list[tuple[int, Case, CaseFinished]] = []
        self._again = itertools.count(AGAIN)
        self._nobody = asyncio.Event()
        """Set while no case is played."""
        self._open = asyncio.Event()
        self._open.set()
        self._last = 0
        """The number of the case that is played last, if that is sure."""
        self._enough = False
        """Whether no more cases are to be begun."""
        self._until = 0.0
        """When the run is over, whatever is left."""
        self._spare_until = 0.0
        """When the last case is begun that is played only if there is time."""

    @property
    def plan(self) -> Plan:
        """What it intends."""
        return make_plan(
            self._rules.values(),
            self._contract,
            self._target,
            level=self._options.level,
            offers=offers_of(self._target, self._keyring, self._contract, self._options.max_time),
            only=self._options.only,
            select=self._options.select,
            generated=self._options.generated,
            beside=self._options.beside,
        )

    def stop(self, why: str = "interrupted") -> None:
        """Ends the run as soon as possible; what was done is judged and reported."""
        self._stopped = self._stopped or why
        if self._task is not None:
            self._task.cancel()

    async def events(self) -> AsyncIterator[RunEvent]:
        """Everything that happens, the result last."""
        started = time.monotonic()
        self._until = started + self._options.max_time
        self._spare_until = self._until - min(RESERVE, self._options.max_time / 4)
        plan = self.plan
        ledger = Ledger(self._rules)
        yield PlanMade(plan)
        self._task = asyncio.create_task(self._guarded(plan))
        while (event := await self._events.get()) is not None:
            if isinstance(event, CaseFinished):
                ledger.take(event)
            yield event
        yield RunFinished(
            conclude(
                ledger,
                plan,
                contract=self._contract,
                target=self._target,
                level=self._options.level,
                seed=self._options.seed,
                seconds=time.monotonic() - started,
                stopped=self._stopped,
                fail_under=self._options.fail_under,
                chosen=self._options.chosen,
            )
        )

    async def _guarded(self, plan: Plan) -> None:
        watch = asyncio.create_task(self._watch_lag())
        before = sys.getswitchinterval()
        sys.setswitchinterval(TURN)
        try:
            async with asyncio.timeout(self._options.max_time):
                await self._all(plan)
        except TimeoutError:
            self._stopped = f"--max-time {self._options.max_time:g} s was over"
        except asyncio.CancelledError:
            self._stopped = self._stopped or "interrupted"
        finally:
            watch.cancel()
            sys.setswitchinterval(before)
            self._bench.close()
            for _, _, first in self._doubtful:
                self._events.put_nowait(undecided(first, self._second_look.doubts(first)))
            self._events.put_nowait(None)

    async def _all(self, plan: Plan) -> None:
        async with open_session() as session:
            site = Site(
                self._target,
                self._contract,
                self._keyring,
                session,
                run_id=format(int(time.time() * 1000) % 36**6, "x"),
            )
            first = Case(PREFLIGHT, Provocation(preflight, budget=45.0), ())
            await self._case(site, first, 0)
            if self._stopped:
                return
            try:
                await self._side_by_side(site, plan)
            finally:
                with suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        await clean_up(site)

    async def _side_by_side(self, site: Site, plan: Plan) -> None:
        most = 1 if self._options.fail_fast else MOST
        self._shrinker = Shrinker(self._player(site), self._counts, self._groups.bears_company, most)

        async def work(waiting: Iterator[tuple[int, Case]]) -> None:
            for number, case in waiting:
                await self._open.wait()
                if self._enough or (case.provocation.spare and time.monotonic() > self._spare_until):
                    return
                await self._case(site, case, number)
                if self._options.fail_fast and self._doubtful:
                    await self._aside(site)

        numbered = list(enumerate(plan.cases, 1))
        patient = [] if self._options.fail_fast else self._groups.waits(numbered)
        was_heavy = False
        async with asyncio.TaskGroup() as beside:
            self._beside = beside
            for number, case in patient:
                beside.create_task(self._case(site, case, number))
            for cases, at_once in self._groups.phases([n for n in numbered if n not in patient], self._options.at_once):
                was_heavy = any(case.provocation.heavy for _, case in cases)
                if not was_heavy or self._options.generated:  # what is heavy leaves time to judge, but none to shrink
                    await self._all_judged()
                    await self._look_again(site)
                if was_heavy:
                    self._last = cases[-1][0]
                waiting = iter(cases)
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(at_once, len(cases))):
                        workers.create_task(work(waiting))
        if was_heavy and self._doubtful:
            await asyncio.sleep(RECOVERY)
        await self._look_again(site)
        if self._enough:
            self._stopped = "--fail-fast: the first failure was to end it"

    async def _case(self, site: Site, case: Case, number: int) -> None:
        """Plays a case; what it says is told once it is judged, and others are played meanwhile."""
        self._events.put_nowait(CaseStarted(case.id))
        self._running.add(number)
        self._nobody.clear()
        if len(self._running) > 1:
            self._accompanied |= self._running
        played = await self._played(site, case, number)
        self._running.discard(number)
        if not self._running:
            self._nobody.set()
        telling = self._judged_and_told(number, played)
        if self._beside is None or self._options.fail_fast or played.was_cancelled or len(self._judging) >= UNJUDGED:
            await telling
            return
        task = self._beside.create_task(telling)
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)

    async def _judged_and_told(self, number: int, played: Play) -> None:
        """Tells what a case says, or leaves that to a second look."""
        finished, cancelled = await self._judged(played)
        if cancelled:
            self._events.put_nowait(finished)
            raise asyncio.CancelledError
        look = self._second_look
        if number in self._accompanied and not self._stopped and (look.doubts(finished) or look.stalled(finished)):
            self._doubtful.append((number, played.case, finished))
        else:
            await self._tell(finished)

    async def _all_judged(self) -> None:
        while self._judging:
            await asyncio.wait(self._judging)

    async def _aside(self, site: Site) -> None:
        """Looks again at once, for it may be the failure that ends the run: the others wait meanwhile."""
        if not self._open.is_set():
            return
        self._open.clear()
        try:
            await self._nobody.wait()
            await self._look_again(site)
        finally:
            self._open.set()

    async def _look_again(self, site: Site) -> None:
        """Plays what may have come late through load alone a second time, one case after the other."""
        while self._doubtful and not self._enough:
            _, case, told = self._doubtful[0]
            doubts = self._second_look.doubts(told)
            if doubts or self._second_look.stalled(told):
                second, cancelled = await self._played_again(site, case, doubts)
                if cancelled:
                    raise asyncio.CancelledError
                told = self._second_look.merge(told, second, doubts, case.rules)
            del self._doubtful[0]
            await self._tell(told)

    async def _played_again(self, site: Site, case: Case, doubts: frozenset[str]) -> tuple[CaseFinished, bool]:
        """A case once more; a generated one some times, for a race need not show at once."""
        times = LOOKS if case.provocation.document is not None else 1
        at_once = times if self._groups.bears_company(case.provocation) else 1
        return await looked_at(lambda: self._played_and_judged(site, case, next(self._again)), times, at_once, doubts)

    async def _tell(self, finished: CaseFinished) -> None:
        """Tells what a case says; of a generated one in which something broke, of the smallest that still breaks."""
        self._enough |= self._options.fail_fast and any(self._counts(f) for f in finished.findings)
        script, timeline = finished.script, finished.timeline
        whole = not (self._stopped or finished.cut or finished.error)
        if whole and script is not None and timeline is not None and self._shrinker is not None:
            seconds = min(SHRINKING, self._until - TELLING - time.monotonic())
            try:
                best = await self._shrinker.smallest(Played(script, timeline, finished.judgements), seconds)
            except asyncio.CancelledError:
                self._events.put_nowait(finished)  # as it was seen: better long than not at all
                raise
            finished = replace(finished, script=best.script, timeline=best.timeline, judgements=best.judgements)
        self._events.put_nowait(finished)

    async def _played_and_judged(self, site: Site, case: Case, number: int) -> tuple[CaseFinished, bool]:
        """A case as it was played and judged once, and whether the run was ended meanwhile."""
        return await self._judged(await self._played(site, case, number))

    async def _played(self, site: Site, case: Case, number: int) -> Play:
        async with self._groups.lent(case.provocation) as users:
            heavy = case.provocation.heavy
            world = World(site, case.id, number=number, seed=self._options.seed, heavy=heavy, users=users)
            self._worlds.add(world)
            try:
                played = await play(world, case, is_last=number == self._last and self._target.bundled)
            finally:
                self._worlds.discard(world)
        self._stopped = self._stopped or played.stop
        if played.was_cancelled:
            self._bench.hurry()
        return played

    async def _judged(self, played: Play) -> tuple[CaseFinished, bool]:
        """What a play says, and whether the run was ended meanwhile."""
        case, timeline, heavy = played.case, played.timeline, played.case.provocation.heavy
        judgements: tuple[Judgement, ...] = ()
        cut, interrupted = played.cut, False
        if played.was_cancelled:
            cut = self._stopped or "interrupted"
        if not played.stop:
            rules = case.rules if heavy else self._rules
            judgements, unfinished, interrupted = await self._bench.judged(timeline, rules, here=heavy)
            cut = cut or unfinished
        unmet = tuple(f"{n.data['waited_for']} on {n.data['connection']}" for n in timeline.notes if n.kind == "unmet")
        finished = CaseFinished(
            case.id,
            played.seconds,
            judgements,
            timeline,
            unmet,
            cut,
            played.error,
            None if case.provocation.document is None else dict(case.provocation.document),
        )
        return finished, played.was_cancelled or interrupted

    def _player(self, site: Site) -> Player:
        """Plays a script in a world of its own, and judges it."""
        numbers = itertools.count(SHRUNK)

        async def played(script: Mapping[str, Any], name: str, *, patient: bool) -> Played:
            case = Case(name, provocation_of(script, name, patient=patient), ())
            finished, cancelled = await self._played_and_judged(site, case, next(numbers))
            if cancelled:
                raise asyncio.CancelledError
            assert finished.timeline is not None  # noqa: S101 - it was played
            return Played(script, finished.timeline, finished.judgements)

        return played

    def _counts(self, finding: Finding) -> bool:
        return any(self._contract.clauses[clause].counts_at(self._options.level) for clause in finding.clauses)

    async def _watch_lag(self) -> None:
        """Notes on every open timeline when the tester itself paused, so that no backend answers for it."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            over = time.monotonic() - before - TICK
            if over > PAUSE:
                for world in self._worlds:
                    world.recorder.add(Note, kind="lag", data={"seconds": over})
