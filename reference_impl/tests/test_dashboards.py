"""Dashboards: snapshot, events, subscriptions, versions, the plan's switches."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from reference_impl.tests.harness import beat, serving, signed

if TYPE_CHECKING:
    from reference_impl.tests.harness import Json, Socket, World


async def test_snapshot_follows_ready(world: World) -> None:
    """DASHBOARD_INIT is answered by DASHBOARD_READY, then by the list, which may be empty."""
    dashboard = await world.socket("/ws/dashboard")
    ready = await dashboard.ask("DASHBOARD_INIT", {"dashboardId": "d1", "userId": "alice"})
    snapshot = await dashboard.hear()
    assert (ready["type"], ready["payload"]["dashboardId"]) == ("DASHBOARD_READY", "d1")
    assert (snapshot["type"], snapshot["payload"]["agents"]) == ("dashboard:connected", [])


async def test_snapshot_shows_each_agent(world: World) -> None:
    """The list holds all of the user's agents, live or not, and nobody else's."""
    await world.agent("hers", "bob")
    gone = await world.agent("gone")
    live = await world.agent("live", name="Ada")
    await live.ask("AGENT_HEARTBEAT", beat("live"))
    watcher = await world.dashboard()
    await gone.inner.close()
    await watcher.until("AGENT_DISCONNECT")
    await watcher.ask("DASHBOARD_INIT", {})
    items = {item["agentId"]: item for item in (await watcher.hear())["payload"]["agents"]}
    assert {name: item["status"] for name, item in items.items()} == {"gone": "OFFLINE", "live": "ONLINE"}
    _, found = await world.rest("GET", "/agents/live")
    assert items["live"] == {
        "agentId": "live",
        "name": "Ada",
        "type": "CLAUDE",
        "status": "ONLINE",
        "version": "1.0",
        "capabilities": ["basic", "interrupt"],
        "lastHeartbeat": found["data"]["last_heartbeat"],
        "metrics": found["data"]["last_metrics"],
    }


async def test_foreign_user_id(world: World) -> None:
    """A userId that is not the token's is forbidden and closes with 4003."""
    dashboard = await world.socket("/ws/dashboard")
    await dashboard.say("DASHBOARD_INIT", {"userId": "bob"})
    code, heard = await dashboard.ended()
    assert (code, [message["payload"]["code"] for message in heard]) == (4003, ["FORBIDDEN"])


def applied(state: dict[str, Json], message: Json) -> None:
    """What a frontend does with a message."""
    payload = message["payload"]
    if message["type"] == "dashboard:connected":
        state.clear()
        state.update(
            {item["agentId"]: {"status": item["status"], "metrics": item["metrics"]} for item in payload["agents"]}
        )
    elif message["type"] == "AGENT_STATUS":
        state[payload["agentId"]] = {"status": payload["status"], "metrics": payload["metrics"]}
    elif message["type"] == "AGENT_DISCONNECT":
        state[payload["agentId"]]["status"] = "OFFLINE"


async def test_snapshot_and_events_are_exact(world: World) -> None:
    """However agents, heartbeats, losses and new dashboards race, each dashboard ends with what REST says."""

    async def live(number: int) -> None:
        for turn in range(3):
            agent = await world.agent(f"a{number}")
            for beats in range(3):
                await agent.ask("AGENT_HEARTBEAT", beat(f"a{number}", commandsProcessed=turn * 10 + beats))
            if turn < 2 or number % 2:
                await agent.inner.close()

    async def watch() -> Socket:
        dashboard = await world.socket("/ws/dashboard")
        await dashboard.say("DASHBOARD_INIT", {})
        return dashboard

    lives = [asyncio.create_task(live(number)) for number in range(8)]
    dashboards = [await watch()]
    while not all(task.done() for task in lives):
        dashboards.append(await watch())
        await dashboards[-1].ask("PING", {"timestamp": 1})
    await asyncio.gather(*lives)

    async def is_settled() -> Json:
        _, body = await world.rest("GET", "/agents", params={"limit": 100})
        agents = {item["agent_id"]: item for item in body["data"]}
        offline = {name for name, item in agents.items() if item["status"] == "OFFLINE"}
        return agents if offline == {f"a{number}" for number in range(1, 8, 2)} else {}

    while not (agents := await is_settled()):
        pass
    expected = {name: {"status": item["status"], "metrics": item["last_metrics"]} for name, item in agents.items()}
    for dashboard in dashboards:
        state: dict[str, Json] = {}
        for message in await dashboard.fence():
            applied(state, message)
        assert state == expected


async def test_other_users_hear_nothing(world: World) -> None:
    """A user's events reach that user's dashboards only."""
    hers = await world.dashboard("bob")
    agent = await world.agent("a1")
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    await world.rest("PATCH", "/agents/a1", json={"name": "x"})
    await agent.inner.close()
    assert await hers.fence() == []


@pytest.mark.parametrize(
    ("subscriptions", "heard"),
    [
        ({"agents": ["a1"]}, {"a1"}),
        ({"agents": ["a1", "a2"]}, {"a1", "a2"}),
        ({"agents": {"all": True}}, {"a1", "a2"}),
        ({"terminals": False}, {"a1", "a2"}),
        ({}, {"a1", "a2"}),
    ],
)
async def test_subscriptions_limit_events(world: World, subscriptions: Json, heard: set[str]) -> None:
    """A list of agents limits the events to them; anything else means all; the snapshot is whole."""
    await world.agent("a1")
    await world.agent("a2")
    dashboard = await world.socket("/ws/dashboard")
    await dashboard.say("DASHBOARD_INIT", {"subscriptions": subscriptions})
    assert len((await dashboard.until("dashboard:connected"))["payload"]["agents"]) == 2
    for name in ("a1", "a2"):
        await world.rest("PATCH", f"/agents/{name}", json={"name": "x"})
    assert {message["payload"]["agentId"] for message in await dashboard.fence()} == heard


