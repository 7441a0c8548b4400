"""The stateful phase as a case of a run: walks along the document's links, what one answer gave is asked for next."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.generate.rest_engine import Walks
from conformance.generate.tame import tame
from conformance.generate.turn import in_turn
from conformance.rim import as_json
from conformance.rule import Provocation
from conformance.timeline import MISSING, VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.contract import Contract
    from conformance.generate.rest_request import Request
    from conformance.target import Target
    from conformance.timeline import Exchange
    from conformance.world.estate import Estate
    from conformance.world.world import World

BUDGET = 120.0
ANSWER_SECONDS = 15.0
BREATH = 20
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
AGENT = re.compile(r"(?<=^/agents/)[A-Za-z0-9._:-]{1,128}(?=/|$)")
CREDENTIALS = {"good": VALID, "none": "none", "wrong": "not-a-token"}


def walks(contract: Contract, target: Target, *, count: int, seed: int) -> Iterator[Provocation]:
    """One case, of so many walks, over every operation that this target promises and that harms nobody."""
    operations = [
        o.id
        for o in contract.operations.values()
        if o.under_base and o.secured and not o.destructive and o.capability not in target.withheld
    ]
    if not count or not operations:
        return

    async def played(world: World) -> None:
        await _Bridge(world, await world.estate()).walk(operations, seed, count)

    yield Provocation(played, budget=BUDGET, name="rest/stateful")


class _Bridge:
    """Between the engine's thread and the event loop."""

    def __init__(self, world: World, estate: Estate) -> None:
        self._world = world
        self._estate = estate
        self._loop = asyncio.get_running_loop()
        self._over = threading.Event()
        self._sent = 0

    async def walk(self, operations: list[str], seed: int, count: int) -> None:
        """All walks; notes what the engine has against an answer."""
        engine = Walks(operations, seed, count, self._send, self._over.is_set)
        note = self._world.recorder.note
        try:
            for against in await in_turn(lambda: list(engine.complaints())):
                complaint = against.complaint
                note(
                    "complaint",
                    exchange=against.exchange,
                    check=complaint.check,
                    says=complaint.says,
                    made_for="a walk",
                )
        finally:
            self._over.set()

    def _settled(self, request: Request) -> Request:
        """Only the case's own agent is changed, and bodies reach no further than the case."""
        contract, own = self._world.site.contract, self._estate.agent.id
        path, mark, search = request.target.partition("?")
        if request.method not in SAFE:
            path = AGENT.sub(own, path)
        name = contract.operation(request.method, path)
        operation = contract.operations[name] if name else None
        body = as_json(request.data) if request.data else MISSING
        data = request.data
        if operation and operation.body and isinstance(body, dict):
            data = json.dumps(tame(self._world, operation, body, own)).encode()
        return replace(request, target=path + mark + search, data=data)

    def _send(self, request: Request, credential: str) -> Exchange:
        return asyncio.run_coroutine_threadsafe(self._sending(request, credential), self._loop).result(ANSWER_SECONDS)

    async def _sending(self, request: Request, credential: str) -> Exchange:
        self._sent += 1
        if self._sent % BREATH == 0:
            await self._estate.agent.heartbeat()
        request = self._settled(request)
        answer = await self._estate.user.rest.exact(
            request.method,
            request.target,
            headers=request.headers,
            data=request.data,
            credential=CREDENTIALS[credential],
        )
        self._world.recorder.note("checked", exchange=answer.seq)
        return answer
