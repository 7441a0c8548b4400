"""Several nodes are as one: for agents, dashboards and REST, also when one of them dies (CNS-5)."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from reference_impl.hub.bus import Entered, Entry, Outcome
from reference_impl.hub.redis_bus import RedisBus
from reference_impl.live import command_desk
from reference_impl.nodes import private_redis
from reference_impl.store.database import database_url, make_engine
from reference_impl.store.fenced import FencedCommits, TurnLostError
from reference_impl.store.migrate import upgrade
from reference_impl.tests.harness import World, beat, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.parts import Parts
    from reference_impl.tests.harness import Json, Socket

LEASE_S = 2.0
SERVE = [sys.executable, "-m", "reference_impl", "serve", "--port", "0", "--log-level", "error"]


class Deaf:
    """A listener that does nothing."""

    def heard(self, user_id: str, entry: Entry) -> None: ...

    def freed(self, user_id: str) -> None: ...

    def deaf(self) -> None: ...


@asynccontextmanager
async def node(database: str, bus_url: str, name: str) -> AsyncIterator[World]:
    """One node, in this process."""
    async with serving(database, bus_url=bus_url, bus_node=name, timings={"bus_lease_s": LEASE_S}) as world:
        yield world


@asynccontextmanager
async def foreign(bus_url: str) -> AsyncIterator[RedisBus]:
    """Another node of which nothing but its part of the bus is there."""
    bus = RedisBus(bus_url, "foreign", LEASE_S)
    await bus.join(Deaf())
    try:
        yield bus
    finally:
        await bus.close()


@pytest_asyncio.fixture
async def pair(database: str, bus_url: str) -> AsyncIterator[tuple[World, World]]:
    async with node(database, bus_url, "a") as a, node(database, bus_url, "b") as b:
        yield a, b


def seen(heard: list[Json]) -> list[tuple[str, Any]]:
    return [(message["type"], message["payload"].get("status")) for message in heard]


async def statuses(world: World) -> dict[str, str]:
    _, answer = await world.rest("GET", "/agents")
    return {agent["agent_id"]: agent["status"] for agent in answer["data"]}


async def heard_until(socket: Socket, kind: str) -> list[Json]:
    heard = [await socket.hear()]
    while heard[-1]["type"] != kind:
        heard.append(await socket.hear())
    return heard


async def test_events_reach_both_nodes_in_order(pair: tuple[World, World]) -> None:
    """What happens to an agent of one node is told, in the same order, to the dashboards of both."""
    a, b = pair
    dashboards = [await a.dashboard(), await b.dashboard()]
    agent = await a.agent("a1")
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    await b.rest("PATCH", "/agents/a1", json={"name": "Renamed"})
    await agent.inner.close()
    told = [await heard_until(dashboard, "AGENT_DISCONNECT") for dashboard in dashboards]
    assert seen(told[0]) == seen(told[1])
    assert [kind for kind, _ in seen(told[0])] == [
        "AGENT_CONNECTED",
        "AGENT_STATUS",
        "AGENT_STATUS",
        "AGENT_STATUS",
        "AGENT_DISCONNECT",
    ]
    assert await statuses(a) == await statuses(b) == {"a1": "OFFLINE"}


async def test_versions_cross_nodes(pair: tuple[World, World]) -> None:
    """A dashboard of version 0 hears of another node's agent in its own words (VER-2)."""
    a, b = pair
    old = await b.dashboard(query="&v=0")
    await a.agent("a1")
    told = await old.until("AGENT_STATUS")
    assert "name" not in told["payload"]


async def test_agent_moves_to_another_node(pair: tuple[World, World]) -> None:
    """The newer connection wins wherever it is: the older ends with 4008, and nobody is told that the agent left."""
    a, b = pair
    first = await a.agent("a1")
    dashboard = await a.dashboard()
    second = await b.agent("a1")
    assert (await first.ended())[0] == 4008
    await second.ask("AGENT_HEARTBEAT", beat("a1"))
    told = [await dashboard.until("AGENT_CONNECTED")]
    while told[-1]["payload"].get("metrics") is None:
        told.append(await dashboard.hear())
    assert "AGENT_DISCONNECT" not in {message["type"] for message in told}
    assert await statuses(a) == await statuses(b) == {"a1": "ONLINE"}
    assert (await a.rest("DELETE", "/agents/a1"))[0] == 409


async def test_commands_cross_nodes(pair: tuple[World, World]) -> None:
    """A command from one node's dashboard reaches the agent on the other, and its end comes back (CMD-1, CMD-2)."""
    a, b = pair
    agent, dashboard = await a.agent("a1"), await b.dashboard()
    wish = {"content": "Look", "type": "NATURAL", "targetAgents": ["a1"]}
    _, created = await b.rest("POST", "/commands", json=wish)
    command = created["data"]["id"]
    assert (await agent.until("COMMAND_REQUEST"))["payload"]["commandId"] == command
    await agent.ask("COMMAND_ACK", {"commandId": command, "agentId": "a1", "status": "EXECUTING"})
    done = {"commandId": command, "agentId": "a1", "status": "COMPLETED", "executionTime": 1, "tokensUsed": 1}
    await agent.ask("COMMAND_COMPLETE", done)
    told: list[str] = []
    while told[-1:] != ["COMPLETED"]:
        told.append((await dashboard.until("COMMAND_STATUS"))["payload"]["status"])
    assert told[-2:] == ["EXECUTING", "COMPLETED"]
    _, answer = await b.rest("GET", f"/commands/{command}")
    assert answer["data"]["status"] == "COMPLETED"


