"""Simulated working days: scripts that repeat, and what they do to a real server."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from reference_impl.simulator.day import Cast, play
from reference_impl.simulator.fleet import MockAgent
from reference_impl.simulator.jobs import Conclude, Finish, Print, Start, Think, job
from reference_impl.simulator.lives import Beat, Connect, Leave, life
from reference_impl.simulator.people import orders, watches
from reference_impl.simulator.tally import Tally
from reference_impl.tests.harness import signed

if TYPE_CHECKING:
    from reference_impl.tests.harness import Json, World


def test_same_seed_same_life() -> None:
    """An agent's life depends on seed and number alone, and holds heartbeats, losses and returns."""
    first = list(islice(life(1, 2, 5), 300))
    assert first == list(islice(life(1, 2, 5), 300))
    assert first != list(islice(life(2, 2, 5), 300))
    assert first != list(islice(life(1, 3, 5), 300))
    assert {type(step) for step in first} == {Connect, Beat, Leave}
    assert isinstance(first[0], Connect)


def test_same_seed_same_orders_and_watches() -> None:
    """What people do depends on seed and number alone; some of what is ordered is cancelled, some is for everybody."""

    def script(seed: int, number: int) -> list[object]:
        return [*islice(orders(seed, number, 10, 100), 200), *islice(watches(seed, number, 100), 200)]

    assert script(1, 2) == script(1, 2)
    assert not set(map(repr, script(1, 2))) & set(map(repr, script(2, 2)))
    assert not set(map(repr, script(1, 2))) & set(map(repr, script(1, 3)))
    some = list(islice(orders(1, 0, 10, 100), 200))
    assert 0 < sum(order.cancel_after_s is not None for order in some) < 100
    assert 0 < sum("broadcast" in order.body for order in some) < 100
    assert len({order.body["content"] for order in some}) == 200


def test_nobody_works_at_night() -> None:
    """Day after day there is work at all hours, least at noon, and a pause at night."""
    times, now, nights = [], 0.0, 0
    for order in islice(orders(1, 0, 10, 90), 2_000):
        now += order.wait_s
        while now >= 99:
            now, nights = now - 99, nights + 1
        times.append(now)
    hours = Counter(int(time / 10) for time in times)
    assert nights > 20
    assert min(hours, key=hours.__getitem__) == 4
    assert set(hours) == set(range(9))


def test_same_content_same_job() -> None:
    """How an agent works on a command depends on its content alone; a job ends once, and traces name known parents."""
    seen = set()
    for number in range(50):
        steps = list(job(f"investigate {number}", 1))
        assert steps == list(job(f"investigate {number}", 1))
        assert [isinstance(step, Finish) for step in steps] == [False] * (len(steps) - 1) + [True]
        traces = [step for step in steps if isinstance(step, Think)]
        assert [step.number for step in traces] == list(range(len(traces)))
        assert all(step.parent is None or step.parent < step.number for step in traces)
        seen |= {type(step) for step in steps}
    assert seen == {Start, Print, Think, Conclude, Finish}


async def test_a_day_really_happens(world: World) -> None:
    """In a simulated day commands are given, executed with output and traces, and seen; nothing is refused."""
    enough = asyncio.Event()
    tally = Tally()

    def progress(now: Tally) -> None:
        nonlocal tally
        tally = now
        if min(now.finished, now.printed, now.traced, now.reported, now.seen, now.heartbeats) > 0:
            enough.set()

    cast = Cast(seed=3, agents=5, clients=3, dashboards=2, interval_s=0.4, day_s=20)
    day = asyncio.create_task(play(world.url, signed("alice"), cast, duration_s=None, progress=progress))
    await asyncio.wait_for(enough.wait(), 60)
    day.cancel()
    await asyncio.gather(day, return_exceptions=True)
    assert (tally.refused, tally.failed) == (0, 0), tally.line()
    _, agents = await world.rest("GET", "/agents")
    assert {agent["agent_id"] for agent in agents["data"]} == {f"sim-000{number}" for number in range(5)}
    _, done = await world.rest("GET", "/commands?status=COMPLETED")
    outputs = [await kept(world, item["id"]) for item in done["data"]]
    assert any(outputs)
    assert (await world.rest("GET", "/reports"))[1]["pagination"]["total"] == tally.reported


async def kept(world: World, command_id: str) -> list[Json]:
    _, answer = await world.rest("GET", f"/commands/{command_id}/output")
    return list(answer["data"])


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
