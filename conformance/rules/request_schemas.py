"""Each body and each query of each operation: what breaks its schema is answered 400 and changes nothing (VAL-1).

The requests are made from the contract: for every keyword of every schema values that break just that one, and beside
them the right neighbours, which must be served.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from conformance import command_scene
from conformance.asked import Asked, asked, may_be_refused, texts
from conformance.command_orders import orders
from conformance.resources import changed, data_of, is_known, looks_around, resource_of
from conformance.rest_views import code, is_failure, judged, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.contract import Operation
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Frame, Timeline
    from conformance.world.estate import Estate
    from conformance.world.world import World

BAD, REFUSED = 400, 400
LONGEST, MOST = 8, 4
"""A text as long as this, of more than so many characters, that is no word in capitals is found nowhere by chance."""
ORDERS = {"stopAgent": "AGENT_CONTROL", "restartAgent": "AGENT_CONTROL", "cancelCommand": "COMMAND_CANCEL"}


def shape_judged(a: Asked, t: Timeline) -> Iterator[Finding]:
    """400 for what breaks the schema, something else for what keeps it."""
    e = a.e
    if a.faults and e.status != BAD:
        a.confirm(t.contract)
        fault = a.faults[0]
        says = f"a {fault.part} of {e.label} that breaks the schema is not answered 400"
        yield Finding(
            says, e, "", f"400; at {fault.pointer or 'the top'} there should be {fault.expected}"[:160], e.status
        )
    elif not a.faults and e.status == BAD and not may_be_refused(e):
        yield Finding(f"a request of {e.label} that keeps the schema is answered 400", e, "", "not 400", outcome(e))


def right_preset(**changes: object) -> dict[str, object]:
    """A body that writes a preset."""
    return {"name": "Daily", "content": "Look", "type": "PLAN"} | changes


def writes(s: Scene, status: int, **changes: object) -> None:
    """A preset is written, answered with this status."""
    body = {"success": True, "data": {"id": "p1"}} if status < REFUSED else {"success": False, "error": "No"}
    s.rest("POST", "/presets", status, body, request=right_preset(**changes))


def wrong_and_right(s: Scene) -> None:
    writes(s, 400, name="")
    writes(s, 400, type="DANCE")
    writes(s, 201, unknown="member")
    writes(s, 409)
    s.fails("GET", "/audit-logs", 400, query={"limit": "1001"})
    s.rest("GET", "/audit-logs", 200, {}, query={"limit": "1000", "from": "2025-10-09T08:00:00Z", "tail": "x"})


def and_open_questions(s: Scene) -> None:
    writes(s, 400, name="n" * 101)
    s.rest("GET", "/commands", 200, {}, query={"status": "completed"})
    s.rest("GET", "/audit-logs", 400, {}, query={"from": "2025-10-09 08:00"})
    s.rest("PUT", "/presets/unknown", 404, {}, request={})
    s.rest("POST", "/auth/device/token", 400, {}, request={"deviceCode": "gone"}, credential="none")


def takes_no_content(s: Scene) -> None:
    s.rest("POST", "/presets", 201, {"success": True, "data": {"id": "p1"}}, request={"name": "Daily", "type": "PLAN"})


def takes_a_number_for_text(s: Scene) -> None:
    writes(s, 422, name=5)


def clamps_the_limit(s: Scene) -> None:
    s.rest("GET", "/audit-logs", 200, {}, query={"limit": "1001"})


def refuses_the_largest(s: Scene) -> None:
    writes(s, 400, name="n" * 100)


def guest_breaks(s: Scene) -> None:
    s.fails("POST", "/auth/magic-link", 500, request={"email": 5}, credential="none")


class Refused(NamedTuple):
    """A refused request, and what of it was looked at afterwards."""

    e: Exchange
    looks: tuple[Exchange, Exchange] | None
    lists: tuple[Exchange, ...]
    told: tuple[Frame, ...]
    own_texts: frozenset[str]
    """What it said and no request that was served."""


def refusals(t: Timeline) -> Iterator[Refused]:
    """Writing requests that were refused, for the schema or for the token, and that somebody looked after."""
    served: set[str] = set()
    for e in judged(t):
        served |= set(texts(e.request)) if e.status < REFUSED else set()
    for e in judged(t, credential=None):
        operation = t.contract.operations.get(e.operation or "")
        if operation is None or operation.method == "GET" or e.status < REFUSED or not operation.secured:
            continue
        resource = resource_of(e)
        looks = looks_around(t, e, e.user)
        lists = tuple(_lists_after(t, e)) if resource is None else ()
        told = tuple(_told(t, e)) if is_known(t, e) else ()
        own = frozenset(text for text in set(texts(e.request)) - served if _is_own(text))
        if looks or told or (lists and own):
            yield Refused(e, looks, lists, told, own)


def _is_own(text: str) -> bool:
    return len(text) >= LONGEST and len(set(text)) > MOST and not (text.isascii() and text.isupper())


def _lists_after(t: Timeline, e: Exchange) -> Iterator[Exchange]:
    return (
        x for x in judged(t) if (x.method, x.path, x.user, x.status) == ("GET", e.path, e.user, OK) and x.at > e.ended
    )


def _told(t: Timeline, e: Exchange) -> Iterator[Frame]:
    """What an agent was told, if no request that was served, and nobody on a socket, asked for it."""
    order, resource = ORDERS.get(e.operation or ""), resource_of(e)
    if order is None or resource is None:
        return
    if (made := orders(t).get(resource.id)) is not None and made.limit is not None:
        return  # its agent is told when its time is up
    for agent in t.agents:
        about = [f for f in agent.of_kind(order, after=e.seq) if _names(f, resource.id, agent.agent_id)]
        asks = [x for x in t.exchanges if x.operation in {*ORDERS, "emergencyStop", "deleteAgent"}]
        said = [f for d in t.dashboards for f in d.sent if f.type in {*ORDERS.values(), "EMERGENCY_STOP"}]
        served = [*(x.at for x in asks if x.status < REFUSED), *(f.at for f in said)]
        if about and not any(at <= about[0].at for at in served):
            yield about[0]


def _names(frame: Frame, name: str, agent_id: str | None) -> bool:
    return name in {frame.payload.get("commandId"), agent_id}


def nothing_happened(r: Refused, _t: Timeline) -> Iterator[Finding]:
    """The resource is as it was, no new one is in the list, and no agent was told."""
    clause = ("VAL-1",) if r.e.credential == VALID else ("AUTH-1",)
    if r.looks is not None and (name := changed(*r.looks)) is not None:
        first, last = r.looks
        says = f"{r.e.label} was refused and had its effect all the same: the client was told that nothing happened"
        expected, got = (
            (f"{data_of(first).get(name)}", data_of(last).get(name, "nothing")) if name else ("200", last.status)
        )
        yield Finding(says, last, f"/data/{name}" if name else "", expected, got, (first, r.e), clauses=clause)
    for answer in r.lists:
        rows = answer.value.get("data") if isinstance(answer.value, dict) else None
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            if found := sorted(r.own_texts.intersection(texts(row))):
                says = f"{r.e.label} was refused and made something all the same"
                yield Finding(says, answer, f"/data/{index}", "nothing of it", found[0][:80], (r.e,), clauses=clause)
                return
    for frame in r.told:
        says = f"{r.e.label} was refused and the agent was told all the same"
        yield Finding(says, frame, "", f"no {frame.label}", frame.label, (r.e,), clauses=clause)


STORED = {"id": "p1", "name": "Daily", "content": "Look"}


def refused_and_forgotten(s: Scene) -> None:
    writes(s, 201)
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": STORED})
    s.rest(
        "PUT", "/presets/p1", 400, {"success": False, "error": "No"}, request=right_preset(type="DANCE", name="Weekly")
    )
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": STORED})
    writes(s, 400, name="Every Monday", type="DANCE")
    s.rest("GET", "/presets", 200, {"success": True, "data": [STORED]})


def refused_before_it_came_back_as_another(s: Scene) -> None:
    s.agent("a1").closes()
    s.shows(s.row("a1", status="OFFLINE"))
    s.rest("POST", "/agents/a1/restart", 409, {"success": False, "error": "Away"}, request={"reason": ""})
    s.shows(s.row("a1", status="OFFLINE"))
    s.rest("POST", "/agents/a1/restart", 409, {"success": False, "error": "Away"}, request={"reason": ""})
    s.agent("a1", name="Bea", version="2.0.0")
    s.shows(s.row("a1", name="Bea", version="2.0.0"))


def refused_once_its_time_was_up(s: Scene) -> None:
    limit = {"timeLimitMs": 700}
    agent, dashboard = s.agent("a1"), s.dashboard()
    command_scene.asks(dashboard, executionConstraints=limit)
    command_scene.takes(agent, executionConstraints=limit)
    command_scene.acks(agent)
    s.wait(1)
    for _ in range(2):
        command_scene.shows(s, command_scene.ONE, "FAILED")
        cancel = f"/commands/{command_scene.ONE}/cancel"
        s.rest("POST", cancel, 409, {"success": False, "error": "Ended"}, request={"reason": ""})
        agent.gets("COMMAND_CANCEL", {"commandId": command_scene.ONE, "reason": "Time is up"})
    command_scene.shows(s, command_scene.ONE, "FAILED")


def refused_and_replaced(s: Scene) -> None:
    writes(s, 201)
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": STORED})
    s.rest(
        "PUT", "/presets/p1", 400, {"success": False, "error": "No"}, request=right_preset(type="DANCE", name="Weekly")
    )
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": STORED | {"name": "Weekly"}})


def refused_and_made(s: Scene) -> None:
    writes(s, 500, name="Every Monday", type="DANCE")
    s.rest("GET", "/presets", 200, {"success": True, "data": [STORED | {"name": "Every Monday"}]})


def made_by_a_stranger(s: Scene) -> None:
    body = right_preset(content="Every Monday")
    s.rest("POST", "/presets", 401, {"success": False, "error": "No"}, request=body, credential="none")
    s.rest("GET", "/presets", 200, {"success": True, "data": [STORED | {"content": "Every Monday"}]})


def refused_and_told(s: Scene) -> None:
    agent = s.agent("a1")
    s.rest("POST", "/agents/a1/stop", 400, {"success": False, "error": "No"}, request={"reason": 5})
    agent.gets("AGENT_CONTROL", {"agentId": "a1", "action": "STOP"})


def failures(t: Timeline) -> Iterator[Asked]:
    """400 with the failure body, for requests that break the schema."""
    return (a for a in asked(t) if a.faults and a.e.status == BAD and is_failure(a.e.value))


def points(a: Asked, t: Timeline) -> Iterator[Finding]:
    """VALIDATION_ERROR, and a pointer to the fault or what holds it."""
    e = a.e
    if code(e.value) != "VALIDATION_ERROR":
        a.confirm(t.contract)
        yield Finding(
            "a validation failure has another code", e, "/code", "VALIDATION_ERROR", code(e.value) or "nothing"
        )
        return
    details = e.value.get("details")
    errors = details.get("errors") if isinstance(details, dict) else None
    told = {str(x.get("pointer")) for x in errors if isinstance(x, dict)} if isinstance(errors, list) else set()
    wanted = {f.pointer for f in a.faults}
    if not any(t == w or w.startswith(f"{t}/") or t.startswith(f"{w}/") for t in told for w in wanted):
        a.confirm(t.contract)
        says = "the validation failure does not point at what is wrong"
        yield Finding(
            says, e, "/details/errors", " or ".join(sorted(wanted)) or "the whole body", sorted(told) or "nothing"
        )


def told(s: Scene, *pointers: str, **changes: object) -> None:
    """A preset without content, refused with these pointers."""
    errors = [{"pointer": p, "message": "no"} for p in pointers]
    right = {"success": False, "error": "No", "code": "VALIDATION_ERROR", "details": {"errors": errors}}
    s.rest("POST", "/presets", 400, right | changes, request={"name": "Daily", "type": "PLAN"})


def pointed(s: Scene) -> None:
    told(s, "/content")
    told(s, "/other", "")


def pointed_elsewhere(s: Scene) -> None:
    told(s, "/name")


def not_pointed(s: Scene) -> None:
    told(s, details=None)


def other_code(s: Scene) -> None:
    told(s, "/content", code="INVALID")


@provocation(budget=60.0)
async def bodies_of_every_operation(world: World) -> None:
    """For each operation with a body: every fault of its schema between two looks, then its right neighbours."""
    await _try_bodies(world, [o for o in world.site.operations if o.body and not o.destructive])


@provocation(needs="destructive", alone=True)
async def bodies_that_reach_far(world: World) -> None:
    """The same for what would touch more than this case made, if it were served."""
    await _try_bodies(world, [o for o in world.site.operations if o.body and o.destructive], neighbours=False)


async def _try_bodies(world: World, operations: list[Operation], *, neighbours: bool = True) -> None:
    estate = await world.estate()
    samples = world.site.contract.samples

    async def send(operation: Operation, body: object) -> None:
        await estate.user.rest.call(
            operation.method,
            operation.fill(estate.ids),
            body=body,
            credential=VALID if operation.secured else "none",
        )

    reached = [o for o in operations if estate.reaches(o)]
    await _look(estate)
    for operation in reached:
        wrong = [w.value for w in samples.faults(operation.body, estate.body(operation))]
        kept = [w for w in wrong if w is not None or operation.needs_body]  # null may stand for no body at all
        await world.crowd(send(operation, body) for body in kept)
    await _look(estate)
    for operation in reached if neighbours else ():
        many = len(list(samples.neighbours(operation.body, estate.body(operation))))
        bodies = [list(samples.neighbours(operation.body, estate.body(operation)))[i] for i in range(many)]
        await world.crowd(send(operation, body) for body in [estate.body(operation), *bodies])


async def _look(estate: Estate) -> None:
    """The owner looks at each resource and each list."""
    operations = estate.world.site.operations
    for operation in (o for o in operations if o.method == "GET" and estate.reaches(o) and o.path.count("/") <= 2):  # noqa: PLR2004 - /kind and /kind/id
        if operation.path.split("/")[1] in {"agents", "commands", "presets", "constraints", "reports"}:
            query = {} if operation.names else {"limit": "100"}
            await estate.user.rest.get(operation.fill(estate.ids), query=query)


@provocation(budget=60.0)
async def queries_of_every_operation(world: World) -> None:
    """For each query parameter of each operation: values just inside and just outside its schema."""
    estate = await world.estate()

    async def ask(operation: Operation, name: str, value: str) -> None:
        await estate.user.rest.get(operation.fill(estate.ids), query={name: value})

    asks = []
    for operation in (o for o in world.site.operations if estate.reaches(o)):
        for name, schema in operation.query.items():
            right = world.site.contract.samples.right(schema, "cf.nothing")
            samples = world.site.contract.samples
            values = [right, *(s.value for s in samples.faults(schema, right)), *samples.neighbours(schema, right)]
            written = {str(v) for v in values if isinstance(v, (str, int)) and not isinstance(v, bool) and v != ""}
            asks += [partial(ask, operation, name, value) for value in sorted(written)]
    await world.crowd(one() for one in asks)


RULES = (
    Rule(
        id="validation.every-schema",
        clauses=("VAL-1",),
        judges="In every operation what breaks the schema is answered 400, and what keeps it is not.",
        when=asked,
        check=shape_judged,
        good=(wrong_and_right, and_open_questions),
        bad=(takes_no_content, takes_a_number_for_text, clamps_the_limit, refuses_the_largest, guest_breaks),
        cases=(bodies_of_every_operation, bodies_that_reach_far, queries_of_every_operation),
    ),
    Rule(
        id="validation.refused-changes-nothing",
        clauses=("VAL-1", "AUTH-1"),
        judges="What was refused, for its shape or for its token, changed nothing, made nothing and told no agent.",
        when=refusals,
        check=nothing_happened,
        good=(refused_and_forgotten, refused_before_it_came_back_as_another, refused_once_its_time_was_up),
        bad=(refused_and_replaced, refused_and_made, made_by_a_stranger, refused_and_told),
        cases=(bodies_of_every_operation,),
    ),
    Rule(
        id="validation.points-at-the-fault",
        clauses=("ENV-3",),
        judges="A validation failure has the code VALIDATION_ERROR and points at what is wrong.",
        when=failures,
        check=points,
        good=(pointed,),
        bad=(pointed_elsewhere, not_pointed, other_code),
        cases=(bodies_of_every_operation,),
    ),
)