async def test_snapshot_is_exact_while_others_change(pair: tuple[World, World]) -> None:
    """Whatever races: after a snapshot come all changes that are not in it, and none that is (DSH-4)."""
    a, b = pair
    await a.agent("a1")
    over = asyncio.Event()

    async def rename() -> None:
        for number in itertools.count():
            await (a, b)[number % 2].rest("PATCH", "/agents/a1", json={"name": f"{number}"})
            if over.is_set():
                return

    async def watch(world: World) -> None:
        for _ in range(5):
            socket = await world.socket("/ws/dashboard")
            await socket.say("DASHBOARD_INIT", {})
            await socket.until("DASHBOARD_READY")
            (agent,) = (await socket.hear())["payload"]["agents"]
            names = [agent["name"]]
            while len(names) < 6:
                names.append((await socket.until("AGENT_STATUS"))["payload"]["name"])
            numbers = [int(name) if name.isdecimal() else -1 for name in names]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            await socket.inner.close()

    renaming = asyncio.create_task(rename())
    await asyncio.gather(watch(a), watch(b), watch(b))
    over.set()
    await renaming


async def test_dead_node_is_buried(database: str, bus_url: str) -> None:
    """When a node is killed, another tells that its agents are lost, and fails what they were executing (CMD-8)."""
    async with node(database, bus_url, "a") as a, elsewhere(database, bus_url, a.parts) as (process, b):
        dashboard = await a.dashboard()
        agent = await b.agent("b1")
        await dashboard.until("AGENT_STATUS")
        wish = {"content": "Look", "type": "NATURAL", "targetAgents": ["b1"]}
        command = (await a.rest("POST", "/commands", json=wish))[1]["data"]["id"]
        await agent.until("COMMAND_REQUEST")
        await agent.ask("COMMAND_ACK", {"commandId": command, "agentId": "b1", "status": "EXECUTING"})
        while (await dashboard.until("COMMAND_STATUS"))["payload"]["status"] != "EXECUTING":
            pass
        process.kill()
        assert (await dashboard.until("AGENT_DISCONNECT"))["payload"]["agentId"] == "b1"
        assert (await dashboard.until("COMMAND_STATUS"))["payload"]["status"] == "FAILED"
        assert await statuses(a) == {"b1": "OFFLINE"}


async def test_dead_nodes_timers_are_taken_over(database: str, bus_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that executes on an agent which is here keeps its time limit when the node that knew it dies."""
    monkeypatch.setattr(command_desk, "AT_ONCE", 1)  # as many as there are, however few are looked at together
    async with node(database, bus_url, "a") as a, elsewhere(database, bus_url, a.parts) as (process, b):
        dashboard = await a.dashboard()
        names = ("b1", "b2", "b3")
        before = []
        for name in names:
            before.append(agent := await b.agent(name))
            limit = {"timeLimitMs": 4000}
            wish = {"content": "Look", "type": "NATURAL", "targetAgents": [name], "executionConstraints": limit}
            command = (await a.rest("POST", "/commands", json=wish))[1]["data"]["id"]
            await agent.until("COMMAND_REQUEST")
            await agent.ask("COMMAND_ACK", {"commandId": command, "agentId": name, "status": "EXECUTING"})
        for name in names:
            await a.agent(name)
        for agent in before:
            assert (await agent.ended())[0] == 4008
        assert (await b.rest("PATCH", "/agents/b1", json={"name": "Still"}))[
            0
        ] == 200  # whoever dies in a turn leaves gaps
        process.kill()
        for _ in names:
            while (told := (await dashboard.until("COMMAND_STATUS"))["payload"])["status"] != "FAILED":
                pass
            assert told["error"] != "Agent disconnected"


async def test_node_that_comes_back_buries_its_former_life(database: str, bus_url: str) -> None:
    """After a restart under the same name none of the node's agents is ONLINE, though others' are (CON-7)."""
    async with node(database, bus_url, "a") as a:
        await a.agent("a1")
        async with elsewhere(database, bus_url, a.parts) as (_, b):
            await b.agent("b1")
        async with node(database, bus_url, "b") as b:
            assert await statuses(b) == await statuses(a) == {"a1": "ONLINE", "b1": "OFFLINE"}


@asynccontextmanager
async def elsewhere(database: str, bus_url: str, parts: Parts) -> AsyncIterator[tuple[Process, World]]:
    """A node in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(*SERVE, "--db", database, "--bus", bus_url, "--node", "b", "--exit-with-stdin"),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "ONSEMBL_TIMINGS__BUS_LEASE_S": f"{LEASE_S}"},
    )
    assert process.stdout is not None
    async with aiohttp.ClientSession() as session:
        world = World(json.loads(await process.stdout.readline())["url"], session, parts)
        try:
            yield process, world
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await world.close()


