"""Telling agents what to do: control, stop, restart, and the emergency stop; and what the system counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from reference_impl.tests.commanding import ends, given, of, posted, shown, starts, statuses

if TYPE_CHECKING:
    from reference_impl.tests.harness import Json, World


@pytest.mark.parametrize("action", ["STOP", "RESTART", "PAUSE", "RESUME"])
async def test_control_reaches_that_agent_only(world: World, action: str) -> None:
    """AGENT_CONTROL from a dashboard is acknowledged and reaches the agent it names, no other (CTL-1)."""
    agent, other, dashboard = await world.agent("a1"), await world.agent("a2"), await world.dashboard()
    answer = await dashboard.ask("AGENT_CONTROL", {"agentId": "a1", "action": action, "reason": "because"})
    assert (answer["type"], answer["payload"]["success"]) == ("ACK", True)
    assert of("AGENT_CONTROL", await agent.fence()) == [{"agentId": "a1", "action": action, "reason": "because"}]
    assert await other.fence() == []


async def test_control_of_who_cannot_be_told(world: World) -> None:
    """An agent that is away is AGENT_OFFLINE, one that is not the user's NOT_FOUND (CTL-1)."""
    away = await world.agent("a1")
    await away.inner.close()
    theirs, dashboard = await world.agent("b1", "bob"), await world.dashboard()
    while (status := (await world.rest("GET", "/agents/a1"))[1]["data"]["status"]) != "OFFLINE":
        assert status == "ONLINE"
    for agent, code in (("a1", "AGENT_OFFLINE"), ("b1", "NOT_FOUND"), ("nobody", "NOT_FOUND")):
        answer = await dashboard.ask("AGENT_CONTROL", {"agentId": agent, "action": "STOP"})
        assert (answer["type"], answer["payload"]["code"]) == ("ERROR", code)
    assert await theirs.fence() == []


@pytest.mark.parametrize("word", ["stop", "restart"])
async def test_stop_and_restart_over_rest(world: World, word: str) -> None:
    """They answer 202 and the agent gets AGENT_CONTROL; 409 when it is away, 404 when it is unknown (AGT-12)."""
    agent, theirs = await world.agent("a1"), await world.agent("b1", "bob")
    bodies: list[Json] = [{"json": {"reason": "because"}}, {"json": {}}, {}]
    for options in bodies:
        status, answer = await world.rest("POST", f"/agents/a1/{word}", **options)
        assert (status, answer["success"], type(answer["data"])) == (202, True, dict)
    told = of("AGENT_CONTROL", await agent.fence())
    assert [(one["action"], one["reason"]) for one in told] == [
        (word.upper(), "because"),
        (word.upper(), None),
        (word.upper(), None),
    ]
    null: Json = {"data": "null", "headers": {"Content-Type": "application/json"}}
    wrong: list[Json] = [{"json": {"reason": 5}}, {"json": []}, null]
    for options in wrong:
        assert (await world.rest("POST", f"/agents/a1/{word}", **options))[0] == 400
    assert (await world.rest("POST", f"/agents/a1/{word}", data="reason=x"))[0] == 415
    for name in ("nobody", "b1", "a%20b"):
        assert (await world.rest("POST", f"/agents/{name}/{word}"))[0] == 404
    await agent.inner.close()
    await (await world.dashboard()).fence()
    while (refused := await world.rest("POST", f"/agents/a1/{word}"))[0] == 202:
        pass
    assert (refused[0], refused[1]["code"]) == (409, "AGENT_OFFLINE")
    assert await theirs.fence() == []


