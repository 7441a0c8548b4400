"""Commands that end otherwise than by their agent's word: lost, cancelled, too slow, deleted, or met by a crash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reference_impl.tests.commanding import ends, given, given_up, of, posted, says, shown, starts, statuses
from reference_impl.tests.harness import serving

if TYPE_CHECKING:
    from reference_impl.tests.harness import World


async def test_losing_the_agent_fails_what_it_executes(world: World) -> None:
    """EXECUTING becomes FAILED with "Agent disconnected"; what waits goes on waiting (CMD-8)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    executing, waiting = await given(dashboard, "a1"), await given(dashboard, "a1")
    await starts(agent, executing)
    await agent.inner.close()
    while (told := (await dashboard.until("COMMAND_STATUS"))["payload"])["status"] != "FAILED":
        pass
    assert (told["commandId"], told["error"]) == (executing, "Agent disconnected")
    status = (await dashboard.until("AGENT_STATUS"))["payload"]
    assert (status["status"], status["activityState"]) == ("OFFLINE", "QUEUED")
    failed = await shown(world, executing)
    assert (failed["status"], failed["error"]) == ("FAILED", "Agent disconnected")
    assert (await shown(world, waiting))["status"] == "QUEUED"


async def test_a_replaced_connection_is_no_loss(world: World) -> None:
    """A second connection goes on with what executes and gets again what has not started (CON-4, CMD-5, CMD-8)."""
    first, dashboard = await world.agent("a1"), await world.dashboard()
    executing, waiting = await given(dashboard, "a1"), await given(dashboard, "a1")
    await starts(first, executing)
    second = await world.agent("a1")
    assert (await first.ended())[0] == 4008
    assert [one["commandId"] for one in of("COMMAND_REQUEST", await second.fence())] == [waiting]
    await ends(second, executing)
    assert (await shown(world, executing))["status"] == "COMPLETED"
    assert "FAILED" not in statuses(await dashboard.fence())


async def test_a_cancel_before_the_start(world: World) -> None:
    """Not started, a command is CANCELLED at once, and its agent told if it has it (CMD-7)."""
    agent, dashboard, other = await world.agent("a1"), await world.dashboard(), await world.dashboard()
    delivered, *_, waiting = [await given(dashboard, "a1") for _ in range(6)]
    await agent.fence()
    for command in (waiting, delivered):
        await other.say("COMMAND_CANCEL", {"commandId": command, "reason": "no more"})
        assert (await other.until("ACK"))["payload"]["success"] is True
        assert (await shown(world, command))["status"] == "CANCELLED"
    heard = await agent.fence()
    assert of("COMMAND_CANCEL", heard) == [{"commandId": delivered, "reason": "no more"}]
    assert of("COMMAND_REQUEST", heard) == []
    told = [one["commandId"] for one in of("COMMAND_STATUS", await dashboard.fence()) if one["status"] == "CANCELLED"]
    assert told == [waiting, delivered]


async def test_a_cancel_while_executing(world: World) -> None:
    """EXECUTING, it ends as its agent says, whatever that is (CMD-7, CMD-R5)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    for status in ("CANCELLED", "COMPLETED", "FAILED"):
        command = await given(dashboard, "a1")
        await starts(agent, command)
        answered, body = await world.rest("POST", f"/commands/{command}/cancel", json={"reason": "stop it"})
        assert (answered, body["data"]["status"]) == (200, "EXECUTING")
        assert (await agent.until("COMMAND_CANCEL"))["payload"] == {"commandId": command, "reason": "stop it"}
        await ends(agent, command, status)
        assert (await shown(world, command))["status"] == status
        answered, body = await world.rest("POST", f"/commands/{command}/cancel")
        assert (answered, body["code"]) == (409, "INVALID_STATE")
        await dashboard.say("COMMAND_CANCEL", {"commandId": command})
        assert (await dashboard.until("ERROR"))["payload"]["code"] == "INVALID_STATE"


async def test_a_cancel_that_the_agent_ignores(database: str) -> None:
    """After its grace an executing command is CANCELLED all the same, and its agent's word comes too late (CMD-7)."""
    async with serving(database, timings={"cancel_grace_s": 0.2}) as world:
        agent, dashboard = await world.agent("a1"), await world.dashboard()
        command = await given(dashboard, "a1")
        await starts(agent, command)
        await given_up(dashboard, command)
        started, over = (await shown(world, command))["updatedAt"], None
        while over != "CANCELLED":
            over = (await dashboard.until("COMMAND_STATUS"))["payload"]["status"]
        assert (await shown(world, command))["completedAt"] > started
        late = await says(agent, "COMMAND_COMPLETE", command, "COMPLETED")
        assert late["payload"]["code"] == "INVALID_STATE"


