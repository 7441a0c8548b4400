"""What people do in a working day: some give commands, some watch. Pure, and the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from reference_impl.domain.vocabulary import CommandType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_BUSY: Final = (0.3, 0.9, 1.0, 0.8, 0.1, 0.7, 1.0, 0.8, 0.5)
"""How busy each hour from eight to five is; at noon people eat."""
_PER_HOUR: Final = 4
"""Commands that one person gives in the busiest hour."""
_NIGHT: Final = 0.1
"""The night takes this part of a day: nobody wants to watch it."""
_WORK: Final = ("mend the flaky test", "investigate the slow query", "review the last change", "plan the next step")
_CHOICES: Final[Sequence[Mapping[str, Any]]] = (
    {},
    {},
    {"traces": False},
    {"terminals": False},
    {"agents": {"all": True}},
)
_CANCELS, _BROADCASTS, _RELOADS = 0.12, 0.05, 0.3


@dataclass(frozen=True, slots=True)
class Order:
    """Wait, then create this command."""

    wait_s: float
    body: Mapping[str, Any]
    cancel_after_s: float | None
    """So long after it was created it is not wanted any more."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Open a dashboard, with this DASHBOARD_INIT, for so long; then look away."""

    init: Mapping[str, Any]
    watch_s: float
    away_s: float


def orders(seed: int, number: int, agents: int, day_s: float) -> Iterator[Order]:
    """The commands that one person gives, day after day.

    Args:
        seed: of the simulation.
        number: which person.
        agents: how many agents there are to choose from.
        day_s: how long a working day takes.
    """
    chance = Random(f"{seed}/orders/{number}")  # noqa: S311 - repeatable on purpose
    hour_s, now_s, given, wait_s = day_s / len(_BUSY), 0.0, 0, 0.0
    while True:
        step = chance.expovariate(_PER_HOUR / hour_s)
        if now_s + step >= day_s:
            wait_s, now_s = wait_s + day_s - now_s + day_s * _NIGHT, 0.0
            continue
        wait_s, now_s = wait_s + step, now_s + step
        if chance.random() > _BUSY[min(int(now_s / hour_s), len(_BUSY) - 1)]:
            continue
        cancelled = chance.random() < _CANCELS
        yield Order(
            wait_s, _body(chance, seed, number, given, agents), chance.uniform(0, hour_s) if cancelled else None
        )
        given, wait_s = given + 1, 0.0


def _body(chance: Random, seed: int, number: int, given: int, agents: int) -> Mapping[str, Any]:
    body: dict[str, Any] = {
        "content": f"{chance.choice(_WORK)} ({seed}.{number}.{given})",
        "type": chance.choice(list(CommandType)).value,
        "priority": chance.choice([10, 50, 50, 50, 90]),
    }
    if chance.random() < _BROADCASTS:
        return {**body, "broadcast": True}
    chosen = chance.sample(range(agents), min(agents, chance.choice([1, 1, 1, 2])))
    return {**body, "targetAgents": [agent_id(one) for one in chosen]}


def watches(seed: int, number: int, day_s: float) -> Iterator[Watch]:
    """What one person's dashboard does, day after day: it is open most of the time, and reloaded at times."""
    chance = Random(f"{seed}/watches/{number}")  # noqa: S311 - repeatable on purpose
    while True:
        left = day_s
        while left > 0:
            choices: list[Mapping[str, Any]] = [
                {},
                {},
                {"traces": False},
                {"terminals": False},
                {"agents": {"all": True}},
            ]
            init = {"subscriptions": chance.choice(choices), "acceptBatches": chance.random() < 0.5}  # noqa: PLR2004
            watch = min(left, day_s * chance.uniform(0.1, 0.6))
            away = 0.0 if chance.random() < _RELOADS else day_s * chance.uniform(0, 0.1)
            left -= watch + away
            yield Watch(init, watch, away if left > 0 else day_s * _NIGHT)


def agent_id(number: int) -> str:
    """The id of an agent of the fleet."""
    return f"sim-{number:04d}"
