"""How much is generated: levels of effort, and the cases that a run gets for each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.generate import messages, rest_cases, rest_walks
from conformance.sequences.cases import drawn, kept
from conformance.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.contract import Contract
    from conformance.rule import Provocation

PER_SECOND = 3.0
"""Sequences that a run is given for each second it may take, where it is to use its time."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What a level of effort asks for."""

    sequences: int
    """How many are drawn; 0 stands for as many as there is time for."""
    requests: tuple[rest_cases.Phase, ...]
    """The phases in which REST requests are generated."""
    walks: int = 0
    """How often REST is walked along its links."""


FUZZED = 100
"""Requests that a deep run draws for each operation."""
EFFORTS: Mapping[str, Effort] = {
    "quick": Effort(20, (rest_cases.coverage(part=10),)),
    "normal": Effort(150, (rest_cases.coverage(),)),
    "deep": Effort(0, (rest_cases.EXAMPLES, rest_cases.coverage(), rest_cases.fuzzing(FUZZED)), 40),
}


def generated(  # noqa: PLR0913 - the facts that decide, by name
    contract: Contract,
    target: Target,
    *,
    effort: str = "",
    corpus: str = "",
    seed: int = 0,
    users: int = 1,
    max_time: float = 300.0,
) -> Iterator[Provocation]:
    """The generated cases of a run: those of the corpus, then those drawn. Without an effort nothing is drawn."""
    if corpus:
        yield from kept(Path(corpus))
    if effort:
        yield from messages.cases(contract, target)
        phases = EFFORTS[effort].requests
        yield from rest_cases.cases(contract, target, phases=phases, seed=seed)
        yield from rest_walks.walks(contract, target, count=EFFORTS[effort].walks, seed=seed)
        count = EFFORTS[effort].sequences or int(max_time * PER_SECOND)
        yield from drawn(contract, target, count=count, seed=seed, users=users)


def named(contract: Contract, case: str, seed: int) -> Provocation | None:
    """A generated case by its id, made again from the contract and the seed; None where there is none of that name."""
    anything, most = Target(url="http://127.0.0.1"), EFFORTS["deep"]
    found = chain(
        messages.cases(contract, anything),
        rest_cases.cases(contract, anything, phases=most.requests, seed=seed),
        rest_walks.walks(contract, anything, count=most.walks, seed=seed),
    )
    return next((provocation for provocation in found if provocation.id == case), None)