async def test_a_time_limit(world: World) -> None:
    """Past its limit, counted from its start, a command is FAILED and its agent told to give it up (CMD-9)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    command = await given(dashboard, "a1", executionConstraints={"timeLimitMs": 150})
    unlimited = await given(dashboard, "a1", executionConstraints={})
    for one in (command, unlimited):
        await starts(agent, one)
    assert (await agent.until("COMMAND_CANCEL"))["payload"]["commandId"] == command
    while (told := (await dashboard.until("COMMAND_STATUS"))["payload"])["status"] != "FAILED":
        pass
    assert told["completedAt"] - told["startedAt"] >= 150
    assert told["error"]
    assert (await shown(world, unlimited))["status"] == "EXECUTING"


async def test_deleting_an_agent_cancels_its_commands(world: World) -> None:
    """What it has not finished is CANCELLED, also within a command for several, and stays readable (AGT-11)."""
    agent, other, dashboard = await world.agent("a1"), await world.agent("a2"), await world.dashboard()
    over, alone = await given(dashboard, "a1"), await given(dashboard, "a1")
    shared = (await posted(world, "a1", "a2"))["id"]
    await ends(agent, over)
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    assert (await world.rest("DELETE", "/agents/a1"))[0] == 204
    now = [(await shown(world, one))["status"] for one in (over, alone, shared)]
    assert now == ["COMPLETED", "CANCELLED", "QUEUED"]
    await ends(other, shared, name="a2")
    assert (await shown(world, shared))["status"] == "CANCELLED"
    again = await world.agent("a1")
    assert of("COMMAND_REQUEST", await again.fence()) == []


async def test_cancel_and_completion_race(world: World) -> None:
    """Whoever is first, the other is told so, and each command has one end in every view (CMD-3, CMD-7, CNS-2)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    for _ in range(10):
        command = await given(dashboard, "a1")
        await agent.until("COMMAND_REQUEST")
        cancelled, completed = await asyncio.gather(
            world.rest("POST", f"/commands/{command}/cancel"), says(agent, "COMMAND_COMPLETE", command, "COMPLETED")
        )
        over = (await shown(world, command))["status"]
        assert over == ("CANCELLED" if cancelled[0] == 200 else "COMPLETED")
        assert (completed["type"] == "ACK") is (over == "COMPLETED")
        assert statuses(await dashboard.fence())[-1] == over


async def test_cancel_and_start_race(world: World) -> None:
    """A command that is cancelled as it starts ends CANCELLED, or executes and is asked to end (CMD-7)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    for _ in range(10):
        command = await given(dashboard, "a1")
        started, (status, body) = await asyncio.gather(
            says(agent, "COMMAND_ACK", command, "EXECUTING"), world.rest("POST", f"/commands/{command}/cancel")
        )
        assert status == 200
        assert body["data"]["status"] == ("EXECUTING" if started["type"] == "ACK" else "CANCELLED")
        if started["type"] == "ACK":
            await ends(agent, command, "CANCELLED")
        assert (await shown(world, command))["status"] == "CANCELLED"


async def test_a_restart_of_the_server(database: str) -> None:
    """What executed has failed, what waited still waits and is delivered, what was over stays (CMD-8, CNS-4)."""
    async with serving(database) as world:
        agent, dashboard = await world.agent("a1"), await world.dashboard()
        executing, waiting, over = [await given(dashboard, "a1") for _ in range(3)]
        await starts(agent, executing)
        await ends(agent, over)
    async with serving(database) as world:
        failed = await shown(world, executing)
        assert (failed["status"], failed["error"]) == ("FAILED", "Agent disconnected")
        assert [(await shown(world, one))["status"] for one in (waiting, over)] == ["QUEUED", "COMPLETED"]
        agent = await world.agent("a1")
        assert [one["commandId"] for one in of("COMMAND_REQUEST", await agent.fence())] == [waiting]


async def test_a_crash_of_the_server(database: str) -> None:
    """A command that was executing when the process died without a word has failed when it is back (CMD-8)."""
    async with serving(database) as world:
        agent, dashboard = await world.agent("a1"), await world.dashboard()
        command = await given(dashboard, "a1")
        await starts(agent, command)
        sudden_death(world)
    async with serving(database) as world:
        assert (await shown(world, command))["error"] == "Agent disconnected"


def sudden_death(world: World) -> None:
    """From now on the store keeps nothing more of what the server does."""

    async def nothing(*_: object) -> None:
        """Write nothing."""

    world.parts.commands.save = nothing  # type: ignore[method-assign,assignment]
