"""One run for a whole pytest session: the engine in a thread of its own, its events kept for the items that ask."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from conformance.contract import load_contract
from conformance.engine.bundled import SHORT_TERMS, USERS, bundled_reference
from conformance.engine.events import CaseFinished, RunFinished
from conformance.engine.plan import PREFLIGHT
from conformance.engine.process import started
from conformance.engine.result import Breach, ClauseResult, Result, gather
from conformance.engine.run import Options, Run
from conformance.profile import make_target
from conformance.redact import Redactor
from conformance.report.facts import EVIDENCE, Facts
from conformance.report.terminal import Page
from conformance.rules import all_rules
from conformance.saved import SavedError, save, to_json
from conformance.target import Target, TargetError
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from conformance.contract import Clause
    from conformance.engine.events import RunEvent
    from conformance.engine.plan import Case
    from conformance.report.facts import Step

REFERENCE = "reference"
WIDTH = 100
PATIENCE = 15.0
"""Seconds given to a run that is stopped early, to clean up behind itself."""


class Breached(AssertionError):  # noqa: N818 - named for what it says, as NotRun
    """The backend breaks clauses that count; the message is the report's text."""


class NotRun(Exception):  # noqa: N818 - not an error: the case could not be judged
    """A case was not judged, or not to its end; the message says why."""


class HarnessError(Exception):
    """The tester itself failed, which says nothing about the backend."""


