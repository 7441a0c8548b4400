"""What waits for an agent: in which order, how much of it, and what dashboards are told of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.tests.commanding import ends, given, of, posted, says, shown, starts
from reference_impl.tests.harness import beat, serving

if TYPE_CHECKING:
    from reference_impl.tests.harness import World


async def test_what_waits_goes_by_priority_then_by_age(world: World) -> None:
    """An agent has five at a time; the others follow, the most urgent first, then the oldest (CMD-4)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    first = [await given(dashboard, "a1", priority=1) for _ in range(5)]
    waiting = {name: await given(dashboard, "a1", priority=rank) for name, rank in
               (("low", 10), ("high", 90), ("old", 50), ("young", 50))}  # fmt: skip
    assert [one["commandId"] for one in of("COMMAND_REQUEST", await agent.fence())] == first
    for command, following in zip(first, ("high", "old", "young", "low"), strict=False):
        await says(agent, "COMMAND_ACK", command, "RECEIVED")
        assert of("COMMAND_REQUEST", await agent.fence()) == []
        await ends(agent, command)
        assert [one["commandId"] for one in of("COMMAND_REQUEST", await agent.fence())] == [waiting[following]]


async def test_the_queue_is_told(world: World) -> None:
    """QUEUE_UPDATE lists what executes and all that waits, by position, soon after each change (CMD-4)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    low, high = await given(dashboard, "a1", priority=1), await given(dashboard, "a1", priority=99)
    while (told := (await dashboard.until("QUEUE_UPDATE"))["payload"])["queueSize"] < 2:
        pass
    assert [(one["commandId"], one["position"], one["priority"]) for one in told["queued"]] == [
        (high, 0, 99),
        (low, 1, 1),
    ]
    await starts(agent, low)
    while not (told := (await dashboard.until("QUEUE_UPDATE"))["payload"])["executing"]:
        pass
    assert [one["commandId"] for one in told["executing"]] == [low]
    assert [one["commandId"] for one in told["queued"]] == [high]
    assert told["queueSize"] == 1


async def test_an_offline_agent_gets_its_commands_when_it_comes(world: World) -> None:
    """What was asked for while it was away waits as QUEUED and is delivered on connecting, by priority (CMD-5)."""
    agent = await world.agent("a1")
    await agent.inner.close()
    dashboard = await world.dashboard()
    low, high = (await posted(world, "a1", priority=3))["id"], await given(dashboard, "a1", priority=4)
    assert (await shown(world, low))["status"] == "QUEUED"
    back = await world.agent("a1")
    assert [one["commandId"] for one in of("COMMAND_REQUEST", await back.fence())] == [high, low]


async def test_delivered_once_per_connection(world: World) -> None:
    """What was not started is delivered again after a reconnect, once, and nothing else is (CMD-5)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    started, over, acknowledged, fresh = [await given(dashboard, "a1") for _ in range(4)]
    await says(agent, "COMMAND_ACK", acknowledged, "RECEIVED")
    await ends(agent, over)
    await starts(agent, started)
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    back = await world.agent("a1")
    assert [one["commandId"] for one in of("COMMAND_REQUEST", await back.fence())] == [acknowledged, fresh]
    await back.ask("AGENT_HEARTBEAT", beat("a1"))
    assert of("COMMAND_REQUEST", await back.fence()) == []


async def test_a_full_queue_refuses(database: str) -> None:
    """Beyond the limit the next command is refused with QUEUE_FULL on both channels, and not created (CMD-5)."""
    async with serving(database, limits={"commands_waiting": 3}) as world:
        await (await world.agent("a1")).inner.close()
        await world.agent("a2")
        dashboard = await world.dashboard()
        for _ in range(3):
            await given(dashboard, "a1")
        await dashboard.fence()
        refused = await dashboard.ask("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"})
        assert refused["payload"]["code"] == "QUEUE_FULL"
        body = {"content": "x", "type": "PLAN", "broadcast": True}
        status, answer = await world.rest("POST", "/commands", json=body)
        assert (status, answer["code"]) == (409, "QUEUE_FULL")
        assert (await world.rest("GET", "/commands"))[1]["pagination"]["total"] == 3
