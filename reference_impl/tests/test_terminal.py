"""Terminal output: from the agent to dashboards and into the history, unchanged and once (TRM-1..4, TRM-6, TRM-7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from reference_impl.tests.harness import serving
from reference_impl.tests.putting_out import an_id, command, output

if TYPE_CHECKING:
    from pathlib import Path

    from reference_impl.tests.harness import Json, Socket, World

ODD = [
    "",
    "\n\n",
    "\x1b[31mred\x1b[0m",
    "🚀👩‍👩‍👧",
    "50 %\r100 %\r\n",
    "NUL\x00inside",
    "  blanks  ",
    "\u2028é",
    "a\\u0041\"'<b>&",
]


async def say(agent: Socket, payload: Json) -> Json:
    """Say a piece of output; its answer, whatever commands the agent is told meanwhile."""
    said = await agent.say("TERMINAL_OUTPUT", payload)
    while (answer := await agent.hear())["type"] not in {"ACK", "ERROR"}:
        pass
    assert answer["payload"].get("messageId", answer["payload"].get("originalMessageId")) == said
    return dict(answer["payload"])


async def history(world: World, path: str, user: str = "alice", **query: object) -> list[Json]:
    status, answer = await world.rest("GET", path, user, params=query)
    assert status == 200, answer
    return list(answer["data"])


async def test_unchanged_to_the_byte(world: World) -> None:
    """Whatever the content, dashboards and both histories have it as it was, in order, stream by stream."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    dashboard = await world.dashboard()
    streams = ["STDOUT", "STDERR"] * len(ODD)
    for sequence, (content, stream) in enumerate(zip(ODD, streams, strict=False)):
        codes = {"ansiCodes": "31"} if sequence == 2 else {}
        assert (await say(agent, output("a1", run, sequence, content, streamType=stream, **codes)))["success"] is True
    told = [(await dashboard.until("TERMINAL_STREAM"))["payload"] for _ in ODD]
    assert [one["content"] for one in told] == ODD
    assert [one["streamType"] for one in told] == streams[: len(ODD)]
    assert [one["sequence"] for one in told] == list(range(len(ODD)))
    assert {(one["commandId"], one["agentId"]) for one in told} == {(run, "a1")}
    assert [one.get("ansiCodes") for one in told] == [None, None, "31", *[None] * (len(ODD) - 3)]
    for path in (f"/commands/{run}/output", "/agents/a1/terminal-output"):
        kept = await history(world, path)
        for key in ("content", "streamType", "sequence", "commandId", "agentId"):
            assert [one[key] for one in kept] == [one[key] for one in told]
        assert [one["ansiCodes"] for one in kept] == [one.get("ansiCodes") for one in told]
        assert len({one["id"] for one in kept}) == len(ODD)


async def test_a_sequence_counts_once(world: World) -> None:
    """A repeated sequence is acknowledged and ignored; a new one that goes back is refused, not lost."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    dashboard = await world.dashboard()
    for sequence in (0, 5, 5, 0):
        assert (await say(agent, output("a1", run, sequence, str(sequence))))["success"] is True
    assert (await say(agent, output("a1", run, 3)))["code"] == "INVALID_STATE"
    told = [one["payload"]["sequence"] for one in await dashboard.fence() if one["type"] == "TERMINAL_STREAM"]
    assert told == [0, 5]
    assert [one["content"] for one in await history(world, f"/commands/{run}/output")] == ["0", "5"]


async def test_output_of_the_session(world: World) -> None:
    """Output outside any command keeps the agent's id on sockets, has none in REST, and counts anew per connection."""
    dashboard = await world.dashboard()
    for content in ("first", "second"):
        agent = await world.agent("a1")
        for _ in range(2):
            assert (await say(agent, output("a1", "a1", 0, content)))["success"] is True
    told = [one["payload"] for one in await dashboard.fence() if one["type"] == "TERMINAL_STREAM"]
    assert [(one["commandId"], one["content"]) for one in told] == [("a1", "first"), ("a1", "second")]
    kept = await history(world, "/agents/a1/terminal-output")
    assert [(one["commandId"], one["content"]) for one in kept] == [(None, "first"), (None, "second")]


