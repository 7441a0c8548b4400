"""Proving: the clean reference and every defect, some at a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reference_impl.prove.judging import Candidate, Clean, Finding, Report, judge, judge_clean
from reference_impl.prove.running import TroubleError, hurried, patient

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

    A first run against each server leaves out what takes patience; a second one, with short
    time-outs in the server, tries the named clauses that the first one left green. That one
    mostly waits, so it takes no place from the others.
    """

    def __init__(self, jobs: int, tell: Callable[[str], None], suite_only: Sequence[str] = ()) -> None:
        self._places = asyncio.Semaphore(jobs)
        self._waiting_places = asyncio.Semaphore(2 * jobs)
        self._tell = tell
        self._suite_only = suite_only
        """Narrows the suite; for tests."""

    async def prove(self, candidates: Sequence[Candidate]) -> Proof:
        """Do all of it; cancelled, it ends what it started and gives what it has."""
        proof, begun = Proof(len(candidates)), time.monotonic()
        tasks: list[asyncio.Task[None]] = []
        try:
            slow = await self._start_clean(proof, candidates, tasks)
            order = sorted(candidates, key=lambda one: slow.isdisjoint(one.clauses))
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
    ) -> frozenset[str]:
        """Judge the clean server; says which of the named clauses take patience, and goes on with those."""
        named = {clause for candidate in candidates for clause in candidate.clauses}
        try:
            core, full = await asyncio.gather(self._hurried((), level="core"), self._hurried(()))
        except TroubleError as error:
            proof.clean = Clean((str(error),), frozenset())
            self._tell(f"clean    {error}")
            return frozenset()
        slow = full.untried & named

        async def rest() -> None:
            try:
                reports = [full, *([await self._patient((), sorted(slow))] if slow else [])]
                proof.clean = judge_clean(core, reports)
            except TroubleError as error:
                proof.clean = Clean((str(error),), frozenset())
            self._tell(f"clean    {'; '.join(proof.clean.faults) or 'no clause fails'}")

        tasks.append(asyncio.create_task(rest()))
        return frozenset(slow)

    async def _one(self, candidate: Candidate, proof: Proof) -> None:
        reports: list[Report] = []
        begun = time.monotonic()
        try:
            async with self._places:
                begun = time.monotonic()
                reports.append(await hurried(candidate.arguments, only=self._suite_only))
            if green := [clause for clause in candidate.clauses if clause not in reports[0].failed]:
                reports.append(await self._patient(candidate.arguments, green))
            finding = judge(candidate, reports, time.monotonic() - begun)
        except TroubleError as error:
            finding = Finding(candidate, frozenset(), {}, str(error), time.monotonic() - begun)
        proof.findings.append(finding)
        self._tell(progress(finding, len(proof.findings), proof.wanted))

    async def _hurried(self, arguments: Sequence[str], level: str = "full") -> Report:
        async with self._places:
            return await hurried(arguments, level=level, only=self._suite_only)

    async def _patient(self, arguments: Sequence[str], only: Sequence[str]) -> Report:
        async with self._waiting_places:
            return await patient(arguments, only=only)


def progress(finding: Finding, number: int, wanted: int) -> str:
    """One line about one defect."""
    why = finding.trouble or ", ".join(f"{name} {told}" for name, told in finding.missed.items())
    red = " ".join(name for name in finding.candidate.clauses if name in finding.failed)
    line = f"{number:3}/{wanted} {finding.word:8} {finding.candidate.name:26} {finding.seconds:5.1f} s  {red}"
    return f"{line}  [{why}]" if why else line
