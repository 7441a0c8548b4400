"""The command: which defects, how many at a time, where the matrix goes."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reference_impl.defects import UnknownDefectError, hard_names, load, names
from reference_impl.prove import generated
from reference_impl.prove.judging import Candidate
from reference_impl.prove.matrix import document, markdown, text
from reference_impl.prove.programs import warm_programs
from reference_impl.prove.proving import Proof, Prover
from reference_impl.prove.running import hunt, suite

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

T = TypeVar("T")
RELEASED: Final = Path(__file__).resolve().parents[2] / "reports"
_EACH: Final = 3
"""Servers for each processor: two thirds of the time of a run are waited for what comes, or does not."""


def candidates(only: str = "") -> list[Candidate]:
    """The defects whose names match; commas part several globs, none given means all.

    Raises:
        UnknownDefectError: no defect matches.
    """
    return _candidates(only, names())


def _candidates(only: str, known: Sequence[str]) -> list[Candidate]:
    globs = [glob.strip() for glob in only.split(",") if glob.strip()] or ["*"]
    chosen = [name for name in known if any(fnmatchcase(name, glob) for glob in globs)]
    if not chosen:
        raise UnknownDefectError(only, known)
    return [
        Candidate(defect.name, defect.clauses, defect.summary, ("--defect", defect.name), defect.needs)
        for defect in load(chosen)
    ]


def hard_candidates(only: str = "") -> list[Candidate]:
    """Those that generated sequences are to find, likewise."""
    return _candidates(only, hard_names())


def longest_first(wanted: Sequence[Candidate], *directories: Path) -> list[Candidate]:
    """What mostly waits begins first and is nobody's tail; how long each takes the first matrix found there tells."""
    took: dict[str, float] = {}
    for directory in directories:
        with suppress(OSError, ValueError, LookupError, TypeError):
            before = json.loads((directory / "kill-matrix.json").read_text("utf-8"))
            took = {one["name"]: float(one["seconds"]) for one in before["defects"]}
            break
    return sorted(wanted, key=lambda one: -took.get(one.name, math.inf))


def prove(only: str, jobs: int, report: str, *, every_clause: bool) -> int:
    """Prove, print, write; gives the exit code. No number of jobs means three for each processor.

    Raises:
        UnknownDefectError: no defect matches.
        OSError: the report cannot be written.
    """
    wanted = longest_first(candidates(only), Path(report), RELEASED)
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
    jobs = jobs or _EACH * (os.cpu_count() or 1)
    proof = asyncio.run(_interruptible(wanted, jobs, every_clause=every_clause))
    sys.stdout.write(text(proof))
    sys.stdout.flush()
    if report:
        (Path(report) / "kill-matrix.json").write_text(document(proof), "utf-8")
        (Path(report) / "kill-matrix.md").write_text(markdown(proof), "utf-8")
    return 0 if proof.holds else 1


def prove_generated(only: str, seeds: int, seconds: float, report: str) -> int:
    """Let generated sequences alone look for the hard defects, print, write; gives the exit code.

    Raises:
        UnknownDefectError: no defect matches.
        OSError: the report cannot be written.
    """
    wanted = hard_candidates(only)
    if report:
        Path(report).mkdir(parents=True, exist_ok=True)
    hunts = asyncio.run(_hunting(wanted, seeds, seconds))
    sys.stdout.write(generated.answer(hunts) + "\n")
    if report:
        (Path(report) / "generated-faults.json").write_text(generated.document(hunts), "utf-8")
        (Path(report) / "generated-faults.md").write_text(generated.markdown(hunts), "utf-8")
    return 0 if hunts.holds else 1


async def _hunting(wanted: Sequence[Candidate], seeds: int, seconds: float) -> generated.Hunts:
    async with warm_programs() as programs:
        hunting = partial(hunt, programs=programs)
        return await _until_ended(generated.look(wanted, seeds, seconds, _tell, hunting=hunting))


async def _interruptible(wanted: Sequence[Candidate], jobs: int, *, every_clause: bool) -> Proof:
    """Ctrl-C and SIGTERM end the children; what was done is still told."""
    async with warm_programs() as programs:
        prover = Prover(jobs, _tell, every_clause=every_clause, suite=partial(suite, programs=programs))
        return await _until_ended(prover.prove(wanted))


async def _until_ended(work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, or has when Ctrl-C or SIGTERM ends it."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
    return await task


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
