"""Generated REST requests as cases of a run: one for each operation and phase, as two users, on our timelines.

What a request must not touch (another's agent, every agent at once, a real mail address, the one default of a user) is
put right before it goes out, so that cases can run side by side and on a backend that others use too. Nothing is judged
here but by the generator's own checks, whose complaints are notes on the timeline: rules judge these and all the rest.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from conformance.generate.rest import Generator
from conformance.generate.rest_right import is_plainly_right
from conformance.generate.tame import keeps_schema, tame
from conformance.generate.turn import in_turn
from conformance.rule import Provocation
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conformance.contract import Contract, Operation
    from conformance.generate.rest import Made
    from conformance.generate.rest_request import Request
    from conformance.target import Target
    from conformance.timeline import Exchange
    from conformance.world.estate import Estate
    from conformance.world.rest import Rest
    from conformance.world.world import World

BUDGET = 60.0
REFUSED_AT_ONCE = 4
"""Requests under way that are made to be refused: none of them changes what another meets."""
BREATH = 25
"""Requests between two heartbeats of the case's agent: it must not be given up meanwhile."""
TOO_MANY = 429
LONGEST_WAIT = 2.0
LEFT_OUT = frozenset({"logout"})
"""Operations that could take away what all other cases ask with."""
COLLECTIONS = {"createPreset": "/presets", "createConstraint": "/constraints", "createCommand": "/commands"}


@lru_cache(maxsize=4)
def generator(seed: int) -> Generator:
    """One generator for all cases of a run."""
    return Generator(seed)


@dataclass(frozen=True, slots=True)
class Phase:
    """How the requests of one operation are made."""

    name: str
    make: Callable[[Generator, str], Sequence[Made]]


def coverage(part: int = 0) -> Phase:
    """The coverage phase; with `part` only so many of an operation's cases, spread evenly over them."""

    def make(generator: Generator, operation: str) -> Sequence[Made]:
        found = generator.coverage(operation)
        step = max(1, -(-len(found) // part)) if part else 1
        return found[generator.seed % step :: step]

    return Phase("coverage", make)


def fuzzing(count: int) -> Phase:
    """So many drawn cases."""
    return Phase("fuzzing", lambda generator, operation: generator.fuzzing(operation, count))


EXAMPLES = Phase("examples", lambda generator, operation: generator.examples(operation))


def cases(contract: Contract, target: Target, *, phases: Sequence[Phase], seed: int) -> Iterator[Provocation]:
    """One case for each phase and operation that this target promises and allows."""
    for phase in phases:
        for operation in contract.operations.values():
            if operation.capability in target.withheld or not operation.under_base or operation.id in LEFT_OUT:
                continue
            yield Provocation(
                _script(operation, phase, seed),
                alone=operation.destructive,
                needs=frozenset({"destructive"} if operation.destructive else set()),
                budget=BUDGET,
                name=f"rest/{phase.name}/{operation.id}",
            )


def _script(operation: Operation, phase: Phase, seed: int) -> Any:
    async def played(world: World) -> None:
        maker = await in_turn(lambda: generator(seed))
        made = await in_turn(lambda: phase.make(maker, operation.id))
        visit = await Visit.begun(world, operation, maker)
        await visit.look()
        await visit.send([m for m in made if not m.is_positive], at_once=REFUSED_AT_ONCE)
        await visit.look()
        await visit.send([m for m in made if m.is_positive])
        await visit.look()

    return played


class Visit:
    """What one case has to ask with: its users, and what there is that can be named."""

    def __init__(self, world: World, operation: Operation, maker: Generator, estate: Estate | None) -> None:
        self._world = world
        self._operation = operation
        self._maker = maker
        self._estate = estate
        self._names: Mapping[str, str] = estate.ids if estate else {}
        self._users = [world.user(n).rest for n in range(min(len(world.users), 2))]
        self._sent = 0

    @classmethod
    async def begun(cls, world: World, operation: Operation, maker: Generator) -> Visit:
        """A visit to an operation, with something to name where it names something."""
        estate = await world.estate() if operation.names or operation.id == "createCommand" else None
        return cls(world, operation, maker, estate)

    async def look(self) -> None:
        """The owner looks at what the operation could change, so that rules see what became of it."""
        if self._estate is None and self._operation.id not in COLLECTIONS:
            return
        rest = self._users[0]
        if self._operation.id in COLLECTIONS:
            await rest.get(COLLECTIONS[self._operation.id], query={"limit": "100"})
        elif self._operation.method != "GET":
            kind = self._operation.path.split("/")[1]
            await rest.get(f"/{kind}/{self._names.get(self._operation.names[0], '')}")

    async def send(self, made: Sequence[Made], at_once: int = 1) -> None:
        """All of them, in their order: what one changed, the next may meet; so many may be under way."""
        waiting = iter(made)

        async def some() -> None:
            for one in waiting:
                await self._send(one)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(some())

    async def _send(self, made: Made) -> None:
        self._sent += 1
        rest = self._bind(made)
        request = made.request if rest else None
        if rest is None or request is None:
            return
        if self._estate and self._sent % BREATH == 0:
            await self._estate.agent.heartbeat()
        answer = await self._asked(rest, made, request)
        if answer.status and not answer.failure and answer.status != TOO_MANY:
            self._judge(made, request, answer)

    async def _asked(self, rest: Rest, made: Made, request: Request) -> Exchange:
        bare = made.is_without_token or not (self._operation.secured or made.is_other_method)
        credential = "none" if bare else VALID
        answer = await rest.exact(
            request.method, request.target, headers=request.headers, data=request.data, credential=credential
        )
        if answer.status == TOO_MANY:  # asked as the backend says, once more
            after = answer.headers.get("retry-after", "")
            await asyncio.sleep(min(float(after) if after.isdigit() else LONGEST_WAIT, LONGEST_WAIT))
            answer = await rest.exact(
                request.method, request.target, headers=request.headers, data=request.data, credential=credential
            )
        return answer

    def _judge(self, made: Made, request: Request, answer: Exchange) -> None:
        note = self._world.recorder.note
        note("checked", exchange=answer.seq)
        if is_plainly_right(self._world.site.contract, self._operation, made, answer):
            return
        for complaint in self._maker.complaints(made, request, answer):
            note("complaint", exchange=answer.seq, check=complaint.check, says=complaint.says, made_for=made.says)

    def _bind(self, made: Made) -> Rest | None:
        """Puts in what only the world knows; gives who asks, or None for a request that is better not made."""
        rest = self._users[0]
        if self._names and not made.breaks("path"):
            turn = self._sent % 5
            ids = dict(self._names)
            if made.is_positive and turn == 3:  # noqa: PLR2004 - one in five: what does not exist
                ids = {"agentId": self._world.unknown_agent(), "commandId": self._world.unknown_command()}
                ids |= {
                    n: str(UUID(int=self._world.random.getrandbits(128), version=4))
                    for n in ("presetId", "reportId", "constraintId")
                }
            elif made.is_positive and turn == 4:  # noqa: PLR2004 - one in five: another user's
                rest = self._users[-1]
            made.name(ids)
        if made.has_body and self._operation.body and isinstance(made.body, dict):
            tamed = tame(self._world, self._operation, made.body, self._estate.agent.id if self._estate else "")
            if tamed != made.body:
                made.body = tamed
            if keeps_schema(self._world, self._operation, made.body) in {None, made.breaks("body")}:
                return None  # it is no longer what it was made to be, or nobody can say
        return rest
