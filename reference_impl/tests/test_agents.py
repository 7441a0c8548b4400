"""Agents over sockets: connecting, heartbeats, errors, and how they are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reference_impl.tests.harness import announcement, beat, serving

if TYPE_CHECKING:
    from reference_impl.tests.harness import World


async def test_new_agent_is_told(world: World) -> None:
    """A new agent is acknowledged, and dashboards hear AGENT_CONNECTED and one AGENT_STATUS."""
    dashboard = await world.dashboard()
    socket = await world.socket("/ws/agent")
    answer = await socket.ask("AGENT_CONNECT", announcement("a1", name="Ada"))
    assert answer["type"] == "ACK"
    ack = answer["payload"]
    assert ack["connectionId"]
    assert (ack["success"], ack["agentId"], ack["messageId"], ack["heartbeatIntervalMs"]) == (True, "a1", "m1", 30000)
    arrived, status = await dashboard.fence()
    assert arrived["type"] == "AGENT_CONNECTED"
    assert arrived["payload"]["capabilities"] == ["basic", "interrupt"]
    assert status["type"] == "AGENT_STATUS"
    shown = status["payload"]
    assert (shown["status"], shown["name"], shown["type"], shown["version"]) == ("ONLINE", "Ada", "CLAUDE", "1.0")
    assert shown["metrics"] is None


async def test_each_heartbeat_has_one_status(world: World) -> None:
    """Every heartbeat is answered, and told once with its own numbers."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await dashboard.fence()
    for number in range(8):
        answer = await agent.ask("AGENT_HEARTBEAT", beat("a1", commandsProcessed=number))
        assert (answer["type"], answer["payload"]["nextPingExpected"]) == ("SERVER_HEARTBEAT", 30000)
    told = await dashboard.fence()
    assert [message["type"] for message in told] == ["AGENT_STATUS"] * 8
    assert [message["payload"]["metrics"]["commandsExecuted"] for message in told] == list(range(8))
    times = [message["timestamp"] for message in told]
    assert times == sorted(times)


WRONG_NUMBERS: list[dict[str, object]] = [
    {"cpuUsage": 101},
    {"cpuUsage": -1},
    {"cpuUsage": "12"},
    {"cpuUsage": True},
    {"cpuUsage": None},
    {"memoryUsage": -0.5},
    {"uptime": -1},
    {"commandsProcessed": 1.5},
    {"commandsProcessed": -1},
    {"averageResponseTime": -1},
    {"averageResponseTime": None},
]


async def test_impossible_metrics_are_refused(world: World) -> None:
    """A heartbeat with a number that cannot be is refused, points at it, and changes nothing."""
    agent = await world.agent("a1")
    for wrong in WRONG_NUMBERS:
        answer = await agent.ask("AGENT_HEARTBEAT", beat("a1", **wrong), id="mine")
        error = answer["payload"]
        assert (answer["type"], error["code"], error["originalMessageId"]) == ("ERROR", "INVALID_MESSAGE", "mine")
        assert error["details"]["errors"][0]["pointer"] == f"/payload/healthMetrics/{next(iter(wrong))}"
    _, found = await world.rest("GET", "/agents/a1")
    assert (found["data"]["last_heartbeat"], found["data"]["last_metrics"]) == (None, None)


async def test_numbers_at_the_edge_are_taken(world: World) -> None:
    """Zero, a full processor, a whole number written as 3.0 and very large numbers are metrics."""
    agent = await world.agent("a1")
    for numbers in (
        {"cpuUsage": 0, "memoryUsage": 0, "uptime": 0, "commandsProcessed": 0},
        {"cpuUsage": 100, "memoryUsage": 1e300, "uptime": 2**60, "commandsProcessed": 3.0, "averageResponseTime": 0.1},
    ):
        assert (await agent.ask("AGENT_HEARTBEAT", beat("a1", **numbers)))["type"] == "SERVER_HEARTBEAT"
    _, found = await world.rest("GET", "/agents/a1")
    expected = {"commandsExecuted": 3, "uptime": 2**60, "memoryUsage": 1e300, "cpuUsage": 100}
    assert found["data"]["last_metrics"] == expected


