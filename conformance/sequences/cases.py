"""Sequences as cases of a run: drawn from a seed, kept in a corpus, or played again from a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from conformance.rule import Provocation
from conformance.sequences.faults import KILLED, RESTARTED, RESTARTS, is_faulty
from conformance.sequences.play import play
from conformance.sequences.script import each_step, read_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from conformance.contract import Contract
    from conformance.target import Target
    from conformance.world.world import World

BUDGET = 20.0
RESTART_BUDGET = 90.0
SIZE = 20
"""How many groups of steps a script has at most."""
MOST_RESTARTS = 10
"""Sequences with a restart in one run: each waits for it alone."""
STOPPING = {"dashboard.emergency-stop", "rest.emergency-stop"}
PER_SECOND = 20
"""Sequences that are planned for each second where there are to be as many as there is time for: more than enough."""
MANY_USERS = 6
"""Users with whom a case can have some to itself while others run."""
TRIED = 10
"""How many are drawn for each one that is wanted, where only those with certain causes are."""


class Drawn(Mapping[str, Any]):
    """A script that is drawn once somebody looks at it: of as many as there is time for, most never are."""

    def __init__(self, draw: Callable[[], Mapping[str, Any]]) -> None:
        self._draw = draw

    @cached_property
    def script(self) -> Mapping[str, Any]:
        """The script itself."""
        return self._draw()

    def __getitem__(self, name: str) -> Any:
        """A member of it."""
        return self.script[name]

    def __iter__(self) -> Iterator[str]:
        """The names of its members."""
        return iter(self.script)

    def __len__(self) -> int:
        """How many they are."""
        return len(self.script)


def drawn(  # noqa: PLR0913 - the facts that decide, by name
    contract: Contract,
    target: Target,
    *,
    count: int = 0,
    seconds: float = 0.0,
    seed: int,
    users: int,
    causes: frozenset[str] | None = None,
) -> Iterator[Provocation]:
    """So many sequences from a seed, or as many as there is time for in so many seconds.

    One in ten may stop everything where the target allows it (one in four, where users are many and it disturbs none);
    one in twenty, ten at most, restarts the backend where it can be restarted. Faults of connections are drawn for a
    target on this machine, elsewhere only where it allows harm. With `causes`, the first of them in which one of these
    happens, and no others; that may be fewer.
    """
    from conformance.sequences.draw import script, warm  # noqa: PLC0415 - slow, and most runs do without

    warm(contract)
    most = count or int(seconds * PER_SECOND)
    many = users >= MANY_USERS
    stopping = (most // 4 if many else count // 10 or int(seconds / 2)) if target.destructive else 0
    restarts = (*((RESTARTED,) if target.can_restart else ()), *((KILLED,) if target.can_kill else ()))
    restarting = min(most // 20, MOST_RESTARTS) if restarts else 0
    shares: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("sequence", most - stopping - restarting, {}),
        ("stopping", stopping, {"destructive": True}),
        ("restarting", restarting, {"restarts": restarts}),
    )
    facts: dict[str, Any] = {
        "size": SIZE,
        "users": min(users, 2),
        "withheld": frozenset(target.withheld),
        "faults": target.is_loopback or target.destructive,
    }
    found: list[list[Provocation]] = []
    for kind, number, own in shares:
        names = (f"{kind}/{seed}-{n}" for n in range(1, 1 + number * (1 if causes is None else TRIED)))
        documents = ((name, Drawn(partial(script, contract, name, **facts, **own))) for name in names)
        fitting = (one for one in documents if causes is None or any(s["cause"] in causes for s in each_step(one[1])))
        spare = not count and (kind == "sequence" or (kind == "stopping" and many))
        found.append([_of_kind(kind, name, document, spare=spare) for name, document in islice(fitting, number)])
    yield from _mingled(found)


def _mingled(shares: Sequence[Sequence[Provocation]]) -> Iterator[Provocation]:
    """All of them, each kind spread evenly over the whole: wherever it ends, there were some of each."""
    placed = [((number + 0.5) / len(share), one) for share in shares for number, one in enumerate(share)]
    yield from (one for _, one in sorted(placed, key=itemgetter(0)))


def _of_kind(kind: str, name: str, document: Mapping[str, Any], *, spare: bool) -> Provocation:
    """A drawn script as a case. What it asks of a target, its kind says: nothing is drawn that the target lacks."""
    needs = {"stopping": frozenset({"destructive"}), "restarting": frozenset({"restart"})}.get(kind, frozenset())
    return Provocation(
        partial(_play, document),
        alone=bool(needs),
        needs=needs,
        budget=RESTART_BUDGET if kind == "restarting" else BUDGET,
        name=name,
        document=document,
        spare=spare,
    )


async def _play(document: Mapping[str, Any], world: World, *, patient: bool = True) -> None:
    """Plays a script; one that is still to be drawn is drawn beside the event loop, for many begin at once."""
    if isinstance(document, Drawn):
        from conformance.generate.turn import in_turn  # noqa: PLC0415 - slow, and a script that is kept needs none of it

        await in_turn(lambda: document.script)
    await play(world, dict(document), patient=patient)


def provocation_of(script: Mapping[str, Any], name: str, *, patient: bool = True) -> Provocation:
    """A script as a case, with what its steps ask of the target; if not `patient`, one that ends early (see `play`).

    One that stops everything, or restarts the backend, needs the user to itself, and permission.
    """
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
    return Provocation(
        partial(_play, script, patient=patient),
        alone=stops or restarts,
        needs=needs,
        budget=budget,
        name=name,
        document=script,
    )


def kept(directory: Path) -> Iterator[Provocation]:
    """The sequences of a corpus: each JSON file in it, by name. Raises `ScriptError`."""
    for path in sorted(directory.glob("*.json")):
        yield provocation_of(read_script(path), f"corpus/{path.stem}")
