"""Messages generated from AsyncAPI and the schemas: per message type the valid ones, and those that break one keyword.

One case for each message that a client may send, and one of payloads that are drawn (`recombined`). The broken ones go
first, on connections that are there anyway, then the valid ones; what the schema cannot know (whose id it is, which
token) is put in from the conversation, so that a broken payload is broken in that one place. They leave in bursts, many
under way at once, and answers are told apart by the ids that they name. Nothing is judged here: rules say of each
message whether it had to be served or refused, and what may have changed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from conformance.dialogue import ANSWER_SECONDS
from conformance.generate.payloads import broken_payloads, valid_payloads
from conformance.generate.recombined import Stock
from conformance.generate.turn import in_turn
from conformance.rule import Provocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conformance.contract import Contract
    from conformance.contract.messages import Message
    from conformance.contract.shapes import Shapes
    from conformance.target import Target
    from conformance.world.actors import Agent, Dashboard
    from conformance.world.link import Link
    from conformance.world.user import User
    from conformance.world.world import World

BUDGET = 30.0
ROLE_MESSAGES = ("AGENT_CONNECT", "DASHBOARD_INIT")
BURST = {"agent": 150, "dashboard": 75}
"""Messages that one connection may send in one go: what the contract lets through in two seconds, with room (WSX-6)."""
AT_ONCE = 25
"""Valid messages that are sent in one go: a backend has work with each of them, and its answers are waited for."""
COMMANDS = 4
"""Commands that are made for messages about commands: an agent may be given five at a time (CMD-4)."""
DESTRUCTIVE = ("EMERGENCY_STOP",)
OURS = frozenset({"agentId", "commandId", "userId", "accessToken"})
"""Members into which the conversation puts its own values."""
RIGHT = 4
"""Of so many drawn payloads one is valid."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The payloads of one message type."""

    message: Message
    valid: Sequence[Mapping[str, Any]]
    broken: Sequence[Any]


def cases(contract: Contract, target: Target) -> Iterator[Provocation]:
    """One case for each message that a client may send to this target."""
    for number, message in enumerate(contract.messages.values()):
        if not message.side.startswith("from-") or message.capability in target.withheld:
            continue
        stops = message.type in DESTRUCTIVE
        needs = frozenset({"destructive"} if stops else set())
        yield Provocation(
            _script(message, partial(samples, contract, message), number),
            alone=stops,
            needs=needs,
            budget=BUDGET,
            name=f"messages/{message.key}",
        )


def drawn(contract: Contract, target: Target, *, count: int, seed: int) -> Iterator[Provocation]:
    """One case of up to so many drawn payloads for each message that does no harm in numbers."""
    for number, message in enumerate(contract.messages.values()):
        is_ours = message.side.startswith("from-") and message.capability not in target.withheld
        if count and is_ours and message.type not in DESTRUCTIVE:
            make = partial(recombined, contract, message, count=count, seed=seed)
            yield Provocation(_script(message, make, number), budget=BUDGET, name=f"messages/drawn/{message.key}")


def recombined(contract: Contract, message: Message, *, count: int, seed: int) -> Samples:
    """Payloads put together from the enumerated ones; none of them valid where each takes a connection of its own."""
    made = samples(contract, message)
    stock = Stock(contract.shapes, message.schema, made.valid, made.broken, OURS)
    right = 0 if message.type in ROLE_MESSAGES else count // RIGHT
    name = f"{seed}/{message.key}"
    return Samples(message, stock.right(right, name), stock.wrong(count - right, name))


def samples(contract: Contract, message: Message) -> Samples:
    """What there is to send: of the broken ones those that break exactly one keyword.

    A keyword that nothing breaks alone (a number where a word of an `enum` belongs breaks its `type` too) is broken
    together with others of the same place.
    """
    valid = [p.value for p in valid_payloads(contract.shapes, message.schema) if isinstance(p.value, dict)]
    return Samples(message, valid, _broken(contract.shapes, message.schema))


@lru_cache(maxsize=256)
def _broken(shapes: Shapes, schema: str) -> tuple[Any, ...]:
    found = [
        (p.value, {(w.pointer, w.keyword) for w in shapes.violations(schema, p.value)})
        for p in broken_payloads(shapes, schema)
    ]
    broken = [value for value, breaks in found if len(breaks) == 1]
    reached = {one for _, breaks in found if len(breaks) == 1 for one in breaks}
    for value, breaks in found:
        if breaks - reached and len({pointer for pointer, _ in breaks}) == 1:
            broken.append(value)
            reached |= breaks
    return tuple(broken)


