"""Sequences as cases of a run: drawn from a seed, kept in a corpus, or played again from a file."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from conformance.rule import Provocation
from conformance.sequences.faults import KILLED, RESTARTED, RESTARTS, is_faulty
from conformance.sequences.play import play
from conformance.sequences.script import each_step, read_script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from conformance.contract import Contract
    from conformance.target import Target
    from conformance.world.world import World

BUDGET = 20.0
RESTART_BUDGET = 90.0
SIZE = 12
"""How many groups of steps a script has at most."""
MOST_RESTARTS = 10
"""Sequences with a restart in one run: each waits for it alone."""
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
    """So many sequences from a seed.

    One in ten may stop everything where the target allows it; one in twenty, ten at most, restarts the backend where it
    can be restarted. Faults of connections are drawn for a target on this machine, elsewhere only where it allows harm.
    With `causes`, the first of them in which one of these happens, and no others; that may be fewer.
    """
    stopping = count // 10 if target.destructive else 0
    restarts = (*((RESTARTED,) if target.can_restart else ()), *((KILLED,) if target.can_kill else ()))
    restarting = min(count // 20, MOST_RESTARTS) if restarts else 0
    shares: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("sequence", count - stopping - restarting, {}),
        ("stopping", stopping, {"destructive": True}),
        ("restarting", restarting, {"restarts": restarts}),
    )
    from conformance.sequences.draw import scripts  # noqa: PLC0415 - slow, and most runs do without

    withheld, faults = frozenset(target.withheld), target.is_loopback or target.destructive
    common: dict[str, Any] = {"size": SIZE, "seed_": seed, "users": min(users, 2), "withheld": withheld}
    for kind, number, own in shares:
        if number == 0:
            continue
        found = scripts(contract, count=number if causes is None else number * TRIED, faults=faults, **common, **own)
        named = ((f"{kind}/{seed}-{n}", script) for n, script in enumerate(found, 1))
        fitting = (one for one in named if causes is None or any(s["cause"] in causes for s in each_step(one[1])))
        yield from (provocation_of(script, name) for name, script in islice(fitting, number))


def provocation_of(script: Mapping[str, Any], name: str) -> Provocation:
    """A script as a case, with what its steps ask of the target.

    One that stops everything, or restarts the backend, needs the user to itself, and permission.
    """

    async def played(world: World) -> None:
        await play(world, dict(script))

    steps = list(each_step(script))
    causes = {step["cause"] for step in steps}
    stops, done = bool(STOPPING & causes), {step.get("do") for step in steps}
    restarts = not done.isdisjoint(RESTARTS.values())
    users = max([0, *script["agents"].values(), *script["dashboards"].values()])
    asked = {
        "destructive": stops,
        "second-user": users > 0,
        "faults": any(map(is_faulty, steps)),
        "restart": restarts,
        "kill": "kill" in done,
    }
    needs = frozenset(need for need, wanted in asked.items() if wanted)
    budget = RESTART_BUDGET if restarts else BUDGET
    return Provocation(played, alone=stops or restarts, needs=needs, budget=budget, name=name, document=script)


def kept(directory: Path) -> Iterator[Provocation]:
    """The sequences of a corpus: each JSON file in it, by name. Raises `ScriptError`."""
    for path in sorted(directory.glob("*.json")):
        yield provocation_of(read_script(path), f"corpus/{path.stem}")
