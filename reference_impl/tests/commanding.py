"""Words for tests of commands: who asks for one, and what its agent says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.tests.harness import Json, Socket, World


async def given(dashboard: Socket, agent: str, **more: object) -> str:
    """A command over a socket; its id."""
    await dashboard.say("COMMAND_REQUEST", {"agentId": agent, "content": "do it", "type": "NATURAL", **more})
    answer = (await dashboard.until("ACK"))["payload"]
    assert answer["success"] is True
    return str(answer["commandId"])


async def posted(world: World, *agents: str, user: str = "alice", **more: object) -> Json:
    """A command over REST."""
    body = {"content": "do it", "type": "NATURAL", "targetAgents": list(agents), **more}
    status, answer = await world.rest("POST", "/commands", user, json=body)
    assert status == 201, answer
    return dict(answer["data"])


async def shown(world: World, command: str) -> Json:
    """A command as REST shows it."""
    status, answer = await world.rest("GET", f"/commands/{command}")
    assert status == 200, answer
    return dict(answer["data"])


async def says(agent: Socket, kind: str, command: str, status: str, name: str = "a1", **more: object) -> Json:
    """What an agent says of a command, and the answer: ACK or ERROR."""
    body: dict[str, Any] = {"commandId": command, "agentId": name, "status": status, **more}
    if kind == "COMMAND_COMPLETE":
        body = {"executionTime": 12, "tokensUsed": 3, **body}
    sent = await agent.say(kind, body)
    while True:
        heard = await agent.hear()
        if sent in {heard["payload"].get("messageId"), heard["payload"].get("originalMessageId")}:
            return heard


async def starts(agent: Socket, command: str, name: str = "a1") -> None:
    """The agent has started it."""
    assert (await says(agent, "COMMAND_ACK", command, "EXECUTING", name))["type"] == "ACK"


async def ends(agent: Socket, command: str, status: str = "COMPLETED", name: str = "a1", **more: object) -> None:
    """The agent has ended it."""
    assert (await says(agent, "COMMAND_COMPLETE", command, status, name, **more))["type"] == "ACK"


def of(kind: str, messages: Sequence[Json]) -> list[Json]:
    """The payloads of one type of message."""
    return [message["payload"] for message in messages if message["type"] == kind]


def statuses(messages: Sequence[Json]) -> list[str]:
    """The statuses that COMMAND_STATUS told."""
    return [payload["status"] for payload in of("COMMAND_STATUS", messages)]


async def given_up(dashboard: Socket, command: str) -> None:
    """Cancels a command, and is told that this is accepted."""
    await dashboard.say("COMMAND_CANCEL", {"commandId": command})
    assert (await dashboard.until("ACK"))["payload"]["success"] is True
