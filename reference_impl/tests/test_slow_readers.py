"""A dashboard that stops reading is cut, and nobody else has to wait for it (TRM-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.tests.harness import serving
from reference_impl.tests.putting_out import output
from reference_impl.tests.slow import Sleeper

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = "x" * 200_000


async def test_one_that_stops_reading_is_cut(tmp_path: Path) -> None:
    """It is cut with 1008 once more waits for it than may; the others hear everything, one piece after the other."""
    async with serving(str(tmp_path / "db"), limits={"queue_bytes": 1024 * 1024}) as world:
        fast, agent = await world.dashboard(), await world.agent("a1")
        sleeper = await Sleeper.of(world)
        for sequence in range(90):
            await agent.ask("TERMINAL_OUTPUT", output("a1", "a1", sequence, CHUNK))
            assert (await fast.until("TERMINAL_STREAM"))["payload"]["sequence"] == sequence
        assert world.parts.hub.audience("alice") == 1
        assert await sleeper.ended() == 1008
        kept = await world.rest("GET", "/agents/a1/terminal-output")
        assert kept[1]["pagination"]["total"] == 90


async def test_one_that_sleeps_and_goes_is_forgotten(tmp_path: Path) -> None:
    """It may leave without a word while frames wait for it; the server goes on."""
    async with serving(str(tmp_path / "db")) as world:
        fast, agent = await world.dashboard(), await world.agent("a1")
        sleepers = [await Sleeper.of(world) for _ in range(5)]
        for sequence in range(40):
            await agent.ask("TERMINAL_OUTPUT", output("a1", "a1", sequence, CHUNK))
            if sequence == 20:
                for sleeper in sleepers:
                    sleeper.drop()
        told = [one["payload"]["sequence"] for one in await fast.fence() if one["type"] == "TERMINAL_STREAM"]
        assert told == list(range(40))
