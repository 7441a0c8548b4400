"""A whole simulation: agents that work, people who give commands, people who watch."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_impl.simulator.fleet import MockAgent
from reference_impl.simulator.office import Client, Dashboard
from reference_impl.simulator.people import orders, watches
from reference_impl.simulator.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part, and how fast it goes; all they do follows from the seed."""

    seed: int = 1
    agents: int = 10
    clients: int = 2
    dashboards: int = 2
    interval_s: float = 5
    """Between heartbeats."""
    day_s: float = 300
    """How long a working day takes."""


async def play(
    url: str, token: str, cast: Cast, *, duration_s: float | None, progress: Callable[[Tally], None]
) -> Tally:
    """Let them live for so long, or until cancelled; tell the progress once a second.

    Returns:
        What they did.
    """
    tally = Tally()
    sockets = url.rstrip("/").replace("http", "ws", 1) + "/ws"
    lives = [
        *(
            MockAgent(f"{sockets}/agent", token, tally).live(cast.seed, number, cast.interval_s)
            for number in range(cast.agents)
        ),
        *(
            Client(url, token, tally).work(orders(cast.seed, number, cast.agents, cast.day_s))
            for number in range(cast.clients)
        ),
        *(
            Dashboard(f"{sockets}/dashboard", token, tally).watch(watches(cast.seed, number, cast.day_s))
            for number in range(cast.dashboards)
        ),
    ]
    tasks = [asyncio.create_task(one) for one in (*lives, _tell(tally, progress))]
    try:
        await asyncio.wait(tasks, timeout=duration_s, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
    return tally


async def _tell(tally: Tally, progress: Callable[[Tally], None]) -> None:
    while True:
        await asyncio.sleep(1)
        progress(tally)
