"""The mock fleet."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING

from reference_impl.simulator.fleet import MockAgent, Tally, run_fleet
from reference_impl.simulator.lives import Beat, Connect, Leave, life
from reference_impl.tests.harness import signed

if TYPE_CHECKING:
    from reference_impl.tests.harness import World


def test_same_seed_same_life() -> None:
    """An agent's life depends on seed and number alone, and holds heartbeats, losses and returns."""
    first = list(islice(life(1, 2, 5), 300))
    assert first == list(islice(life(1, 2, 5), 300))
    assert first != list(islice(life(2, 2, 5), 300))
    assert first != list(islice(life(1, 3, 5), 300))
    assert {type(step) for step in first} == {Connect, Beat, Leave}
    assert isinstance(first[0], Connect)


async def test_fleet_really_connects(world: World) -> None:
    """A fleet's agents and heartbeats are seen by dashboards and REST, and nothing it says is refused."""
    dashboard = await world.dashboard()
    work = asyncio.create_task(
        run_fleet(
            world.url, signed("alice"), agents=5, seed=1, interval_s=0.02, duration_s=None, progress=lambda _tally: None
        )
    )
    seen: set[str] = set()
    while len(seen) < 5:
        message = await dashboard.until("AGENT_STATUS")
        if message["payload"]["metrics"]:
            seen.add(message["payload"]["agentId"])
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    _, body = await world.rest("GET", "/agents")
    assert {agent["agent_id"] for agent in body["data"]} == seen == {f"sim-000{number}" for number in range(5)}


async def test_agent_that_leaves_is_lost(world: World) -> None:
    """An agent that leaves in its life is lost to the dashboards too."""
    dashboard = await world.dashboard()
    tally = Tally()
    where = world.url.replace("http", "ws") + "/ws/agent"
    agent = asyncio.create_task(MockAgent(where, signed("alice"), tally).live(1, 0, 0.001))
    await dashboard.until("AGENT_DISCONNECT")
    agent.cancel()
    await asyncio.gather(agent, return_exceptions=True)
    assert tally.left
    assert not tally.refused
