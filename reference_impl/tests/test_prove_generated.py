"""Proving what generation finds: what counts as found, and what is told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reference_impl.defects import UnknownDefectError, hard_names
from reference_impl.prove.command import candidates, hard_candidates
from reference_impl.prove.generated import Hunts, answer, document, look, markdown
from reference_impl.prove.judging import Candidate, Report
from reference_impl.prove.running import Hunt, TroubleError

if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG = Candidate("wrong", ("CMD-5",), "Something is wrong", ("--defect", "wrong"), "two actors at once")


def script(steps: int) -> dict[str, Any]:
    """A script of so many steps, the last two at the same time."""
    one = {"actor": "agent-1", "cause": "agent.heartbeat", "say": "AGENT_HEARTBEAT", "payload": {}}
    return {"format": 1, "agents": {"agent-1": 0}, "steps": [*[one] * (steps - 2), {"together": [one, one]}]}


def found(*failed: str, steps: int = 4) -> Hunt:
    clauses = {name: {"outcome": "failed", "counts": True} for name in failed} | {
        "AGT-1": {"outcome": "passed", "counts": True},
        "AUD-1": {"outcome": "failed", "counts": False},
    }
    told = {"clauses": clauses, "duration_s": 7.25, "plan": {"planned": 180, "emitted": 31}}
    return Hunt(Report(1 if failed else 0, told), script(steps) if failed else None)


class Fake:
    """Runs that take no time: what each seed comes upon is said beforehand, with a defect and without one."""

    def __init__(self, clean: Hunt | None = None, **by_seed: Hunt | TroubleError) -> None:
        self.clean = clean or found()
        self.by_seed = {int(name.removeprefix("seed")): hunt for name, hunt in by_seed.items()}
        self.asked: list[tuple[int, float]] = []

    async def __call__(self, serve: Sequence[str], seed: int, seconds: float) -> Hunt:
        self.asked.append((seed, seconds))
        hunt = self.by_seed.get(seed, found("CMD-5")) if serve else self.clean
        if isinstance(hunt, TroubleError):
            raise hunt
        return hunt


async def hunted(fake: Fake, seeds: int = 5) -> tuple[Hunts, list[str]]:
    lines: list[str] = []
    return await look([WRONG], seeds, 60, lines.append, hunting=fake), lines


@pytest.mark.parametrize(
    ("fake", "holds"),
    [
        (Fake(), True),
        (Fake(seed2=found()), True),
        (Fake(seed2=found(), seed4=found()), False),
        (Fake(seed1=found("CMD-5", steps=8), seed2=found("CMD-5", steps=9)), True),
        (Fake(seed1=found("CMD-5", steps=9), seed2=found("CMD-5", steps=9)), False),
        (Fake(seed3=TroubleError("it went away"), seed4=found()), False),
    ],
)
async def test_found_is_four_of_five_seeds_in_eight_steps(fake: Fake, holds: bool) -> None:
    """A seed that finds nothing, or nothing short, or does not end, has not found it; one of five may."""
    hunts, _ = await hunted(fake)
    assert hunts.holds is holds


async def test_one_seed_is_none_to_spare() -> None:
    """With fewer than five seeds all must find it."""
    fake = Fake()
    assert (await hunted(fake, 2))[0].holds
    assert fake.asked == [(1, 60), (2, 60)] * 2
    assert not (await hunted(Fake(seed2=found()), 2))[0].holds


async def test_a_clean_server_must_stay_clean() -> None:
    """What is found without a fault was no fault's doing: nothing is proved then."""
    hunts, _ = await hunted(Fake(clean=found("CMD-5")))
    assert (hunts.finds("wrong"), hunts.clean, hunts.holds) == (True, False, False)


async def test_what_is_told() -> None:
    """A line for each run; the documents name the fault, what it needs, the clauses, the time and the script."""
    hunts, lines = await hunted(Fake(seed2=found(), seed3=TroubleError("it went away")))
    assert "10 runs of at most 60 s each" in lines[0]
    assert [line.split()[1] for line in lines[1:9]] == ["nothing"] * 5 + ["found", "nothing", "trouble"]
    assert answer(hunts).startswith("NOT PROVED  0 of 1 found by generation alone, clean run clean")
    (fault,) = json.loads(document(hunts))["faults"]
    assert (fault["name"], fault["needs"], fault["found_in"]) == ("wrong", "two actors at once", 3)
    first = fault["tries"][0]
    assert (first["failed"], first["seconds"], first["scripts"], first["steps"]) == (["CMD-5"], 7.2, 30, 4)
    assert "3. agent-1: AGENT_HEARTBEAT (`agent.heartbeat`) **and at the same time** agent-1" in markdown(hunts)


def test_what_is_hard_is_not_asked_of_the_rules() -> None:
    """`prove` leaves the hard defects out, and `prove --generated` the others."""
    assert [one.name for one in hard_candidates()] == hard_names()
    assert not set(hard_names()) & {one.name for one in candidates()}
    with pytest.raises(UnknownDefectError):
        hard_candidates("command-lost")