async def test_subscribing_and_unsubscribing(world: World) -> None:
    """Each change is acknowledged with the whole choice, and holds from the acknowledgement on."""
    await world.agent("a1")
    await world.agent("a2")
    await world.agent("hers", "bob")
    dashboard = await world.dashboard()

    async def choose(kind: str, **payload: object) -> Json:
        return (await dashboard.ask(kind, payload))["payload"]  # type: ignore[no-any-return]

    everything: Json = {"agents": "all", "commands": "all", "terminals": True, "traces": True}
    off = await choose("DASHBOARD_UNSUBSCRIBE", type="agent", id="a1")
    assert (off["success"], off["subscriptions"]) == (True, {**everything, "agents": ["a2"]})
    for name in ("a1", "a2"):
        await world.rest("PATCH", f"/agents/{name}", json={"name": "x"})
    assert [message["payload"]["agentId"] for message in await dashboard.fence()] == ["a2"]
    on = await choose("DASHBOARD_SUBSCRIBE", type="agent", id="a1")
    assert on["subscriptions"]["agents"] == ["a1", "a2"]
    assert (await choose("DASHBOARD_UNSUBSCRIBE", type="agent", all=True))["subscriptions"]["agents"] == []
    assert (await choose("DASHBOARD_SUBSCRIBE", type="agent", all=True))["subscriptions"]["agents"] == "all"
    assert (await choose("DASHBOARD_UNSUBSCRIBE", type="terminal"))["subscriptions"]["terminals"] is False
    assert (await choose("DASHBOARD_UNSUBSCRIBE", type="trace", id="x"))["subscriptions"]["traces"] is False
    for name in ("hers", "nobody"):
        refused = await choose("DASHBOARD_SUBSCRIBE", type="agent", id=name)
        assert (refused["success"], refused["error"]) == (False, "NOT_FOUND")


async def test_version_0_socket(world: World) -> None:
    """With ?v=0 there is no list, and AGENT_STATUS is the old one; others still get the new one."""
    old = await world.dashboard(query="&v=0")
    new = await world.dashboard()
    agent = await world.agent("a1")
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    status = [message for message in await old.fence() if message["type"] == "AGENT_STATUS"][-1]["payload"]
    assert status["healthMetrics"]["commandsProcessed"] == 3
    assert not {"name", "type", "version", "capabilities", "metrics", "timestamp"} & status.keys()
    assert (await new.fence())[-1]["payload"]["metrics"]["commandsExecuted"] == 3


@pytest.mark.parametrize(
    ("off", "types"),
    [
        ({}, ["dashboard:connected", "AGENT_CONNECTED", "AGENT_STATUS", "AGENT_DISCONNECT"]),
        ({"send_initial_agent_list": False}, ["AGENT_CONNECTED", "AGENT_STATUS", "AGENT_DISCONNECT"]),
        ({"broadcast_disconnects": False}, ["dashboard:connected", "AGENT_CONNECTED", "AGENT_STATUS"]),
        (
            {"enrich_status_events": False},
            ["dashboard:connected", "AGENT_CONNECTED", "AGENT_STATUS", "AGENT_DISCONNECT"],
        ),
    ],
)
async def test_switches(database: str, off: dict[str, bool], types: list[str]) -> None:
    """Each of the plan's switches takes away its own event or fields, and nothing else."""
    switched: dict[str, Any] = {"websocket": off}
    async with serving(database, **switched) as world:
        dashboard = await world.socket("/ws/dashboard")
        await dashboard.ask("DASHBOARD_INIT", {})
        agent = await world.agent("a1")
        await agent.inner.close()
        while (await world.rest("GET", "/agents/a1"))[1]["data"]["status"] != "OFFLINE":
            pass
        told = await dashboard.fence()
        assert [message["type"] for message in told] == types
        (status,) = [message["payload"] for message in told if message["type"] == "AGENT_STATUS"]
        assert ("name" in status) == ("enrich_status_events" not in off)


async def test_cache_and_no_cache_agree(database: str) -> None:
    """With the cache off, a heartbeat after a rename is told with the new name as well."""
    switched: dict[str, Any] = {"agents": {"enable_caching": False}}
    async with serving(database, **switched) as world:
        agent = await world.agent("a1")
        dashboard = await world.dashboard()
        await world.rest("PATCH", "/agents/a1", json={"name": "Grace"})
        await agent.ask("AGENT_HEARTBEAT", beat("a1"))
        told = await dashboard.fence()
        assert [message["payload"]["name"] for message in told] == ["Grace", "Grace"]
        assert told[1]["payload"]["metrics"]["uptime"] == 60


async def test_thousand_agents_are_listed_quickly(world: World) -> None:
    """A snapshot of a thousand agents arrives well within two seconds."""
    await world.agent("a0")
    first = await world.parts.agents.get("a0")
    assert first is not None
    await asyncio.gather(*(world.parts.agents.save(replace(first, agent_id=f"a{number}")) for number in range(1, 1000)))
    dashboard = await world.socket("/ws/dashboard", token=signed("alice"))
    begun = asyncio.get_running_loop().time()
    await dashboard.say("DASHBOARD_INIT", {})
    snapshot = await dashboard.until("dashboard:connected")
    assert len(snapshot["payload"]["agents"]) == 1000
    assert asyncio.get_running_loop().time() - begun < 2