async def test_whose_command_it_is(world: World) -> None:
    """Another agent's command is INVALID_STATE; one that is unknown or another user's is NOT_FOUND; nothing is kept."""
    agent = await world.agent("a1")
    await world.agent("a2")
    await world.agent("b1", user="bob")
    dashboard = await world.dashboard()
    other, foreign = await command(world, "a2"), await command(world, "b1", user="bob")
    codes = [(await say(agent, output("a1", run, 0)))["code"] for run in (other, foreign, an_id(), "no-uuid", "a2")]
    assert codes == ["INVALID_STATE", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"]
    assert (await say(agent, output("a2", other, 0)))["code"] == "FORBIDDEN"
    assert not [one for one in await dashboard.fence() if one["type"] == "TERMINAL_STREAM"]
    assert await history(world, "/agents/a2/terminal-output") == []
    assert await history(world, f"/commands/{foreign}/output", user="bob") == []


async def test_several_agents_count_for_themselves(world: World) -> None:
    """Each agent of a command has its own sequence; the command's output holds both."""
    agents = {name: await world.agent(name) for name in ("a1", "a2")}
    run = await command(world, "a1", "a2")
    for name, agent in agents.items():
        assert (await say(agent, output(name, run, 0, name)))["success"] is True
    assert [one["content"] for one in await history(world, f"/commands/{run}/output")] == ["a1", "a2"]
    assert [one["content"] for one in await history(world, "/agents/a2/terminal-output", commandId=run)] == ["a2"]


async def test_late_output_is_taken(world: World) -> None:
    """Output may come after its command has ended."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    done = {"commandId": run, "agentId": "a1", "status": "COMPLETED", "executionTime": 1, "tokensUsed": 1}
    await agent.say("COMMAND_COMPLETE", done)
    await agent.until("ACK")
    assert (await say(agent, output("a1", run, 0)))["success"] is True
    assert len(await history(world, f"/commands/{run}/output")) == 1


async def test_many_agents_at_once(world: World) -> None:
    """What many agents say at the same time is kept and streamed whole, each in its order."""
    names = [f"a{number}" for number in range(8)]
    agents = {name: await world.agent(name) for name in names}
    dashboard = await world.dashboard()

    async def work(name: str) -> None:
        for sequence in range(20):
            await say(agents[name], output(name, name, sequence))

    await asyncio.gather(*(work(name) for name in names))
    told = [one["payload"] for one in await dashboard.fence() if one["type"] == "TERMINAL_STREAM"]
    for name in names:
        assert [one["sequence"] for one in told if one["agentId"] == name] == list(range(20))
        kept = await history(world, f"/agents/{name}/terminal-output")
        assert [one["sequence"] for one in kept] == list(range(20))


async def test_pages_and_filters(world: World) -> None:
    """Stream, command, time, limit and offset choose; totals count all that match."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    for sequence in range(6):
        stream = "STDERR" if sequence % 3 == 2 else "STDOUT"
        await say(agent, output("a1", run if sequence < 4 else "a1", sequence, streamType=stream))
    path = "/agents/a1/terminal-output"
    everything = await history(world, path)
    assert [one["sequence"] for one in everything] == list(range(6))
    assert [one["sequence"] for one in await history(world, path, streamType="STDERR")] == [2, 5]
    assert [one["sequence"] for one in await history(world, path, commandId=run)] == [0, 1, 2, 3]
    since = everything[3]["timestamp"]
    late = await history(world, path, since=since)
    assert late == [one for one in everything if one["timestamp"] >= since]
    assert await history(world, path, since="2999-01-01T00:00:00Z") == []
    status, page = await world.rest("GET", path, params={"limit": 2, "offset": 3, "streamType": "STDOUT"})
    assert (status, [one["sequence"] for one in page["data"]]) == (200, [4])
    assert page["pagination"] == {"total": 4, "limit": 2, "offset": 3}
    for wrong in ("limit=0", "limit=10001", "offset=-1", "streamType=stdout", "since=now", "commandId=x", "limit="):
        assert (await world.rest("GET", f"{path}?{wrong}"))[0] == 400, wrong
    assert (await world.rest("GET", f"{path}?limit=10000"))[0] == 200


async def test_nobody_elses(world: World) -> None:
    """Another user's agent and command have no output for anybody else, exactly like those that do not exist."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    await say(agent, output("a1", run, 0))
    for path, unknown in (
        ("/agents/a1/terminal-output", "/agents/nobody/terminal-output"),
        (f"/commands/{run}/output", f"/commands/{an_id()}/output"),
        (f"/commands/{run}/traces", f"/commands/{an_id()}/traces"),
    ):
        foreign = await world.rest("GET", path, "bob")
        assert foreign == await world.rest("GET", unknown, "bob")
        assert foreign[0] == 404


async def test_subscriptions_decide(world: World) -> None:
    """A dashboard hears terminals only while it is subscribed to them, from the ACK on."""
    agent = await world.agent("a1")
    silent = await world.dashboard(subscriptions={"terminals": False})
    await say(agent, output("a1", "a1", 0))
    assert "TERMINAL_STREAM" not in [one["type"] for one in await silent.fence()]
    await silent.ask("DASHBOARD_SUBSCRIBE", {"type": "terminal", "all": True})
    await say(agent, output("a1", "a1", 1))
    assert (await silent.until("TERMINAL_STREAM"))["payload"]["sequence"] == 1
    await silent.ask("DASHBOARD_UNSUBSCRIBE", {"type": "terminal", "all": True})
    await say(agent, output("a1", "a1", 2))
    assert "TERMINAL_STREAM" not in [one["type"] for one in await silent.fence()]


async def test_large_pages_are_whole(world: World) -> None:
    """A page of many large pieces is answered whole, though it is read in groups."""
    agent = await world.agent("a1")
    for sequence in range(8):
        await say(agent, output("a1", "a1", sequence, f"{sequence}" * 700_000))
    kept = await history(world, "/agents/a1/terminal-output")
    assert [(one["content"][0], len(one["content"])) for one in kept] == [(f"{n}", 700_000) for n in range(8)]


async def test_history_has_an_end(tmp_path: Path) -> None:
    """Beyond the room of a user the oldest pieces go; other users keep theirs."""
    async with serving(str(tmp_path / "db"), limits={"history_output": 10}) as world:
        for user, name, count in (("bob", "b1", 3), ("alice", "a1", 30)):
            agent = await world.agent(name, user=user)
            for sequence in range(count):
                await say(agent, output(name, name, sequence))
        kept = [one["sequence"] for one in await history(world, "/agents/a1/terminal-output")]
        assert kept == list(range(20, 30))
        assert len(await history(world, "/agents/b1/terminal-output", user="bob")) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"content": None},
        {"content": 1},
        {"streamType": "stdout"},
        {"sequence": -1},
        {"sequence": 1.5},
        {"sequence": "1"},
        {"ansiCodes": None},
        {"commandId": ""},
    ],
)
async def test_wrong_payloads(world: World, change: Json) -> None:
    """What breaks the schema is refused, and changes nothing."""
    agent = await world.agent("a1")
    assert (await say(agent, {**output("a1", "a1", 0), **change}))["code"] == "INVALID_MESSAGE"
    assert await history(world, "/agents/a1/terminal-output") == []
