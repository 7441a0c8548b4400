"""Sequences as cases of a run: drawn from a seed, kept in a corpus, or played again from a file."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from conformance.rule import Provocation
from conformance.sequences.play import play
from conformance.sequences.script import each_step, read_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from conformance.contract import Contract
    from conformance.target import Target
    from conformance.world.world import World

BUDGET = 20.0
SIZE = 12
"""How many groups of steps a script has at most."""
STOPPING = {"dashboard.emergency-stop", "rest.emergency-stop"}
TRIED = 10
"""How many are drawn for each one that is wanted, where only those with certain causes are."""


def drawn(  # noqa: PLR0913 - the facts of a draw, by name
    contract: Contract,
    target: Target,
    *,
    count: int,
    seed: int,
    users: int,
    causes: frozenset[str] | None = None,
) -> Iterator[Provocation]:
    """So many sequences from a seed; one in ten may stop everything, where the target allows it.

    With `causes`, the first of them in which one of these happens, and no others; that may be fewer.
    """
    from conformance.sequences.draw import scripts  # noqa: PLC0415 - slow, and most runs do without

    withheld = frozenset(target.withheld)
    stopping = count // 10 if target.destructive else 0
    for kind, number, destructive in (("sequence", count - stopping, False), ("stopping", stopping, True)):
        if number == 0:
            continue
        found = scripts(
            contract,
            count=number if causes is None else number * TRIED,
            size=SIZE,
            seed_=seed,
            users=min(users, 2),
            withheld=withheld,
            destructive=destructive,
        )
        named = ((f"{kind}/{seed}-{n}", script) for n, script in enumerate(found, 1))
        fitting = (one for one in named if causes is None or any(s["cause"] in causes for s in each_step(one[1])))
        yield from (provocation_of(script, name) for name, script in islice(fitting, number))


def provocation_of(script: Mapping[str, Any], name: str) -> Provocation:
    """A script as a case. One that stops everything needs the user to itself, and permission."""

    async def played(world: World) -> None:
        await play(world, dict(script))

    stops = bool(STOPPING & {step["cause"] for step in each_step(script)})
    users = max([0, *script["agents"].values(), *script["dashboards"].values()])
    needs = frozenset({*(("destructive",) if stops else ()), *(("second-user",) if users else ())})
    return Provocation(played, alone=stops, needs=needs, budget=BUDGET, name=name, document=script)


def kept(directory: Path) -> Iterator[Provocation]:
    """The sequences of a corpus: each JSON file in it, by name. Raises `ScriptError`."""
    for path in sorted(directory.glob("*.json")):
        yield provocation_of(read_script(path), f"corpus/{path.stem}")
