"""Defects of commands and control: what each shows on the wire, where the clean server is right."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import websockets

from reference_impl.defects import load
from reference_impl.tests.commanding import ends, given, of, posted, says, shown, starts, statuses
from reference_impl.tests.harness import serving

if TYPE_CHECKING:
    from pathlib import Path

    from reference_impl.tests.harness import World

Right = Callable[["World"], Awaitable[bool]]


async def lost(world: World) -> bool:
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    command = await given(dashboard, "a1")
    return [one["commandId"] for one in of("COMMAND_REQUEST", await agent.fence())] == [command]


async def content_dropped(world: World) -> bool:
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    await given(dashboard, "a1", priority=7, executionConstraints={"tokenBudget": 5})
    (request,) = of("COMMAND_REQUEST", await agent.fence())
    return (request["priority"], request["executionConstraints"]) == (7, {"tokenBudget": 5})


async def priority_inverted(world: World) -> bool:
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    first = [await given(dashboard, "a1") for _ in range(5)]
    _, high = await given(dashboard, "a1", priority=1), await given(dashboard, "a1", priority=99)
    await agent.fence()
    await ends(agent, first[0])
    return [one["commandId"] for one in of("COMMAND_REQUEST", await agent.fence())] == [high]


async def complete_is_failed(world: World) -> bool:
    agent = await world.agent("a1")
    command = (await posted(world, "a1"))["id"]
    await ends(agent, command)
    return bool((await shown(world, command))["status"] == "COMPLETED")


async def status_missing(world: World) -> bool:
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    command = await given(dashboard, "a1")
    await starts(agent, command)
    await ends(agent, command)
    return statuses(await dashboard.fence()) == ["QUEUED", "EXECUTING", "COMPLETED"]


async def reopened(world: World) -> bool:
    agent = await world.agent("a1")
    command = (await posted(world, "a1"))["id"]
    await ends(agent, command)
    await says(agent, "COMMAND_ACK", command, "EXECUTING")
    return bool((await shown(world, command))["status"] == "COMPLETED")


async def duplicate_runs(world: World) -> bool:
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    chosen = str(uuid.uuid4())
    for _ in range(2):
        await given(dashboard, "a1", commandId=chosen)
    return len(of("COMMAND_REQUEST", await agent.fence())) == 1


async def offline_dropped(world: World) -> bool:
    dashboard, agent = await world.dashboard(), await world.agent("a1")
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    command = (await posted(world, "a1"))["id"]
    back = await world.agent("a1")
    return [one["commandId"] for one in of("COMMAND_REQUEST", await back.fence())] == [command]


async def orphaned(world: World) -> bool:
    dashboard, agent = await world.dashboard(), await world.agent("a1")
    command = (await posted(world, "a1"))["id"]
    await starts(agent, command)
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    return bool((await shown(world, command))["status"] == "FAILED")


async def cross_user(world: World) -> bool:
    agent, foreign = await world.agent("a1"), await world.dashboard("bob")
    await foreign.ask("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"})
    return await agent.fence() == []


async def stops_everyone(world: World) -> bool:
    theirs, dashboard = await world.agent("b1", "bob"), await world.dashboard()
    await dashboard.ask("EMERGENCY_STOP", {})
    await world.rest("GET", "/commands")  # takes a turn, so that the stop is over
    return await theirs.fence() == []


async def false_counts(world: World) -> bool:
    await world.agent("a1")
    dashboard = await world.dashboard()
    _, answer = await world.rest("POST", "/system/emergency-stop")
    told = (await dashboard.until("EMERGENCY_STOP"))["payload"]
    return bool(answer["data"]["agentsStopped"] == told["agentsStopped"] == 1)


async def commands_open(world: World) -> bool:
    return (await world.rest("GET", "/commands", None))[0] == 401


async def restart_offline(world: World) -> bool:
    dashboard, agent = await world.dashboard(), await world.agent("a1")
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    assert (await world.rest("POST", "/agents/a1/stop"))[0] == 409
    return (await world.rest("POST", "/agents/a1/restart"))[0] == 409


async def both_served(world: World) -> bool:
    first, second = await world.agent("a1"), await world.agent("a1")
    command = (await posted(world, "a1"))["id"]
    assert (await second.until("COMMAND_REQUEST"))["payload"]["commandId"] == command
    try:
        await first.until("COMMAND_REQUEST")
    except websockets.ConnectionClosed:
        return True
    return False


CHECKS: dict[str, Right] = {
    "command-lost": lost,
    "command-content-dropped": content_dropped,
    "command-priority-inverted": priority_inverted,
    "command-complete-is-failed": complete_is_failed,
    "command-status-missing": status_missing,
    "command-reopened": reopened,
    "command-duplicate-runs": duplicate_runs,
    "command-offline-dropped": offline_dropped,
    "command-orphaned": orphaned,
    "cross-user-command": cross_user,
    "emergency-stops-everyone": stops_everyone,
    "emergency-false-counts": false_counts,
    "rest-commands-open": commands_open,
    "rest-restart-offline-ok": restart_offline,
    "two-sockets-both-served": both_served,
}


@pytest.mark.parametrize("name", CHECKS)
async def test_shows_on_the_wire(name: str, tmp_path: Path) -> None:
    """What is right on the clean server is wrong with the defect."""
    async with serving(str(tmp_path / "clean.sqlite3")) as world:
        assert await CHECKS[name](world)
    async with serving(str(tmp_path / "defect.sqlite3"), wrap=load([name])[0].apply) as world:
        assert not await CHECKS[name](world)


@pytest.mark.parametrize(("defects", "status"), [([], "OFFLINE"), (["restart-keeps-online"], "ONLINE")])
async def test_restart_keeps_online(defects: list[str], status: str, tmp_path: Path) -> None:
    """With restart-keeps-online an agent is ONLINE after a restart, connected to nobody."""
    path = str(tmp_path / "onsembl.sqlite3")
    for first in (True, False):
        wraps = [defect.apply for defect in load(defects)]
        async with serving(path, wrap=wraps[0] if wraps else lambda parts: parts) as world:
            if first:
                await world.agent("a1")
                stays = world.close
                world.close = nothing  # type: ignore[method-assign]  # the server is the first to leave
            else:
                assert (await world.rest("GET", "/agents/a1"))[1]["data"]["status"] == status
        if first:
            await stays()


async def nothing() -> None:
    """Leave the sockets open."""
