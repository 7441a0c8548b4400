"""Commands over REST: created as asked, refused for a stated reason, shaped as the contract says (CMD-R4, CMD-R5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.command_orders import limits_in
from conformance.command_scene import CONTENT, ONE, creates, lists, resource, shows
from conformance.command_views import Reading, resources
from conformance.resources import follows_schema
from conformance.rest_views import code, is_failure, is_plain_json, judged, outcome
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

CREATED, BAD, NOT_FOUND, CONFLICT = 201, 400, 404, 409
OPERATIONS = ("getCommand", "cancelCommand", "getCommandOutput", "getCommandTraces")


def aimed_at(e: Exchange) -> list[object]:
    """The agents that a request names."""
    found = e.request.get("targetAgents") if isinstance(e.request, dict) else None
    return found if isinstance(found, list) else []


def creations(t: Timeline) -> Iterator[Exchange]:
    """Each right request for agents of the user that had connected, or for all."""
    deleted = {e.path.split("/")[2] for e in t.exchanges if e.operation == "deleteAgent"}
    for e in judged(t):
        if e.operation != "createCommand" or not follows_schema(t, e) or not is_plain_json(e):
            continue
        targets = set(map(str, aimed_at(e)))
        own = {a.agent_id for a in t.agents if a.user == e.user and a.accepted and a.accepted.at < e.at} - deleted
        all_of_them = e.request.get("broadcast") is True and not targets and bool(own)
        if (targets and targets <= own and e.request.get("broadcast") is not True) or all_of_them:
            yield e


def created(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """201 with the Command as it was asked for."""
    if e.status == CONFLICT and code(e.value) == "QUEUE_FULL":
        return
    made = reading.one(e.value)
    if e.status != CREATED or made is None:
        yield Finding("a right POST /commands does not create a command", e, "", "201 with the Command", outcome(e))
        return
    asked: dict[str, Any] = e.request
    broadcast = asked.get("broadcast") is True
    wanted = {"content": asked["content"], "type": asked["type"], "priority": asked.get("priority", 50)}
    for name, value in (wanted | {"broadcast": broadcast}).items():
        if made.get(name) == value:
            continue
        says = f"the {name} of a created command is not what was asked for"
        yield Finding(says, e, f"/data/{name}", f"{value!r}", made.get(name, "nothing"))
    shown, named = made.get("targetAgents"), sorted(set(map(str, aimed_at(e))))
    if not broadcast and sorted(map(str, shown if isinstance(shown, list) else [shown])) != named:
        says = "a created command is not for the agents that were named, each once"
        yield Finding(says, e, "/data/targetAgents", f"{named}", shown)
    limits, kept = limits_in(asked), made.get("executionConstraints")
    if any(not isinstance(kept, dict) or kept.get(k) != v for k, v in limits.items()):
        says = "the limits of a created command are not those that were asked for"
        yield Finding(says, e, "/data/executionConstraints", f"{limits}", kept)


def well_shaped(r: Reading, t: Timeline) -> Iterator[Finding]:
    """A Command."""
    for v in t.contract.violations("command.json", r.value):
        if v.keyword not in {"enum", "const"}:
            says = "a command over REST is out of shape"
            yield Finding(says, r.where, r.pointer + v.pointer, v.expected, v.got)


def unknown(t: Timeline) -> Iterator[Exchange]:
    """Each operation on a command that does not exist."""
    made_up = {n.data["command"] for n in t.notes if n.kind == "unknown-command"}
    for e in judged(t):
        if e.operation in OPERATIONS and e.path.split("/")[2] in made_up and follows_schema(t, e):
            yield e


def not_there(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """404 with the failure body."""
    if e.status != NOT_FOUND:
        yield Finding(f"{e.label} with an unknown id is not answered 404", e, "", "404", e.status)
    elif not is_failure(e.value):
        yield Finding("the 404 has no failure body", e, "", "success false and error", e.text[:80])


def made_as_asked(s: Scene) -> None:
    s.agent("a1")
    creates(s)
    creates(s, ONE, priority=0, content="é", executionConstraints={"maxRetries": 0})
    creates(s, ONE, targetAgents=["a1"], agents=...)
    shows(s, ONE, agents=[{"agentId": "a1", "status": "QUEUED", "startedAt": None, "completedAt": None, "error": None}])
    lists(s, resource())


def _makes(s: Scene, status: int = 201, /, **shown: Any) -> None:
    s.agent("a1")
    asked = {"content": CONTENT, "type": "NATURAL", "targetAgents": ["a1", "a1"], "priority": 7}
    body = {"success": True, "data": resource(ONE, **({"priority": 7} | shown))}
    s.rest("POST", "/commands", status, body, request=asked)


def made_with_another_priority(s: Scene) -> None:
    _makes(s, priority=50)


def made_twice_for_one(s: Scene) -> None:
    _makes(s, targetAgents=["a1", "a1"])


def made_with_200(s: Scene) -> None:
    _makes(s, 200)


def without_its_times(s: Scene) -> None:
    shows(s, ONE, startedAt=..., createdAt=1_760_000_000)


def nothing_there(s: Scene, status: int = 404) -> None:
    s.note("unknown-command", command=ONE)
    for method, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/output"), ("GET", "/traces")):
        s.fails(method, f"/commands/{ONE}{path}", status)


def nothing_there_crashes(s: Scene) -> None:
    nothing_there(s, 500)


async def created_in_every_way(world: World) -> None:
    """Commands with each type and each field at its bounds, for one agent, for two, and for one named twice."""
    user = world.user()
    one, two = await user.agent(), await user.agent()
    kinds = ("NATURAL", "INVESTIGATE", "REVIEW", "PLAN", "SYNTHESIZE")
    targets = ([one.id], [one.id, two.id], [one.id, one.id])
    fields: tuple[dict[str, Any], ...] = (
        {"priority": 0},
        {"priority": 100, "broadcast": False},
        {"executionConstraints": {"timeLimitMs": 1, "tokenBudget": 1, "maxRetries": 0}},
        {"content": "y" * 10_000},
        {"content": "☃"},
    )
    for number, (kind, more) in enumerate(zip(kinds, fields, strict=True)):
        asked = {"content": f"Number {number}", "type": kind, "targetAgents": targets[number % 3]} | more
        made = await user.rest.post("/commands", asked)
        command = reading.command_id(reading.one(made.value))
        await user.rest.get(f"/commands/{command}")
        await user.rest.post(f"/commands/{command}/cancel")
    await user.rest.get("/commands", query={"agentId": one.id})


async def unknown_ids(world: World) -> None:
    """Every operation on a command that does not exist, and on one that does."""
    user, agent = world.user(), await world.user().agent()
    for command in (world.unknown_command(), await user.rest.command(agent.id)):
        for path in ("", "/output", "/traces"):
            await user.rest.get(f"/commands/{command}{path}")
        await user.rest.post(f"/commands/{command}/cancel", {"reason": "No more"})


RULES = (
    Rule(
        id="rest-command.created",
        clauses=("CMD-R4",),
        judges="A right POST /commands is answered 201 with the Command as it was asked for.",
        when=creations,
        check=created,
        good=(made_as_asked,),
        bad=(made_with_another_priority, made_twice_for_one, made_with_200),
        cases=(created_in_every_way,),
    ),
    Rule(
        id="rest-command.shape",
        clauses=("CMD-R5", "CMD-R4"),
        judges="Commands over REST have the contract's fields.",
        when=resources,
        check=well_shaped,
        good=(made_as_asked,),
        bad=(without_its_times,),
        cases=(created_in_every_way,),
    ),
    Rule(
        id="rest-command.unknown-is-404",
        clauses=("CMD-R5",),
        judges="Operations on a command that does not exist are answered 404.",
        when=unknown,
        check=not_there,
        good=(nothing_there,),
        bad=(nothing_there_crashes,),
        cases=(unknown_ids,),
    ),
)
