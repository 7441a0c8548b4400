"""Messages generated from AsyncAPI and the schemas: per message type the valid ones, and those that break one keyword.

One case for each message that a client may send. The broken ones go first, on connections that are there anyway, then
the valid ones; what the schema cannot know (whose id it is, which token) is put in from the
conversation, so that a broken payload is broken in that one place. Nothing is judged here: rules say of each message
whether it had to be served or refused, and what may have changed.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.generate.payloads import broken_payloads, valid_payloads
from conformance.generate.turn import in_turn
from conformance.rule import Provocation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.contract import Contract
    from conformance.contract.messages import Message
    from conformance.target import Target
    from conformance.world.actors import Agent, Dashboard
    from conformance.world.link import Link
    from conformance.world.user import User
    from conformance.world.world import World

BUDGET = 30.0
ROLE_MESSAGES = ("AGENT_CONNECT", "DASHBOARD_INIT")
BURST = {"agent": 150, "dashboard": 75}
"""Messages that one connection may send in one go: what the contract lets through in two seconds, with room (WSX-6)."""
COMMANDS = 4
"""Commands that are made for messages about commands: an agent may be given five at a time (CMD-4)."""
DESTRUCTIVE = ("EMERGENCY_STOP",)


@dataclass(frozen=True, slots=True)
class Samples:
    """The payloads of one message type."""

    message: Message
    valid: Sequence[Mapping[str, Any]]
    broken: Sequence[Any]


def cases(contract: Contract, target: Target) -> Iterator[Provocation]:
    """One case for each message that a client may send to this target."""
    for message in contract.messages.values():
        if not message.side.startswith("from-") or message.capability in target.withheld:
            continue
        stops = message.type in DESTRUCTIVE
        needs = frozenset({"destructive"} if stops else set())
        yield Provocation(
            _script(contract, message), alone=stops, needs=needs, budget=BUDGET, name=f"messages/{message.key}"
        )


def samples(contract: Contract, message: Message) -> Samples:
    """What there is to send: of the broken ones those that break exactly one keyword."""
    valid = [p.value for p in valid_payloads(contract, message.schema) if isinstance(p.value, dict)]
    broken = [p.value for p in broken_payloads(contract, message.schema) if _breaks_one(contract, message, p.value)]
    return Samples(message, valid, broken)


def _breaks_one(contract: Contract, message: Message, value: Any) -> bool:
    return len({(v.pointer, v.keyword) for v in contract.violations(message.schema, value)}) == 1


def _script(contract: Contract, message: Message) -> Any:
    async def played(world: World) -> None:
        found = await in_turn(lambda: samples(contract, message))
        stage = await Stage.set(world, message)
        await stage.send(found.broken, valid=False)
        await stage.send(found.valid, valid=True)
        await world.quiet()

    return played


class Stage:
    """A user with a dashboard that watches, an agent, and commands for messages that need one."""

    def __init__(self, world: World, message: Message, agent: Agent, dashboard: Dashboard) -> None:
        self._world = world
        self._message = message
        self._agent = agent
        self._dashboard = dashboard
        self._commands: list[str] = []
        self._sent = 0

    @classmethod
    async def set(cls, world: World, message: Message) -> Stage:
        """Everything that the message needs to be said."""
        user = world.user()
        stage = cls(world, message, await user.agent(), await user.dashboard())
        properties = world.site.contract.shapes.schema(message.schema).get("properties", {})
        if "commandId" in properties and message.type != "COMMAND_REQUEST":
            for _ in range(COMMANDS):
                stage._commands.append(await stage._dashboard.request(stage._agent))
            await asyncio.gather(*(stage._agent.takes(command) for command in stage._commands))
        return stage

    @property
    def user(self) -> User:
        """Whose all of it is."""
        return self._world.user()

    async def send(self, payloads: Sequence[Any], *, valid: bool) -> None:
        """All of them, in as many bursts as the rate allows, each on a connection of its own; waits for the answers."""
        role = self._message.side.removeprefix("from-")
        alone = valid and self._message.type in ROLE_MESSAGES
        size = 1 if alone else BURST[role]
        bursts = [payloads[at : at + size] for at in range(0, len(payloads), size)]
        for number, burst in enumerate(bursts):
            link = await self._link(role, number, fresh=alone)
            sent = [await link.send(self._message.type, self._bound(payload, valid=valid)) for payload in burst]
            if sent:
                await link.answer(sent[-1], "DASHBOARD_READY", "SERVER_HEARTBEAT", "PONG", within=2.0, expected=False)
            await link.fence()
            if alone:
                await link.close()

    async def _link(self, role: str, number: int, *, fresh: bool) -> Link:
        if fresh:
            return await self.user.socket(role)
        if role == "dashboard":
            return self._dashboard.link if number == 0 else (await self.user.dashboard()).link
        return self._agent.link if number == 0 else (await self._again()).link

    async def _again(self) -> Agent:
        """The same agent on a fresh connection, which replaces the one before (CON-4)."""
        await self._agent.connect()
        return self._agent

    def _bound(self, payload: Any, *, valid: bool) -> Any:
        """The payload with what only the conversation knows; a broken one stays broken, and in one place."""
        if not isinstance(payload, dict):
            return payload
        self._sent += 1
        fresh = valid and self._message.type == "AGENT_CONNECT"
        given = {
            "agentId": self._world.new_id() if fresh else self._agent.id,
            "commandId": self._commands[self._sent % COMMANDS] if self._commands else self._new_command(),
            "userId": self._world.site.keyring.subject(self.user.name),
            "accessToken": self._world.site.keyring.token(self.user.name),
        }
        if fresh:
            self.user.made(str(given["agentId"]))
        schema = self._message.schema
        bound = dict(payload)
        for name, value in given.items():
            if name in bound and value is not None and self._may_stand(schema, bound, name, value, valid=valid):
                bound[name] = value
        return bound

    def _new_command(self) -> str:
        """An id for a command of its own: what the same id with other content does is left open (CMD-6)."""
        return str(uuid.UUID(int=self._world.random.getrandbits(128), version=4))

    def _may_stand(self, schema: str, payload: dict[str, Any], name: str, value: Any, *, valid: bool) -> bool:
        """Whether the payload is, with this value, what it was before: valid, or broken elsewhere."""
        return self._world.site.contract.shapes.accepts(schema, {**payload, name: value}) == valid