def _script(message: Message, make: Callable[[], Samples], number: int) -> Any:
    """Cases take turns with the users: what happens to one user is told to all dashboards of his."""

    async def played(world: World) -> None:
        found = await in_turn(make)
        stage = await Stage.set(world, message, world.user(number % len(world.users)))
        await stage.send(found.broken, valid=False)
        await stage.send(found.valid, valid=True)
        await world.quiet()

    return played


class Stage:
    """A user with a dashboard that watches, an agent, and commands for messages that need one."""

    def __init__(self, world: World, message: Message, user: User, agent: Agent, dashboard: Dashboard) -> None:
        self._world = world
        self._user = user
        self._message = message
        self._agent = agent
        self._dashboard = dashboard
        self._commands: list[str] = []
        self._sent = 0
        self._role = message.side.removeprefix("from-")
        self._speaker = agent.link if self._role == "agent" else dashboard.link
        self._room = BURST[self._role]

    @classmethod
    async def set(cls, world: World, message: Message, user: User) -> Stage:
        """Everything that the message needs to be said, of one user."""
        stage = cls(world, message, user, await user.agent(), await user.dashboard())
        properties = world.site.contract.shapes.schema(message.schema).get("properties", {})
        if "commandId" in properties and message.type != "COMMAND_REQUEST":
            for _ in range(COMMANDS):
                stage._commands.append(await stage._dashboard.request(stage._agent))
            await asyncio.gather(*(stage._agent.takes(command) for command in stage._commands))
        return stage

    async def send(self, payloads: Sequence[Any], *, valid: bool) -> None:
        """All of them, in as many bursts as the rate asks for; waits for the answers, which come in any number."""
        kind, answer = self._message.type, self._message.answer
        alone = valid and kind in ROLE_MESSAGES
        left = list(payloads)
        while left:
            link = await self._user.socket(self._role) if alone else await self._with_room()
            size = 1 if alone else min(self._room, AT_ONCE if valid else self._room)
            burst, left = left[:size], left[size:]
            self._room -= 0 if alone else len(burst)
            sent = await link.send_all(kind, [self._bound(payload, valid=valid) for payload in burst])
            self._world.recorder.note("generated", connection=link.name, messages=len(sent), valid=valid)
            if answer is not None or not valid:
                await link.answers(sent, *filter(None, [answer]), within=ANSWER_SECONDS)
            await link.fence()
            if alone:
                await link.close()

    async def _with_room(self) -> Link:
        """A connection on which the rate allows another message: this one, or a fresh one in its place."""
        if not self._room:
            self._room = BURST[self._role]
            if self._role == "agent":
                await self._agent.connect()  # the same agent, which replaces the connection before (CON-4)
                self._speaker = self._agent.link
            else:
                if self._speaker is not self._dashboard.link:
                    await self._speaker.close()
                self._speaker = (await self._user.dashboard()).link
        return self._speaker

    def _bound(self, payload: Any, *, valid: bool) -> Any:
        """The payload with what only the conversation knows; a broken one stays broken, and in one place."""
        if not isinstance(payload, dict):
            return payload
        self._sent += 1
        schema = self._message.schema
        bound = dict(payload)
        for name in [name for name in bound if name in OURS]:
            value = self._ours(name, valid=valid)
            if value is not None and self._may_stand(schema, bound, name, value, valid=valid):
                bound[name] = value
        return bound

    def _ours(self, name: str, *, valid: bool) -> str | None:
        """What the conversation says in this member."""
        match name:
            case "agentId" if valid and self._message.type == "AGENT_CONNECT":
                made = self._world.new_id()
                self._user.made(made)
                return made
            case "agentId":
                return self._agent.id
            case "commandId":
                return self._commands[self._sent % COMMANDS] if self._commands else self._world.new_command()
            case "userId":
                return self._world.site.keyring.subject(self._user.name)
            case _:
                return self._world.site.keyring.token(self._user.name)

    def _may_stand(self, schema: str, payload: dict[str, Any], name: str, value: Any, *, valid: bool) -> bool:
        """Whether the payload is, with this value, what it was before: valid, or broken elsewhere."""
        return self._world.site.contract.shapes.accepts(schema, {**payload, name: value}) == valid
