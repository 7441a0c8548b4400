"""Plays a case once: its script in its world, a last look at what it leaves behind, and the end of its connections."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from conformance.broken import named
from conformance.engine.preflight import Stop
from conformance.world.last_look import last_look

if TYPE_CHECKING:
    from conformance.engine.plan import Case
    from conformance.timeline import Timeline
    from conformance.world.world import World

LAST_LOOK = 3.0
"""Seconds for a last look at what a case leaves behind; it is cut short rather than waited for."""
CLOSING = 3.0
"""Seconds that the connections of a case are given to close."""


class Play(NamedTuple):
    """A case as it was played once."""

    case: Case
    timeline: Timeline
    seconds: float
    cut: str = ""
    """Why it did not come to its end in time, if so."""
    error: str = ""
    """What of ours broke in it, if anything did."""
    stop: str = ""
    """Why there is no backend to judge, if so: nothing that was seen speaks for or against one."""
    was_cancelled: bool = False


async def play(world: World, case: Case, *, is_last: bool = False) -> Play:
    """Plays a case; whatever happens, what was seen until then is given back.

    After the last one on a backend that ends with the run nobody waits until it has taken leave of each connection.
    """
    started = time.monotonic()
    ending: dict[str, str | bool] = {}
    try:
        async with asyncio.timeout(case.provocation.budget):
            await case.provocation.script(world)
        if not case.provocation.heavy and case.provocation.document is None:  # a drawn one looks at everything itself
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_LOOK):
                    await last_look(world)
    except TimeoutError:
        ending["cut"] = f"it took more than {case.provocation.budget:g} s"
    except Stop as stop:
        ending["stop"] = str(stop)
    except asyncio.CancelledError:
        ending["was_cancelled"] = True
    except Exception as broken:  # noqa: BLE001 - a broken script is reported as ours and ends nobody else's case
        ending["error"] = f"{named(broken)}: {broken}"
    played = Play(case, world.timeline(), time.monotonic() - started, **ending)  # type: ignore[arg-type]
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING):
            await world.close(wait=not is_last)
    return played
