"""One of everything that has an id, all of one user: what generated cases ask for, change and try to reach.

The agent stays connected, goes on beating and has begun the command; nothing here is waited for in vain, for other
cases judge it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.contract import Operation
    from conformance.world.actors import Agent
    from conformance.world.user import User
    from conformance.world.world import World

REPORT = {
    "status": "IN_PROGRESS",
    "title": "What was found",
    "summary": "Little.",
    "content": {"sections": [], "findings": [], "recommendations": []},
}


@dataclass
class Estate:
    """What a user has: path parameter → id."""

    world: World
    user: User
    agent: Agent
    ids: dict[str, str] = field(default_factory=dict)

    def body(self, operation: Operation, mark: str = "") -> Any:
        """A right body with fresh texts, for the operation on what is here."""
        body = self.world.site.contract.samples.right(operation.body, mark or self.world.new_id())
        if operation.id == "createCommand":
            body |= {"targetAgents": [self.agent.id], "executionConstraints": {"timeLimitMs": 600_000}}
        return body

    def reaches(self, operation: Operation) -> bool:
        """Whether everything that the operation's path names is there."""
        return all(name in self.ids for name in operation.names)


async def make_estate(world: World, user: User) -> Estate:
    """An agent, a preset, a constraint, a command that the agent has begun, and its report, as far as promised."""
    estate = Estate(world, user, await user.agent())
    estate.ids["agentId"] = estate.agent.id
    world.beside(_beat(estate.agent, world.site.terms.heartbeat_interval / 2))
    operations = {o.id: o for o in world.site.operations}
    for name, parameter in (("createPreset", "presetId"), ("createConstraint", "constraintId")):
        if name in operations:
            await _create(operations[name], estate, parameter)
    if "createCommand" in operations:
        await _create(operations["createCommand"], estate, "commandId")
    if "commandId" in estate.ids:
        await _work(world, estate)
    return estate


async def _beat(agent: Agent, every: float) -> None:
    """The agent says that it lives, however long the case takes."""
    while agent.link.is_open:
        await asyncio.sleep(every)
        await agent.say_heartbeat()


async def _create(operation: Operation, estate: Estate, parameter: str) -> None:
    answer = await estate.user.rest.call(operation.method, operation.path, body=estate.body(operation))
    data = answer.value.get("data") if isinstance(answer.value, dict) else None
    made = data.get("id") if isinstance(data, dict) else None
    if isinstance(made, str):
        estate.ids[parameter] = made


async def _work(world: World, estate: Estate) -> None:
    """The agent begins the command, says something, thinks something, and reports."""
    link, promises = estate.agent.link, world.site.promises
    about = {"commandId": estate.ids["commandId"], "agentId": estate.agent.id}
    await link.until("COMMAND_REQUEST", expected=False)
    sent = [await link.send("COMMAND_ACK", {**about, "status": "EXECUTING"})]
    if promises("terminal"):
        said = {"streamType": "STDOUT", "content": "working\n", "sequence": 1}
        sent.append(await link.send("TERMINAL_OUTPUT", {**about, **said}))
    if promises("traces"):
        thought = {**about, "traceId": str(uuid.uuid4()), "parentId": None, "type": "TOOL_CALL", "name": "read"}
        sent.append(await link.send("TRACE_EVENT", thought | {"content": {}, "startedAt": int(time.time() * 1000)}))
    if promises("reports"):
        estate.ids["reportId"] = str(uuid.uuid4())
        sent.append(await link.send("INVESTIGATION_REPORT", {**about, "reportId": estate.ids["reportId"], **REPORT}))
    for message in sent:
        await link.answer(message, expected=False)