async def test_reconnecting_keeps_what_is_known(world: World) -> None:
    """An agent that comes back keeps id, creation time and numbers, and says anew what it is."""
    agent = await world.agent("a1", name="Ada")
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    dashboard = await world.dashboard()
    _, before = await world.rest("GET", "/agents/a1")
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    flags = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": True}
    await world.agent("a1", name="Grace", version="2.0", capabilities=flags)
    _, after = await world.rest("GET", "/agents/a1")
    changed = {"name": "Grace", "version": "2.0", "capabilities": ["basic", "trace"]}
    assert after["data"] == {**before["data"], **changed, "updated_at": after["data"]["updated_at"]}
    assert after["data"]["updated_at"] >= before["data"]["updated_at"]


async def test_second_connection_replaces_the_first(world: World) -> None:
    """A second connection of an agent ends the first with 4008, and nobody hears that it was gone."""
    dashboard = await world.dashboard()
    first = await world.agent("a1")
    second = await world.agent("a1", version="2.0")
    assert (await first.ended())[0] == 4008
    await second.ask("AGENT_HEARTBEAT", beat("a1"))
    told = await dashboard.fence()
    assert [message["type"] for message in told] == [
        *["AGENT_CONNECTED", "AGENT_STATUS"] * 2,
        "AGENT_STATUS",
    ]
    assert {message["payload"].get("status", "ONLINE") for message in told} == {"ONLINE"}
    _, found = await world.rest("GET", "/agents/a1")
    assert (found["data"]["status"], found["data"]["version"]) == ("ONLINE", "2.0")


async def test_same_announcement_again(world: World) -> None:
    """Announcing the same again is acknowledged and told to nobody; something new is told as a status."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await dashboard.fence()
    assert (await agent.ask("AGENT_CONNECT", announcement("a1")))["payload"]["success"] is True
    assert await dashboard.fence() == []
    await agent.ask("AGENT_CONNECT", announcement("a1", version="1.1"))
    (status,) = await dashboard.fence()
    assert (status["type"], status["payload"]["version"]) == ("AGENT_STATUS", "1.1")


async def test_another_agent_on_the_same_connection(world: World) -> None:
    """A connection speaks for one agent: another announcement or another id in a payload is forbidden."""
    agent = await world.agent("a1")
    await world.agent("a2")
    for kind, payload in (
        ("AGENT_CONNECT", announcement("a2")),
        ("AGENT_HEARTBEAT", beat("a2")),
        ("AGENT_ERROR", {"agentId": "a2", "errorType": "UNKNOWN", "message": "x", "recoverable": False}),
    ):
        answer = await agent.ask(kind, payload)
        assert (answer["type"], answer["payload"]["code"]) == ("ERROR", "FORBIDDEN")
    _, found = await world.rest("GET", "/agents/a2")
    assert (found["data"]["status"], found["data"]["last_heartbeat"]) == ("ONLINE", None)


async def test_foreign_agent_id(world: World) -> None:
    """An agent id of another user is forbidden, closes with 4003, and leaves the owner's agent alone."""
    owner = await world.agent("a1")
    dashboard = await world.dashboard()
    thief = await world.socket("/ws/agent", "bob")
    await thief.say("AGENT_CONNECT", announcement("a1", version="6.6"))
    code, heard = await thief.ended()
    assert (code, [message["payload"]["code"] for message in heard]) == (4003, ["FORBIDDEN"])
    assert await dashboard.fence() == []
    assert (await owner.ask("AGENT_HEARTBEAT", beat("a1")))["type"] == "SERVER_HEARTBEAT"
    assert (await world.rest("GET", "/agents/a1"))[1]["data"]["version"] == "1.0"
    assert (await world.rest("GET", "/agents", "bob"))[1]["data"] == []