class Judging:
    """A run that items wait for."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._contract = load_contract()
        self._rules = all_rules()
        self.target = self._intended()
        self.redactor = Redactor(self.target.secrets)
        self._done: dict[str, CaseFinished] = {}
        self._result: Result | None = None
        self._error = ""
        self._beyond_preflight = False
        self._over = False
        self._selected: frozenset[str] = frozenset()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._run: Run | None = None

    def cases(self) -> tuple[Case, ...]:
        """What a whole run intends, preflight aside. Raises `TargetError` when nothing matches."""
        plan = self._new_run(self.target, None).plan
        if not plan.cases and not plan.left_out and self._settings.get("only"):
            raise TargetError(f"--backend-only {self._settings['only']}: no clause, rule or case of this level matches")
        return plan.cases

    def clauses_of(self, case: Case) -> list[str]:
        """The clauses that a case is meant to exercise."""
        return list(dict.fromkeys(c for rule in case.rules for c in self._rules[rule].clauses))

    def start(self, select: frozenset[str]) -> None:
        """Begins the run, once."""
        if self._thread is None:
            self._selected = select | {PREFLIGHT}
            self._thread = threading.Thread(target=self._main, args=(select,), name="conformance", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the run: lets it clean up when every case is done, stops it when not."""
        if self._thread is None:
            return
        if not self._selected <= self._done.keys() and self._loop is not None and not self._over:
            self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(PATIENCE)

    def case(self, case_id: str) -> CaseFinished:
        """A finished case, waited for. Raises `NotRun` or `HarnessError`."""
        with self._news:
            while not (self._over or self._has(case_id)):
                self._news.wait(0.5)
        self._check()
        stopped = self._result.stopped if self._result else ""
        if case_id not in self._done or (case_id == PREFLIGHT and stopped and len(self._done) == 1):
            reason = self.redactor.text(stopped or "the run ended before it")
            raise NotRun(reason if case_id == PREFLIGHT else f"not run: {reason}")
        return self._done[case_id]

    def result(self) -> Result:
        """The result, waited for. Raises `NotRun` or `HarnessError`."""
        with self._news:
            while not self._over:
                self._news.wait(0.5)
        self._check()
        if self._result is None:
            raise NotRun("the run was ended before it had a result")
        return self._result

    def document(self, event: CaseFinished) -> dict[str, Any]:
        """A case's timeline as JSON, without secrets."""
        assert event.timeline is not None  # noqa: S101 - the engine always gives one
        return to_json(
            event.timeline,
            case=event.case,
            seed=self._seed,
            target=self.target.label,
            level=self.target.level,
            redactor=self.redactor,
        )

    def verify(self, event: CaseFinished) -> None:
        """Raises what makes a case fail: `Breached`, `NotRun` or `HarnessError`."""
        broken = [event.error, *(f"rule {j.rule} broke: {j.error}" for j in event.judgements if j.error)]
        if said := self._breaches(event):
            raise Breached(said)
        if any(broken):
            raise HarnessError(self.redactor.text("harness error: " + "; ".join(filter(None, broken))))
        if (event.cut or event.unmet) and not event.findings:
            why = event.cut or "it waited in vain for " + ", ".join(event.unmet)
            raise NotRun(f"inconclusive: {self.redactor.text(why)}")

    def story(self, event: CaseFinished) -> str:
        """The end of a case's timeline, a line for each event."""
        assert event.timeline is not None  # noqa: S101 - as above
        facts = Facts(self._one(event, {}), self.redactor)
        steps = [facts.step(e) for e in event.timeline.events[-EVIDENCE:]]
        return "\n".join(f"{s.at:9.3f} s  {s.who:<14} {s.arrow} {s.what} {_carried(s, facts)}".rstrip() for s in steps)

    def verdict(self) -> tuple[bool, str]:
        """Whether the backend conforms, and the answer with what the run could not say."""
        result = self.result()
        facts = Facts(result, self.redactor)
        said = [f"{facts.word}  {facts.answer}"]
        if facts.failed:
            said.append(f"\nBroken: {', '.join(c.clause.id for c in facts.failed)}")
        said += [line.plain for line in Page(facts, WIDTH).gaps()]
        return result.verdict == "conforms", "\n".join(said)

    def answer(self) -> str:
        """The first line, when there is a result."""
        if self._result is None:
            return ""
        facts = Facts(self._result, self.redactor)
        return f"{facts.word}  {facts.answer}"

    @property
    def _seed(self) -> int:
        return int(self._settings.get("seed") or 0)

    def _breaches(self, event: CaseFinished) -> str:
        counting = [c for c in self._contract.clauses.values() if self._counts(c)]
        breaches = [b for b in gather(event.findings).values() if any(c.id in b.finding.clauses for c in counting)]
        if not breaches:
            return ""
        replay = self._saved(event)
        for breach in breaches:
            breach.replay = replay
        clauses = {c.id: mine for c in counting if (mine := [b for b in breaches if c.id in b.finding.clauses])}
        facts = Facts(self._one(event, clauses), self.redactor)
        more = f" and {len(breaches) - 1} more" if len(breaches) > 1 else ""
        head = f"{facts.line(breaches[0].finding.says)}{more} ({', '.join(clauses)})"
        return "\n".join([head, *(line.plain for line in Page(facts, WIDTH).failures())])

    def _counts(self, clause: Clause) -> bool:
        return clause.capability not in self.target.withheld and clause.counts_at(self.target.level)

    def _saved(self, event: CaseFinished) -> str:
        label = self.redactor.text(self.target.label)
        try:
            return str(save(event, seed=self._seed, target=label, level=self.target.level, redactor=self.redactor))
        except SavedError:
            return ""

    def _one(self, event: CaseFinished, breaches: Mapping[str, list[Breach]]) -> Result:
        """A result that speaks of one case only."""
        clauses = {
            i: ClauseResult(self._contract.clauses[i], "failed", (), 1, tuple(found), counts=True)
            for i, found in breaches.items()
        }
        return Result(
            verdict="violates",
            level=self.target.level,
            target=self.target,
            contract=self._contract,
            seed=self._seed,
            planned=1,
            emitted=1,
            seconds=event.seconds,
            clauses=clauses,
            finished=(event,),
        )

    def _has(self, case_id: str) -> bool:
        return case_id in self._done and (case_id != PREFLIGHT or self._beyond_preflight)

    def _check(self) -> None:
        if self._error:
            raise HarnessError(f"harness error: {self.redactor.text(self._error)}")

    def _intended(self) -> Target:
        """The target as far as it is known before the run: enough to plan by."""
        if self._settings.get("url"):
            return make_target(self._settings)
        target = make_target({**self._settings, "url": "http://127.0.0.1"})
        facts: dict[str, Any] = SHORT_TERMS if target.level == "full" else {}
        known: dict[str, Any] = {"jwt_secret": "-" * 32, "users": USERS, "tokens": (), "evidence": (REFERENCE,)}
        return replace(target, name=REFERENCE, bundled=True, **known, **facts)

    @asynccontextmanager
    async def _found(self) -> AsyncIterator[Target]:
        if not self.target.bundled:
            async with started(self.target) as target:
                yield target
            return
        async with bundled_reference(level=self.target.level) as target:
            yield target

    def _new_run(self, target: Target, select: frozenset[str] | None) -> Run:
        options = Options(
            level=target.level,
            only=self._settings.get("only") or "",
            seed=self._seed,
            max_time=float(self._settings.get("max_time") or 300),
            select=select,
        )
        return Run(target, self._rules.values(), self._contract, options)

    def _main(self, select: frozenset[str]) -> None:
        try:
            asyncio.run(self._events(select))
        except asyncio.CancelledError:
            pass
        except TargetError as error:
            self._error = str(error)
        except Exception as error:  # noqa: BLE001 - every item then says so
            self._error = f"{type(error).__name__}: {error}"
        finally:
            with self._news:
                self._over = True
                self._news.notify_all()

    async def _events(self, select: frozenset[str]) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        async with self._found() as target:
            self.target, self.redactor = target, Redactor(target.secrets)
            self._run = self._new_run(target, select)
            async for event in self._run.events():
                self._take(event)

    def _take(self, event: RunEvent) -> None:
        with self._news:
            self._beyond_preflight = self._beyond_preflight or PREFLIGHT in self._done
            match event:
                case CaseFinished():
                    self._done[event.case] = event
                case RunFinished():
                    self._result = event.result
                case _:
                    pass
            self._news.notify_all()

    def _stop(self) -> None:
        if self._run is not None:
            self._run.stop("pytest ended")
        elif self._task is not None:
            self._task.cancel()


def _carried(step: Step, facts: Facts) -> str:
    return step.text if step.body is MISSING else facts.got(step.body)
