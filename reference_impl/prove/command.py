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
from typing import TYPE_CHECKING, Final

from reference_impl.defects import UnknownDefectError, load, names
from reference_impl.prove.judging import Candidate
from reference_impl.prove.matrix import document, markdown, text
from reference_impl.prove.programs import warm_programs
from reference_impl.prove.proving import Proof, Prover
from reference_impl.prove.running import suite

if TYPE_CHECKING:
    from collections.abc import Sequence

RELEASED: Final = Path(__file__).resolve().parents[2] / "reports"
_EACH: Final = 3
"""Servers for each processor: two thirds of the time of a run are waited for what comes, or does not."""


def candidates(only: str = "") -> list[Candidate]:
    """The defects whose names match; commas part several globs, none given means all.

    Raises:
        UnknownDefectError: no defect matches.
    """
    globs = [glob.strip() for glob in only.split(",") if glob.strip()] or ["*"]
    chosen = [name for name in names() if any(fnmatchcase(name, glob) for glob in globs)]
    if not chosen:
        raise UnknownDefectError(f"There is no defect {only!r}; there are: {', '.join(names())}")
    return [
        Candidate(defect.name, defect.clauses, defect.summary, ("--defect", defect.name)) for defect in load(chosen)
    ]


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


async def _interruptible(wanted: Sequence[Candidate], jobs: int, *, every_clause: bool) -> Proof:
    """Ctrl-C and SIGTERM end the children; what was done is still told."""
    async with warm_programs() as programs:
        prover = Prover(jobs, _tell, every_clause=every_clause, suite=partial(suite, programs=programs))
        task = asyncio.create_task(prover.prove(wanted))
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, task.cancel)
        return await task


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
