"""Commands from their creation to their end, over sockets and REST."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from reference_impl.tests.commanding import ends, given, given_up, of, posted, says, shown, starts, statuses
from reference_impl.tests.harness import beat

if TYPE_CHECKING:
    from reference_impl.tests.harness import Json, Socket, World

NOBODY = str(uuid.uuid4())


async def test_a_command_is_answered_told_and_delivered(world: World) -> None:
    """COMMAND_REQUEST is acknowledged first, then told as QUEUED, and reaches the agent as it was sent (CMD-1, 11)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    limits = {"timeLimitMs": 60_000, "tokenBudget": 5}
    asked = {"agentId": "a1", "content": "é\u0000\n🚀", "type": "PLAN", "priority": 7, "executionConstraints": limits}
    await dashboard.say("COMMAND_REQUEST", asked)
    answer, *told = await dashboard.fence()
    command = answer["payload"]["commandId"]
    assert (answer["type"], answer["payload"]["success"]) == ("ACK", True)
    assert of("COMMAND_STATUS", told) == [{"commandId": command, "agentId": "a1", "status": "QUEUED"}]
    (request,) = of("COMMAND_REQUEST", await agent.fence())
    wanted = {"content": asked["content"], "type": "PLAN", "priority": 7, "executionConstraints": limits}
    assert request == {"commandId": command, **wanted}
    stored = await shown(world, command)
    assert {name: stored[name] for name in wanted} == wanted
    assert (stored["status"], stored["targetAgents"], stored["broadcast"]) == ("QUEUED", ["a1"], False)
    assert (stored["startedAt"], stored["completedAt"], stored["error"]) == (None, None, None)