async def test_turn_that_never_ends_blocks_nobody_for_long(tmp_path: Path, bus_url: str) -> None:
    """A turn whose node died is taken over; dashboards come back for what they were not told."""
    async with node(str(tmp_path / "db"), bus_url, "a") as a, foreign(bus_url) as bus:
        agent, dashboard = await a.agent("a1"), await a.dashboard()
        assert isinstance(await bus.enter("alice", None), Entered)
        assert (await a.rest("GET", "/agents/a1"))[0] == 200
        assert (await dashboard.ended())[0] == 1012
        assert (await agent.ended())[0] == 1012
        again = await a.agent("a1")
        assert (await again.ask("AGENT_HEARTBEAT", beat("a1")))["type"] == "SERVER_HEARTBEAT"


async def test_node_that_was_taken_for_dead_lets_everybody_come_back(tmp_path: Path, bus_url: str) -> None:
    """A node that the others have forgotten ends its sockets, and serves those that come back."""
    async with node(str(tmp_path / "db"), bus_url, "a") as a, Redis.from_url(bus_url) as redis:
        agent = await a.agent("a1")
        await redis.flushall()
        assert (await agent.ended())[0] == 1012
        await a.agent("a1")
        assert await statuses(a) == {"a1": "ONLINE"}


async def test_nothing_is_lost_when_the_channel_breaks(pair: tuple[World, World]) -> None:
    """Events that were told while a node could not listen reach its dashboards all the same."""
    a, b = pair
    dashboard = await b.dashboard()
    async with Redis.from_url(a.parts.settings.bus_url) as redis:
        await redis.client_kill_filter(_type="pubsub")
    for number in range(5):
        await a.agent(f"a{number}")
    told = [(await dashboard.until("AGENT_CONNECTED"))["payload"]["agentId"] for _ in range(5)]
    assert told == [f"a{number}" for number in range(5)]


async def test_late_write_of_a_lost_turn_is_refused(database: str) -> None:
    """Once another node has written in a later turn, what an earlier one still writes changes nothing."""
    engine = make_engine(database_url(database))
    await upgrade(engine)
    fence = 2
    commits = FencedCommits(engine, lambda: ("alice", fence))

    async def write(_connection: AsyncConnection) -> int:
        return fence

    assert await commits.write(write) == 2
    assert await commits.write(write) == 2
    fence = 1
    with pytest.raises(TurnLostError):
        await commits.write(write)
    await commits.close()
    await engine.dispose()


async def test_turns_are_one_at_a_time(bus_url: str) -> None:
    """While one node has a user's turn no other gets it; when it ends, those who follow are told what it left."""
    async with foreign(bus_url) as one, foreign(bus_url) as two:
        first = await one.enter("alice", None)
        assert isinstance(first, Entered)
        assert isinstance(await two.enter("alice", None), float)
        assert isinstance(await two.enter("bob", None), Entered)
        number = await one.leave("alice", first.fence, Outcome(follow=True))
        second = await two.enter("alice", None)
        assert isinstance(second, Entered)
        assert second.fence > first.fence
        await two.leave("alice", second.fence, Outcome([["moved", "a1", "two/1"]], {"a1": "two/1"}))
        third = await one.enter("alice", number)
        assert isinstance(third, Entered)
        assert third.entries == [Entry(third.number, two.node, [["moved", "a1", "two/1"]])]
        assert await one.leave("alice", first.fence, Outcome()) is None
        assert await one.leave("alice", third.fence, Outcome()) == third.number
        fresh = await two.enter("alice", None)
        assert isinstance(fresh, Entered)
        assert fresh.seats == {"a1": "two/1"}


async def test_not_ready_without_the_bus(tmp_path: Path) -> None:
    """A node whose bus is gone says that it is not ready, and lives on (HLT-1)."""
    with ExitStack() as ending:
        url = ending.enter_context(private_redis(tmp_path))
        async with node(str(tmp_path / "db"), url, "a") as a:
            for status in (200, 503):
                async with a.session.get(f"{a.url}/health/ready") as answer:
                    assert answer.status == status
                ending.close()
            async with a.session.get(f"{a.url}/health") as answer:
                assert answer.status == 200


def test_nodes_start_and_end_together() -> None:
    """`nodes` prints one line with the URLs of all, and ends with stdin."""
    command = [sys.executable, "-m", "reference_impl", "nodes", "--count", "2", "--exit-with-stdin"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own program
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert len(set(told["nodes"])) == 2
    assert told["url"] == told["nodes"][0]
    process.communicate(timeout=20)
    assert process.returncode == 0
