"""How much is generated: levels of effort, and the cases that a run gets for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.generate import messages, rest_cases, rest_walks
from conformance.sequences.cases import drawn, kept
from conformance.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.contract import Contract
    from conformance.contract.changes import Changes
    from conformance.rule import Provocation


@dataclass(frozen=True, slots=True)
class Effort:
    """What a level of effort asks for."""

    sequences: int
    """How many are drawn; 0 stands for as many as there is time for."""
    requests: tuple[rest_cases.Phase, ...]
    """The phases in which REST requests are generated."""
    walks: int = 0
    """How often REST is walked along its links."""
    payloads: int = 0
    """How many payloads are drawn for each message, beside those that are enumerated."""


FUZZED = 100
"""Requests that a deep run draws for each operation."""
EFFORTS: Mapping[str, Effort] = {
    "quick": Effort(20, (rest_cases.coverage(part=10),)),
    "normal": Effort(150, (rest_cases.coverage(),)),
    "deep": Effort(0, (rest_cases.EXAMPLES, rest_cases.coverage(), rest_cases.fuzzing(FUZZED)), 40, 400),
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
    changes: Changes | None = None,
) -> Iterator[Provocation]:
    """The generated cases of a run: those of the corpus, then those drawn. Without an effort nothing is drawn.

    With `changes`, of what is drawn only what a change of the contract touches.
    """
    if corpus:
        yield from kept(Path(corpus))
    if effort:
        most = EFFORTS[effort]
        touched, causes = contract, None
        if changes is not None and not changes.everything:
            touched = _only(contract, changes)
            causes = changes.provoking
        yield from messages.cases(touched, target)
        yield from messages.drawn(touched, target, count=most.payloads, seed=seed)
        yield from rest_cases.cases(touched, target, phases=most.requests, seed=seed)
        if touched.operations:
            yield from rest_walks.walks(contract, target, count=most.walks, seed=seed)
        if causes is None or causes:
            count = most.sequences
            yield from drawn(contract, target, count=count, seconds=max_time, seed=seed, users=users, causes=causes)


def _only(contract: Contract, changes: Changes) -> Contract:
    """The contract as if it had no message and no operation but those that changed."""
    return replace(
        contract,
        messages={name: m for name, m in contract.messages.items() if name in changes.messages},
        operations={name: o for name, o in contract.operations.items() if name in changes.operations},
    )


def named(contract: Contract, case: str, seed: int) -> Provocation | None:
    """A generated case by its id, made again from the contract and the seed; None where there is none of that name."""
    anything, most = Target(url="http://127.0.0.1"), EFFORTS["deep"]
    found = chain(
        messages.cases(contract, anything),
        messages.drawn(contract, anything, count=most.payloads, seed=seed),
        rest_cases.cases(contract, anything, phases=most.requests, seed=seed),
        rest_walks.walks(contract, anything, count=most.walks, seed=seed),
    )
    return next((provocation for provocation in found if provocation.id == case), None)
