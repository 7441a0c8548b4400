"""Proving: the clean reference and every defect, some at a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reference_impl.prove.judging import Candidate, Clean, Finding, judge, judge_clean
from reference_impl.prove.running import Suite, TroubleError, suite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class Proof:
    """All that was found, as far as it went."""

    wanted: int
    every_clause: bool = False
    """Whether each defect was judged by all clauses, not only by those it names."""
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
    """Runs the suite against many servers, each judged once.

    A defect is judged by the clauses it names, which must all fail; with `every_clause` by all there
    are, which also tells what else it breaks. The clean server is judged by all, at both levels, and
    before all others: how soon it answers is judged as well, and nobody else may work then.
    """

    def __init__(
        self, jobs: int, tell: Callable[[str], None], *, every_clause: bool = False, suite: Suite = suite
    ) -> None:
        self._places = asyncio.Semaphore(jobs)
        self._tell = tell
        self._every_clause = every_clause
        self._suite = suite

    async def prove(self, candidates: Sequence[Candidate]) -> Proof:
        """Do all of it; cancelled, it ends what it started and gives what it has."""
        proof, begun = Proof(len(candidates), every_clause=self._every_clause), time.monotonic()
        named = frozenset(clause for candidate in candidates for clause in candidate.clauses)
        tasks = [asyncio.create_task(self._clean(named, proof))]
        try:
            await asyncio.wait(tasks)
            tasks += [asyncio.create_task(self._one(candidate, proof)) for candidate in candidates]
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            proof.interrupted = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        proof.findings.sort(key=lambda finding: finding.candidate.name)
        proof.seconds = time.monotonic() - begun
        return proof

    async def _clean(self, named: frozenset[str], proof: Proof) -> None:
        self._tell("clean    is judged at both levels, alone; the defects follow")
        try:
            full = await self._suite((), level="full")
            core = await self._suite((), level="core")
            proof.clean = judge_clean(core, full, named)
        except TroubleError as error:
            proof.clean = Clean((str(error),), frozenset())
        told = "; ".join((*(proof.clean.faults or ("no clause fails that decides",)), *proof.clean.aside))
        self._tell(f"clean    {told}")

    async def _one(self, candidate: Candidate, proof: Proof) -> None:
        begun = time.monotonic()
        try:
            async with self._places:
                begun = time.monotonic()
                only = () if self._every_clause else candidate.clauses
                report = await self._suite(candidate.arguments, level="full", only=only)
            finding = judge(candidate, report, time.monotonic() - begun)
        except TroubleError as error:
            finding = Finding(candidate, frozenset(), {}, str(error), time.monotonic() - begun)
        proof.findings.append(finding)
        self._tell(progress(finding, len(proof.findings), proof.wanted))


def progress(finding: Finding, number: int, wanted: int) -> str:
    """One line about one defect."""
    why = finding.trouble or ", ".join(f"{name} {told}" for name, told in finding.missed.items())
    red = " ".join(name for name in finding.candidate.clauses if name in finding.failed)
    line = f"{number:3}/{wanted} {finding.word:8} {finding.candidate.name:26} {finding.seconds:5.1f} s  {red}"
    return f"{line}  [{why}]" if why else line
