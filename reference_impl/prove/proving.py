"""Proving: the clean reference and every defect, some at a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reference_impl.prove.judging import Candidate, Clean, Finding, Report, green, judge, judge_clean
from reference_impl.prove.running import Hurried, Patient, TroubleError, hurried, patient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class Proof:
    """All that was found, as far as it went."""

    wanted: int
    findings: list[Finding] = field(default_factory=list)
    clean: Clean | None = None
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def found(self) -> int:
        """How many defects were found."""
        return sum(finding.found for finding in self.findings)

    @property
    def holds(self) -> bool:
        """Whether every defect was found, and the clean server is clean."""
        return self.found == self.wanted > 0 and self.clean is not None and not self.clean.faults


class Prover:
    """Runs the suite against many servers.

    A defect is judged by all clauses of the core, then by those it names and that are green so
    far; with `every_clause` by all there are. What is green even then is tried once more by a run
    that takes its time, against a server with short time-outs. That one mostly waits, so it takes
    no place from the others.
    """

    def __init__(
        self,
        jobs: int,
        tell: Callable[[str], None],
        *,
        every_clause: bool = False,
        hurried: Hurried = hurried,
        patient: Patient = patient,
    ) -> None:
        self._places = asyncio.Semaphore(jobs)
        self._waiting_places = asyncio.Semaphore(2 * jobs)
        self._tell = tell
        self._every_clause = every_clause
        self._hurried = hurried
        self._patient = patient
        self._slow: frozenset[str] = frozenset()
        """The clauses that the first run against the clean server did not try in full."""

    async def prove(self, candidates: Sequence[Candidate]) -> Proof:
        """Do all of it; cancelled, it ends what it started and gives what it has."""
        proof, begun = Proof(len(candidates)), time.monotonic()
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._start_clean(proof, candidates, tasks)
            order = sorted(candidates, key=lambda one: self._slow.isdisjoint(one.clauses))
            tasks += [asyncio.create_task(self._one(candidate, proof)) for candidate in order]
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            proof.interrupted = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        proof.findings.sort(key=lambda finding: finding.candidate.name)
        proof.seconds = time.monotonic() - begun
        return proof

    async def _start_clean(
        self, proof: Proof, candidates: Sequence[Candidate], tasks: list[asyncio.Task[None]]
    ) -> None:
        """Judge the clean server; learns which clauses take patience, and goes on with those that are named."""
        named = {clause for candidate in candidates for clause in candidate.clauses}
        try:
            core, full = await asyncio.gather(self._hurried_clean("core"), self._hurried_clean("full"))
        except TroubleError as error:
            proof.clean = Clean((str(error),), frozenset())
            self._tell(f"clean    {error}")
            return
        self._slow = full.untried
        slow = full.untried & full.ruled & named

        async def rest() -> None:
            try:
                reports = [full, *([await self._patient((), only=sorted(slow))] if slow else [])]
                proof.clean = judge_clean(core, reports)
            except TroubleError as error:
                proof.clean = Clean((str(error),), frozenset())
            self._tell(f"clean    {'; '.join(proof.clean.faults) or 'no clause fails'}")

        tasks.append(asyncio.create_task(rest()))

    async def _one(self, candidate: Candidate, proof: Proof) -> None:
        reports: list[Report] = []
        begun = time.monotonic()
        try:
            async with self._places:
                begun = time.monotonic()
                level = "full" if self._every_clause else "core"
                reports.append(await self._hurried(candidate.arguments, level=level))
                named = [name for name in green(candidate, reports) if name not in self._slow]
                if level == "core" and named:
                    reports.append(await self._hurried(candidate.arguments, only=named))
            if named := [name for name in green(candidate, reports) if name in reports[0].ruled]:
                async with self._waiting_places:
                    reports.append(await self._patient(candidate.arguments, only=named))
            finding = judge(candidate, reports, time.monotonic() - begun)
        except TroubleError as error:
            finding = Finding(candidate, frozenset(), {}, str(error), time.monotonic() - begun)
        proof.findings.append(finding)
        self._tell(progress(finding, len(proof.findings), proof.wanted))

    async def _hurried_clean(self, level: str) -> Report:
        async with self._places:
            return await self._hurried((), level=level)


def progress(finding: Finding, number: int, wanted: int) -> str:
    """One line about one defect."""
    why = finding.trouble or ", ".join(f"{name} {told}" for name, told in finding.missed.items())
    red = " ".join(name for name in finding.candidate.clauses if name in finding.failed)
    line = f"{number:3}/{wanted} {finding.word:8} {finding.candidate.name:26} {finding.seconds:5.1f} s  {red}"
    return f"{line}  [{why}]" if why else line