@pytest.mark.parametrize("clean", [True, False])
async def test_loss_is_told_once(world: World, *, clean: bool) -> None:
    """The end of an agent's socket, clean or not, is told once, and REST says OFFLINE."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await dashboard.fence()
    if clean:
        await agent.inner.close()
    else:
        agent.inner.transport.abort()
    lost = await dashboard.hear()
    assert (lost["type"], lost["payload"]["agentId"]) == ("AGENT_DISCONNECT", "a1")
    assert lost["payload"]["reason"] == ("client_closed" if clean else "connection_lost")
    assert (await world.rest("GET", "/agents/a1"))[1]["data"]["status"] == "OFFLINE"
    assert await dashboard.fence() == []


async def test_silent_agent_is_lost(database: str) -> None:
    """An agent that sends no heartbeat for more than three intervals is lost; one that does is not."""
    async with serving(database, timings={"heartbeat_interval_s": 0.1}) as world:
        dashboard = await world.dashboard()
        agent = await world.agent("a1")
        for _ in range(3):
            await agent.ask("AGENT_HEARTBEAT", beat("a1"))
        last = (await dashboard.fence())[-1]
        lost = await dashboard.hear()
        assert (lost["type"], lost["payload"]["reason"]) == ("AGENT_DISCONNECT", "heartbeat_timeout")
        assert 300 <= lost["payload"]["timestamp"] - last["payload"]["timestamp"] <= 400
        assert (await agent.ended())[0] == 1008
        assert await dashboard.fence() == []


async def test_agent_error(world: World) -> None:
    """An error reaches dashboards; one that is not recoverable lasts until the agent comes anew."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await dashboard.fence()
    said = {"agentId": "a1", "errorType": "RESOURCE", "message": "full", "recoverable": True, "details": {"disk": 0}}
    assert (await agent.ask("AGENT_ERROR", said))["type"] == "ACK"
    error, status = await dashboard.fence()
    assert error["payload"] == {**said, "timestamp": error["payload"]["timestamp"]}
    assert status["payload"]["status"] == "ONLINE"
    await agent.ask("AGENT_ERROR", {**said, "recoverable": False})
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    _, status, beaten = await dashboard.fence()
    assert (status["payload"]["status"], beaten["payload"]["status"]) == ("ERROR", "ERROR")
    fresh = await world.dashboard()
    snapshot = await fresh.ask("DASHBOARD_INIT", {})
    assert (await fresh.hear())["payload"]["agents"][0]["status"] == "ERROR"
    assert snapshot["type"] == "DASHBOARD_READY"
    await world.agent("a1")
    assert (await world.rest("GET", "/agents/a1"))[1]["data"]["status"] == "ONLINE"


async def test_restart_leaves_nobody_online(database: str) -> None:
    """After a restart every agent is OFFLINE and has kept its last numbers."""
    async with serving(database) as world:
        agent = await world.agent("a1")
        await agent.ask("AGENT_HEARTBEAT", beat("a1"))
        _, before = await world.rest("GET", "/agents/a1")
    async with serving(database) as world:
        _, after = await world.rest("GET", "/agents/a1")
        assert after["data"]["status"] == "OFFLINE"
        for key in ("last_metrics", "last_heartbeat", "created_at", "name"):
            assert after["data"][key] == before["data"][key]


async def test_flood_is_coalesced(world: World) -> None:
    """Under a flood of heartbeats few are told, and the last one's numbers arrive all the same."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await dashboard.fence()
    for number in range(90):
        await agent.say("AGENT_HEARTBEAT", beat("a1", commandsProcessed=number))
    told = [await dashboard.hear()]
    while told[-1]["payload"]["metrics"]["commandsExecuted"] < 89:
        told.append(await dashboard.hear())
    assert len(told) <= 24
    assert await dashboard.fence() == []


async def test_flood_then_loss(world: World) -> None:
    """What a flood held back is told before the agent's loss is."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await dashboard.fence()
    for number in range(30):
        await agent.ask("AGENT_HEARTBEAT", beat("a1", commandsProcessed=number))
    await agent.inner.close()
    told = [await dashboard.hear()]
    while told[-1]["type"] != "AGENT_DISCONNECT":
        told.append(await dashboard.hear())
    assert told[-2]["payload"]["metrics"]["commandsExecuted"] == 29
    assert await dashboard.fence() == []
