"""Whether generated sequences alone find what no rule and no script was made for: each hard defect, seed after seed."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reference_impl.prove.running import TroubleError, hunt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reference_impl.prove.judging import Candidate
    from reference_impl.prove.running import Hunt, Hunting

LONGEST: Final = 8
"""Steps to which a script must be shrunk, those that happen together each counted."""
ALLOWED: Final = 1
"""Seeds in which a defect may stay hidden, of five."""
CLEAN: Final = ""
"""The name under which the reference without a defect is looked at."""


@dataclass(frozen=True, slots=True)
class Try:
    """What one seed came upon."""

    defect: str
    seed: int
    red: tuple[str, ...] = ()
    """The clauses that failed."""
    seconds: float = 0.0
    """How long the run took, shrinking with it."""
    scripts: int = 0
    """How many were played."""
    script: Mapping[str, Any] | None = None
    trouble: str = ""

    @property
    def steps(self) -> int:
        """How many the smallest script has."""
        return sum(map(len, groups(self.script)))

    @property
    def found(self) -> bool:
        """Whether something failed, and a short script shows it."""
        return bool(self.red) and self.script is not None and self.steps <= LONGEST


@dataclass
class Hunts:
    """All that was tried, as far as it went."""

    wanted: Sequence[Candidate]
    seeds: int
    most_seconds: float
    tries: list[Try] = field(default_factory=list)
    seconds: float = 0.0

    def of(self, name: str) -> list[Try]:
        """What the seeds came upon with one defect."""
        return sorted((one for one in self.tries if one.defect == name), key=lambda one: one.seed)

    def finds(self, name: str) -> bool:
        """Whether a defect is found in enough seeds: in four of five."""
        missed = self.seeds - sum(one.found for one in self.of(name))
        return missed <= self.seeds * ALLOWED // 5

    @property
    def clean(self) -> bool:
        """Whether all seeds found nothing in the clean server."""
        tries = self.of(CLEAN)
        return len(tries) == self.seeds and not any(one.red or one.trouble for one in tries)

    @property
    def holds(self) -> bool:
        """Whether every defect is found, and the clean server is clean."""
        return self.clean and all(self.finds(one.name) for one in self.wanted)


async def look(
    wanted: Sequence[Candidate],
    seeds: int,
    seconds: float,
    tell: Callable[[str], None],
    *,
    hunting: Hunting = hunt,
) -> Hunts:
    """Look for nothing in the clean server, then for each defect, with each seed, one run after the other.

    How soon is part of the question. Cancelled, it gives what it has.
    """
    hunts, begun = Hunts(wanted, seeds, seconds), time.monotonic()
    servers: list[tuple[str, Sequence[str]]] = [(CLEAN, ()), *((one.name, one.arguments) for one in wanted)]
    runs = [(name, arguments, seed) for name, arguments in servers for seed in range(1, seeds + 1)]
    tell(f"{len(runs)} runs of at most {seconds:g} s each: at most {len(runs) * (seconds + 10) / 60:.0f} minutes")
    try:
        for number, (name, arguments, seed) in enumerate(runs, 1):
            tried = await _one(name, arguments, seed, seconds, hunting)
            hunts.tries.append(tried)
            tell(f"{number:3}/{len(runs)} {progress(tried)}")
    except asyncio.CancelledError:
        pass
    hunts.seconds = time.monotonic() - begun
    return hunts


async def _one(name: str, arguments: Sequence[str], seed: int, seconds: float, hunting: Hunting) -> Try:
    try:
        found: Hunt = await hunting(arguments, seed, seconds)
    except TroubleError as error:
        return Try(name, seed, trouble=str(error))
    document = found.report.document
    red = tuple(
        clause for clause, told in document["clauses"].items() if told["outcome"] == "failed" and told["counts"]
    )
    return Try(name, seed, red, document["duration_s"], document["plan"]["emitted"] - 1, found.script)


def progress(one: Try) -> str:
    """One line about one run."""
    name = one.defect or "no defect"
    if one.trouble:
        return f"trouble  {name:26} seed {one.seed}  {one.trouble}"
    word = "found" if one.found else "too long" if one.red else "nothing"
    shown = f"{one.steps} steps  {' '.join(one.red)}" if one.red else ""
    return f"{word:8} {name:26} seed {one.seed}  {one.seconds:5.1f} s  {one.scripts:4} scripts  {shown}".rstrip()


def groups(script: Mapping[str, Any] | None) -> list[list[Mapping[str, Any]]]:
    """The steps of a script, those that happen together in one group."""
    return [list(step.get("together", [step])) for step in (script or {}).get("steps", ())]


def answer(hunts: Hunts) -> str:
    """The outcome in one line."""
    found = sum(hunts.finds(one.name) for one in hunts.wanted)
    clean = "clean" if hunts.clean else "not clean"
    word = "PROVED" if hunts.holds else "NOT PROVED"
    return (
        f"{word}  {found} of {len(hunts.wanted)} found by generation alone, clean run {clean} · {hunts.seconds:.0f} s"
    )


def document(hunts: Hunts) -> str:
    """As JSON."""
    value = {
        "proved": hunts.holds,
        "clean": hunts.clean,
        "seeds": hunts.seeds,
        "most_seconds": hunts.most_seconds,
        "seconds": round(hunts.seconds, 1),
        "faults": [
            {
                "name": one.name,
                "shows": one.summary,
                "needs": one.needs,
                "clauses": list(one.clauses),
                "found_in": sum(tried.found for tried in hunts.of(one.name)),
                "tries": [_try(tried) for tried in hunts.of(one.name)],
            }
            for one in hunts.wanted
        ],
        "without_a_fault": [_try(tried) for tried in hunts.of(CLEAN)],
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _try(tried: Try) -> dict[str, Any]:
    return {
        "seed": tried.seed,
        "found": tried.found,
        "failed": list(tried.red),
        "seconds": round(tried.seconds, 1),
        "scripts": tried.scripts,
        "steps": tried.steps,
        "script": tried.script,
        "trouble": tried.trouble,
    }


def markdown(hunts: Hunts) -> str:
    """As a document for a reader: each fault, how it was found, and its smallest script."""
    head = (
        f"{sum(hunts.finds(one.name) for one in hunts.wanted)} of {len(hunts.wanted)} faults found by generated "
        f"sequences alone, each with {hunts.seeds} seeds, at most {hunts.most_seconds:g} s a run, shrinking included. "
        f"The reference without a fault: {'nothing found' if hunts.clean else 'not clean'} with the same seeds."
    )
    rows = ["| fault | what it needs | found | seconds | steps | clauses that failed |", "|---|---|---|---|---|---|"]
    rows += [_row(hunts, one) for one in hunts.wanted]
    blocks = ["# Faults found by generation alone", head, "\n".join(rows)]
    for one in hunts.wanted:
        smallest = min((tried for tried in hunts.of(one.name) if tried.found), key=lambda t: t.steps, default=None)
        blocks.append(f"## {one.name}\n\n{one.summary}. Needs {one.needs}.")
        blocks.append(_told(smallest.script) if smallest else "Not found.")
    return "\n\n".join(blocks) + "\n"


def _row(hunts: Hunts, one: Candidate) -> str:
    found = [tried for tried in hunts.of(one.name) if tried.found]
    seconds = ", ".join(f"{tried.seconds:.0f}" for tried in found) or "-"
    steps = ", ".join(str(tried.steps) for tried in found) or "-"
    red = " ".join(sorted({clause for tried in found for clause in tried.red})) or "-"
    return f"| {one.name} | {one.needs} | {len(found)} of {hunts.seeds} | {seconds} | {steps} | {red} |"


def _told(script: Mapping[str, Any] | None) -> str:
    """A script as a numbered list; what happens together is one item."""
    lines = [" **and at the same time** ".join(map(_step, group)) for group in groups(script)]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def _step(step: Mapping[str, Any]) -> str:
    about = {
        **step.get("path", {}),
        **{k: v for k, v in step.get("payload", {}).items() if k in {"agentId", "commandId"}},
    }
    made = step.get("makes", {})
    names = [str(next(iter(value.values()))) for value in about.values() if isinstance(value, dict)]
    names += [made["command"], f"for {made['agent']}"] if made else []
    shown = " ".join(dict.fromkeys(name for name in names if name != step["actor"]))
    done = step.get("say") or step.get("call") or step.get("do")
    return f"{step['actor']}: {done} (`{step['cause']}`)" + (f" {shown}" if shown else "")