async def test_priority_and_limits_may_be_left_out(world: World) -> None:
    """Not given, the priority is 50 and there are no limits, over both channels (CMD-11)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    await given(dashboard, "a1")
    await posted(world, "a1")
    for request in of("COMMAND_REQUEST", await agent.fence()):
        assert (request["priority"], request["executionConstraints"]) == (50, None)


async def test_each_step_is_told_once_and_in_order(world: World) -> None:
    """Started and completed, a command is told as QUEUED, EXECUTING and COMPLETED, the same in REST (CMD-2, CMD-R3)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    await dashboard.say("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "REVIEW"})
    command = of("COMMAND_REQUEST", [await agent.until("COMMAND_REQUEST")])[0]["commandId"]
    for word in ("RECEIVED", "QUEUED"):
        assert (await says(agent, "COMMAND_ACK", command, word))["type"] == "ACK"
    assert (await shown(world, command))["status"] == "QUEUED"
    await starts(agent, command)
    running = await shown(world, command)
    assert (running["status"], running["completedAt"]) == ("EXECUTING", None)
    assert running["startedAt"] is not None
    await starts(agent, command)  # again, which tells nobody anything
    await ends(agent, command)
    told = await dashboard.fence()
    assert statuses(told) == ["QUEUED", "EXECUTING", "COMPLETED"]
    started, completed = of("COMMAND_STATUS", told)[1:]
    assert started["startedAt"] == completed["startedAt"] <= completed["completedAt"]
    over = await shown(world, command)
    assert (over["status"], over["startedAt"]) == ("COMPLETED", running["startedAt"])
    assert over["completedAt"] is not None
    assert over["agents"][0]["completedAt"] == over["completedAt"]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CANCELLED"])
async def test_an_agent_that_never_acknowledges(world: World, status: str) -> None:
    """COMMAND_COMPLETE straight from QUEUED is legal, with any of the three ends (CMD-2)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    command = await given(dashboard, "a1")
    await ends(agent, command, status, error="so it is")
    (told,) = [one for one in of("COMMAND_STATUS", await dashboard.fence()) if one["status"] != "QUEUED"]
    assert (told["status"], told["error"]) == (status, "so it is")
    assert (await shown(world, command))["error"] == "so it is"


async def test_what_the_machine_forbids(world: World) -> None:
    """Back from EXECUTING, twice, after the end, or by another agent: INVALID_STATE, and nothing changes (CMD-3)."""
    agent, other, dashboard = await world.agent("a1"), await world.agent("a2"), await world.dashboard()
    command = await given(dashboard, "a1")
    wrong = [await says(other, kind, command, "EXECUTING" if kind == "COMMAND_ACK" else "COMPLETED", "a2")
             for kind in ("COMMAND_ACK", "COMMAND_COMPLETE")]  # fmt: skip
    await starts(agent, command)
    wrong += [await says(agent, "COMMAND_ACK", command, word) for word in ("QUEUED", "RECEIVED")]
    await ends(agent, command)
    wrong += [await says(agent, "COMMAND_COMPLETE", command, word) for word in ("COMPLETED", "FAILED")]
    wrong += [await says(agent, "COMMAND_ACK", command, word) for word in ("EXECUTING", "RECEIVED")]
    assert {(one["type"], one["payload"]["code"]) for one in wrong} == {("ERROR", "INVALID_STATE")}
    assert statuses(await dashboard.fence()) == ["QUEUED", "EXECUTING", "COMPLETED"]
    assert (await shown(world, command))["status"] == "COMPLETED"


async def test_unknown_commands(world: World) -> None:
    """A command that does not exist, or is another user's, is NOT_FOUND in every message and 404 in REST (ISO-1)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    foreign = await posted(world, await _agent_of(world, "bob"), user="bob")
    for command in (NOBODY, foreign["id"]):
        answers = [await says(agent, "COMMAND_ACK", command, "EXECUTING")]
        answers += [await says(agent, "COMMAND_COMPLETE", command, "FAILED")]
        answers += [await dashboard.ask("COMMAND_CANCEL", {"commandId": command})]
        assert {one["payload"]["code"] for one in answers} == {"NOT_FOUND"}
        for method, path in (("GET", ""), ("POST", "/cancel")):
            status, body = await world.rest(method, f"/commands/{command}{path}")
            assert (status, body["code"]) == (404, "NOT_FOUND")
    assert (await world.rest("GET", "/commands/none"))[0] == 404
    assert (await world.rest("GET", f"/commands/{foreign['id']}", "bob"))[1]["data"]["status"] == "QUEUED"


async def _agent_of(world: World, user: str) -> str:
    await world.agent(f"{user}-1", user)
    return f"{user}-1"


async def test_unknown_agents_get_no_commands(world: World) -> None:
    """A command for an agent that does not exist, or is another user's, creates nothing (CMD-1, CMD-R4)."""
    dashboard = await world.dashboard()
    theirs = await world.agent("b1", "bob")
    for agent in ("nobody", "b1"):
        asked = {"agentId": agent, "content": "x", "type": "PLAN"}
        assert (await dashboard.ask("COMMAND_REQUEST", asked))["payload"]["code"] == "NOT_FOUND"
        body = {"content": "x", "type": "PLAN", "targetAgents": [agent]}
        assert (await world.rest("POST", "/commands", json=body))[0] == 404
    assert (await world.rest("GET", "/commands"))[1]["pagination"]["total"] == 0
    assert await theirs.fence() == []


async def test_the_same_id_twice_is_one_command(world: World) -> None:
    """A repeated request is acknowledged with the same id and causes nothing; other content is refused (CMD-6)."""
    agent, dashboard, other = await world.agent("a1"), await world.dashboard(), await world.dashboard("bob")
    await world.agent("b1", "bob")
    chosen = str(uuid.uuid4()).upper()
    assert await given(dashboard, "a1", commandId=chosen) == chosen
    assert await given(dashboard, "a1", commandId=chosen) == chosen
    asked = {"agentId": "a1", "content": "else", "type": "NATURAL", "commandId": chosen}
    assert (await dashboard.ask("COMMAND_REQUEST", asked))["payload"]["code"] == "INVALID_STATE"
    await other.fence()
    foreign = await other.ask("COMMAND_REQUEST", {**asked, "agentId": "b1"})
    assert foreign["payload"]["code"] == "INVALID_STATE"
    assert len(of("COMMAND_REQUEST", await agent.fence())) == 1
    assert (await world.rest("GET", "/commands"))[1]["pagination"]["total"] == 1


async def test_two_dashboards_send_the_same_command_at_once(world: World) -> None:
    """However they race, it is one command, delivered once, and both have their ACK (CMD-6)."""
    agent = await world.agent("a1")
    dashboards = [await world.dashboard() for _ in range(4)]
    chosen = str(uuid.uuid4())
    await asyncio.gather(*(given(dashboard, "a1", commandId=chosen) for dashboard in dashboards))
    assert [one["commandId"] for one in of("COMMAND_REQUEST", await agent.fence())] == [chosen]


async def test_what_an_agent_does_is_told(world: World) -> None:
    """An agent is QUEUED while commands only wait, PROCESSING while one executes, else IDLE (CMD-10, STA-8)."""
    agent, dashboard = await world.agent("a1"), await world.dashboard()
    await dashboard.fence()
    first, second = await given(dashboard, "a1", type="REVIEW"), await given(dashboard, "a1")
    told = of("AGENT_STATUS", await dashboard.fence())
    await starts(agent, first)
    await starts(agent, second)
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    await ends(agent, first)
    await ends(agent, second)
    told += of("AGENT_STATUS", await dashboard.fence())
    states = [(one["activityState"], one["queuedCommands"], one.get("currentCommand", {}).get("id")) for one in told]
    assert states == [
        ("PROCESSING", 1, first),
        ("PROCESSING", 0, first),
        ("PROCESSING", 0, first),
        ("PROCESSING", 0, second),
        ("IDLE", 0, None),
    ]
    assert told[0]["currentCommand"]["type"] == "REVIEW"


async def test_a_broadcast_goes_to_all(world: World) -> None:
    """A broadcast reaches every agent of the user, away or not, and is as far as all of them are (CMD-R1)."""
    away = await world.agent("a2")
    await away.inner.close()
    agent, other, dashboard = await world.agent("a1"), await world.agent("b1", "bob"), await world.dashboard()
    command = (await posted(world, broadcast=True))["id"]
    assert {one["agentId"] for one in of("COMMAND_STATUS", await dashboard.fence())} == {"a1", "a2"}
    assert len(of("COMMAND_REQUEST", await agent.fence())) == 1
    assert await other.fence() == []
    await starts(agent, command)
    assert (await shown(world, command))["status"] == "EXECUTING"
    await ends(agent, command, "FAILED", error="no")
    waiting = await shown(world, command)
    assert (waiting["status"], waiting["completedAt"], waiting["error"]) == ("EXECUTING", None, None)
    back = await world.agent("a2")
    await ends(back, command, name="a2")
    over = await shown(world, command)
    assert (over["status"], over["error"]) == ("FAILED", "no")
    assert sorted((one["agentId"], one["status"]) for one in over["agents"]) == [("a1", "FAILED"), ("a2", "COMPLETED")]


async def test_bodies_that_create_nothing(world: World) -> None:
    """A broken body is 400, a broadcast to no agents 409 NO_AGENTS, and nothing is created (CMD-R4, VAL-1)."""
    status, answer = await world.rest("POST", "/commands", json={"content": "x", "type": "PLAN", "broadcast": True})
    assert (status, answer["code"]) == (409, "NO_AGENTS")
    await world.agent("a1")
    good: Json = {"content": "x", "type": "PLAN", "targetAgents": ["a1", "a1"]}
    wrong: list[Json] = [
        {"content": ""},
        {"content": "x" * 10_001},
        {"content": None},
        {"type": "plan"},
        {"type": "OTHER"},
        {"targetAgents": []},
        {"targetAgents": "a1"},
        {"targetAgents": ["not an id"]},
        {"targetAgents": [], "broadcast": False},
        {"broadcast": "yes"},
        {"priority": 101},
        {"priority": -1},
        {"priority": 1.5},
        {"priority": True},
        {"priority": "5"},
        {"executionConstraints": None},
        {"executionConstraints": {"timeLimitMs": 0}},
        {"executionConstraints": {"maxRetries": -1}},
        {"executionConstraints": {"tokenBudget": 1.5}},
    ]
    for change in wrong:
        status, answer = await world.rest("POST", "/commands", json={**good, **change})
        assert (status, answer["code"]) == (400, "VALIDATION_ERROR"), change
    assert (await world.rest("GET", "/commands"))[1]["pagination"]["total"] == 0
    created = await posted(world, "a1", "a1", priority=3.0, content="🚀" * 10_000)
    assert (created["targetAgents"], created["priority"]) == (["a1"], 3)


async def test_lists_of_commands(world: World) -> None:
    """The newest comes first; status and agent filter, also the total; another user's are not there (CMD-R5, ISO-2)."""
    agent = await world.agent("a1")
    await world.agent("a2")
    await world.agent("b1", "bob")
    await posted(world, "b1", user="bob")
    one, two = (await posted(world, "a1"))["id"], (await posted(world, "a2"))["id"]
    both = (await posted(world, "a2", "a1"))["id"]
    await ends(agent, one)

    async def listed(query: str) -> tuple[list[str], int]:
        status, answer = await world.rest("GET", f"/commands?{query}")
        assert status == 200, answer
        return [item["id"] for item in answer["data"]], answer["pagination"]["total"]

    assert await listed("") == ([both, two, one], 3)
    assert await listed("limit=1&offset=1") == ([two], 3)
    assert await listed("status=QUEUED") == ([both, two], 2)
    assert await listed("agentId=a1&limit=1") == ([both], 2)
    assert await listed("agentId=a1&status=COMPLETED") == ([one], 1)
    assert await listed("agentId=b1") == ([], 0)
    for query in ("status=queued", "status=", "limit=0", "limit=101", "offset=-1", "agentId=a%20b"):
        assert (await world.rest("GET", f"/commands?{query}"))[0] == 400, query


async def asked(dashboard: Socket, kind: str, payload: Json) -> Json:
    await dashboard.say(kind, payload)
    return await dashboard.until("ACK")


async def test_subscriptions_to_commands(world: World) -> None:
    """A list limits COMMAND_STATUS, one can be added and taken away, an unknown one is refused (SUB-2..5)."""
    await world.agent("a1")
    sender = await world.dashboard()
    one, two = await given(sender, "a1"), await given(sender, "a1")
    foreign = await posted(world, await _agent_of(world, "bob"), user="bob")
    few = await world.dashboard(subscriptions={"commands": [one]})
    more = await world.dashboard()
    for command in (NOBODY, foreign["id"], "x"):
        answer = (await asked(few, "DASHBOARD_SUBSCRIBE", {"type": "command", "id": command}))["payload"]
        assert (answer["success"], answer["error"], answer["subscriptions"]["commands"]) == (False, "NOT_FOUND", [one])
    answer = (await asked(more, "DASHBOARD_UNSUBSCRIBE", {"type": "command", "id": one}))["payload"]
    assert (answer["success"], answer["subscriptions"]["commands"]) == (True, [two])
    for command in (one, two):
        await given_up(sender, command)
    assert {told["commandId"] for told in of("COMMAND_STATUS", await few.fence())} == {one}
    assert {told["commandId"] for told in of("COMMAND_STATUS", await more.fence())} == {two}


async def test_another_users_agent_of_the_same_id(world: World) -> None:
    """An id that was deleted and is taken by another user brings none of the old commands with it (ISO-1)."""
    agent = await world.agent("a1")
    old = (await posted(world, "a1"))["id"]
    await agent.inner.close()
    watching = await world.dashboard()
    while (await world.rest("DELETE", "/agents/a1"))[0] != 204:
        await watching.until("AGENT_DISCONNECT")
    theirs = await world.agent("a1", "bob")
    assert (await says(theirs, "COMMAND_COMPLETE", old, "COMPLETED"))["payload"]["code"] == "NOT_FOUND"
    assert (await world.rest("GET", "/commands?agentId=a1", "bob"))[1]["pagination"]["total"] == 0
