"""Every success of every operation has the status, the media type and the shape that the contract gives it.

One rule for each clause that an operation is about (PRE-1, CMD-R5, RPT-2 …), made from the OpenAPI document. Agents
have rules of their own (AGT-1 to AGT-4), which say more.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from conformance.contract import load_contract
from conformance.rest_views import version
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import MISSING, VALID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.contract import Operation
    from conformance.rule import Example
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.estate import Estate
    from conformance.world.world import World

AGENTS = frozenset({"listAgents", "getAgent", "renameAgent"})
JSON = ("application/json",)
IN_ITS_OWN_CASE = frozenset({"deleteAgent", "refreshTokens"})
"""Operations whose success takes more than a request: the cases of their clauses bring it about."""
MOST = 5
GOOD = frozenset({VALID, "session"})


def _successes(clause: str) -> Callable[[Timeline], Iterator[Exchange]]:
    def when(t: Timeline) -> Iterator[Exchange]:
        for e in t.exchanges:
            operation = t.contract.operations.get(e.operation or "")
            if operation is None or operation.clause != clause or operation.id in AGENTS:
                continue
            let_in = e.credential in GOOD or not operation.secured
            if 200 <= e.status < 300 and not e.failure and let_in and version(e) == "1":  # noqa: PLR2004 - 2xx
                yield e

    return when


def fits(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """A status of the operation's, its media type, and its schema."""
    operation = t.contract.operations[e.operation or ""]
    if e.status not in operation.answers:
        wanted = " or ".join(map(str, operation.answers))
        yield Finding(f"{e.label} succeeds with another status than the contract's", e, "", wanted, e.status)
        return
    media, schema = operation.media[e.status], operation.answers[e.status]
    declared = e.headers.get("content-type", "").split(";")[0].strip().lower()
    if media not in {(), JSON} and declared not in media:
        yield Finding(f"{e.label} is sent as another media type", e, "", " or ".join(media), declared or "nothing")
    if not schema or (operation.json and operation.under_base and not _is_enveloped(e.value)):
        return  # ENV-1 says it
    if media != JSON and declared != JSON[0]:
        return
    for v in islice(t.contract.violations(schema, None if e.value is MISSING else e.value), MOST):
        says = f"{e.label} answers with {v.pointer or 'a body'} out of shape: clients read something else than they get"
        yield Finding(says, e, v.pointer, v.expected, v.got)


def _is_enveloped(value: object) -> bool:
    return isinstance(value, dict) and value.get("success") is True and "data" in value


def _answer(s: Scene, operation: Operation, status: int, body: object) -> None:
    media = operation.media.get(status, JSON)
    headers = {"content-type": media[-1] if media else "application/json"}
    credential = VALID if operation.secured else "none"
    fields = {"under_base": operation.under_base, "operation": operation.id, "credential": credential}
    s.rest(operation.method, operation.fill("x1"), status, body, headers=headers, **fields)


def _examples(operations: list[Operation]) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    def as_the_schema_says(s: Scene) -> None:
        for operation in operations:
            for status, schema in operation.answers.items():
                _answer(s, operation, status, s.contract.samples.right(schema) if schema else MISSING)

    def out_of_shape(s: Scene) -> None:
        for operation in operations:
            for status, schema in operation.answers.items():
                right = s.contract.samples.right(schema) if schema else None
                wrong = s.contract.samples.faults(schema, right) if schema else iter(())
                if operation.media[status] == JSON and (one := next((w for w in wrong if not _spoils(w.value)), None)):
                    _answer(s, operation, status, one.value)

    def another_status(s: Scene) -> None:
        _answer(s, operations[0], 203, {"success": True, "data": {}})

    def _spoils(value: object) -> bool:
        return operations[0].under_base and operations[0].json and not _is_enveloped(value)

    shapely = any(o.media[s] == JSON and o.clause not in ANYTHING for o in operations for s in o.answers)
    return (as_the_schema_says,), (out_of_shape, another_status) if shapely else (another_status,)


ANYTHING = frozenset({"TOK-2"})
"""Clauses whose operations may answer with any data."""


@provocation(budget=60.0)
async def every_operation_serves(world: World) -> None:
    """Each operation that the target promises and that touches nobody else, asked for as it should be."""
    estate = await world.estate()
    served = [o for o in world.site.operations if not o.destructive and estate.reaches(o)]
    served = [o for o in served if o.id not in IN_ITS_OWN_CASE]

    removing = [o for o in served if o.method == "DELETE" or o.id == "cancelCommand"]
    for group in ([o for o in served if o.method == "GET"], [o for o in served if o.method not in {"GET", "DELETE"}]):
        await world.crowd(_ask(estate, o) for o in group if o not in removing)
    await world.crowd(_ask(estate, o) for o in removing)


async def _ask(estate: Estate, operation: Operation) -> None:
    path, rest = operation.fill(estate.ids), estate.user.rest
    credential = VALID if operation.secured else "none"
    if operation.body:
        await rest.call(operation.method, path, body=estate.body(operation), credential=credential)
    else:
        await rest.call(operation.method, path, credential=credential)


@provocation()
async def open_operations(world: World) -> None:
    """Health, readiness, metrics and the documents at the root."""
    for operation in world.site.contract.operations.values():
        if not operation.under_base:
            await world.user().rest.call(operation.method, operation.path, credential="none", under_base=False)


def _rule(clause: str, operations: list[Operation]) -> Rule:
    good, bad = _examples(operations)
    served = [o for o in operations if not o.destructive and o.id not in IN_ITS_OWN_CASE]
    case = every_operation_serves if operations[0].under_base else open_operations
    return Rule(
        id=f"answers.in-shape.{clause.lower()}",
        clauses=(clause,),
        judges=f"Each success of {', '.join(o.id for o in operations)} has its status, media type and shape.",
        when=_successes(clause),
        check=fits,
        good=good,
        bad=bad,
        cases=(case,) if served else (),
    )


def _rules() -> Iterator[Rule]:
    operations = [o for o in load_contract().operations.values() if o.id not in AGENTS]
    for clause in dict.fromkeys(o.clause for o in operations):
        yield _rule(clause, [o for o in operations if o.clause == clause])


RULES = tuple(_rules())