@pytest.mark.parametrize("over_rest", [True, False])
async def test_emergency_stop(world: World, *, over_rest: bool) -> None:
    """Every connected agent gets STOP, every unfinished command is CANCELLED, and the counts are true (STP-1)."""
    agent, second, away = [await world.agent(name) for name in ("a1", "a2", "a3")]
    dashboard, deaf = await world.dashboard(), await world.dashboard(subscriptions={"agents": ["x"], "commands": []})
    await away.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    theirs, bystander = await world.agent("b1", "bob"), await world.dashboard("bob")
    foreign = await posted(world, "b1", user="bob")
    over, executing, *waiting = [await given(dashboard, "a1") for _ in range(8)]
    offline, everywhere = (await posted(world, "a3"))["id"], (await posted(world, broadcast=True))["id"]
    await ends(agent, over)
    await starts(agent, executing)
    for socket in (agent, second, dashboard, theirs, bystander):
        await socket.fence()
    if over_rest:
        status, answer = await world.rest("POST", "/system/emergency-stop", json={"reason": "smoke"})
        assert status == 200
        counted = {name: answer["data"][name] for name in ("agentsStopped", "commandsCancelled")}
        assert answer["data"]["timestamp"].endswith("Z")
    else:
        await dashboard.say("EMERGENCY_STOP", {"reason": "smoke"})
        assert (await dashboard.until("ACK"))["payload"]["success"] is True
        counted = {"agentsStopped": 2, "commandsCancelled": 9}
    told = (await deaf.until("EMERGENCY_STOP"))["payload"]
    assert (told.pop("timestamp") > 0, told) == (True, {"triggeredBy": "alice", "reason": "smoke", **counted})
    assert counted == {"agentsStopped": 2, "commandsCancelled": 9}
    for socket in (agent, second):
        heard = await socket.fence()
        assert [one["action"] for one in of("AGENT_CONTROL", heard)] == ["STOP"]
        assert of("COMMAND_REQUEST", heard) == []
    for command in (executing, *waiting, offline, everywhere):
        assert (await shown(world, command))["status"] == "CANCELLED"
    assert (await shown(world, over))["status"] == "COMPLETED"
    assert (await world.rest("GET", f"/commands/{foreign['id']}", "bob"))[1]["data"]["status"] == "QUEUED"
    assert [*await theirs.fence(), *await bystander.fence()] == []


async def test_nothing_to_stop(world: World) -> None:
    """Without agents and commands an emergency stop stops nothing, says so, and gives no reason (STP-1)."""
    dashboard = await world.dashboard()
    assert (await dashboard.ask("EMERGENCY_STOP", {}))["type"] == "ACK"
    told = (await dashboard.until("EMERGENCY_STOP"))["payload"]
    assert (told["agentsStopped"], told["commandsCancelled"], told["reason"]) == (0, 0, None)


async def test_a_stop_in_the_middle_of_everything(world: World) -> None:
    """However it races with new commands, each one ends CANCELLED or waits, and the counts add up (STP-1, CNS-2)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    asked = [asyncio.create_task(posted(world, "a1")) for _ in range(10)]
    status, answer = await world.rest("POST", "/system/emergency-stop")
    await asyncio.gather(*asked, posted(world, "a1"))
    assert status == 200
    cancelled = statuses(await dashboard.fence()).count("CANCELLED")
    assert cancelled == answer["data"]["commandsCancelled"]
    assert (await world.rest("GET", "/commands?status=CANCELLED"))[1]["pagination"]["total"] == cancelled
    assert (await world.rest("GET", "/commands?status=QUEUED"))[1]["pagination"]["total"] == 11 - cancelled
    assert len(of("AGENT_CONTROL", await agent.fence())) == 1


async def test_the_system_counts_the_callers_own(world: World) -> None:
    """GET /system/status counts the caller's agents and commands by status, and nobody else's (SYS-1, ISO-2)."""
    agent, broken = await world.agent("a1"), await world.agent("a2")
    away = await world.agent("a3")
    await away.inner.close()
    await world.agent("b1", "bob")
    await posted(world, "b1", user="bob")
    failing = {"agentId": "a2", "errorType": "UNKNOWN", "message": "no", "recoverable": False}
    await broken.ask("AGENT_ERROR", failing)
    commands = [(await posted(world, "a1"))["id"] for _ in range(4)]
    await starts(agent, commands[0])
    await ends(agent, commands[1])
    await ends(agent, commands[2], "FAILED")
    status, answer = await world.rest("GET", "/system/status")
    said = answer["data"]
    assert status == 200
    assert (said["status"], type(said["version"])) == ("healthy", str)
    assert said["uptime"] >= 0
    assert said["agents"] == {"total": 3, "online": 1, "offline": 1, "error": 1}
    wanted = {"pending": 0, "queued": 1, "executing": 1, "completed": 1, "failed": 1, "cancelled": 0}
    assert said["commands"] == wanted


@pytest.mark.parametrize("path", ["/commands", "/system/status", "/commands/x"])
async def test_commands_need_a_token(world: World, path: str) -> None:
    """Without a token nothing about commands is answered (AUTH-1)."""
    assert (await world.rest("GET", path, None))[0] == 401
