"""Whatever has an id belongs to one user: for another it does not exist, in any operation (ISO-1)."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, NamedTuple

from conformance.resources import (
    Owned,
    Resource,
    changed,
    data_of,
    follows_schema,
    looks_around,
    owners,
    resource_of,
    unknown_ids,
)
from conformance.rest_views import code, judged, masked
from conformance.rule import Finding, Rule, provocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.contract import Operation
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Frame, Timeline
    from conformance.world.estate import Estate
    from conformance.world.user import User
    from conformance.world.world import World

NOT_FOUND = 404
ELSEWHERE = frozenset({"getAgent", "renameAgent", "deleteAgent"})
"""Judged with more words in `rest_isolation`."""
TOLD = {"agents": "AGENT_CONTROL", "commands": "COMMAND_CANCEL"}
"""What an agent would hear of it, if a stranger's request were served."""


class Reached(NamedTuple):
    """A right request of a user for what another user has."""

    e: Exchange
    resource: Resource
    owned: Owned
    twin: Exchange | None
    """The same user's same request for something that does not exist."""


def reached(t: Timeline) -> Iterator[Reached]:
    """Every right request for what another user has, in any operation on one resource."""
    whose = owners(t)
    if len({owned.user for owned in whose.values()} | {e.user for e in t.exchanges}) < 2:  # noqa: PLR2004 - two users
        return
    unknown = unknown_ids(t)
    refused = [e for e in judged(t) if e.status == NOT_FOUND and (r := resource_of(e)) and r.id in unknown]
    for e in judged(t):
        resource = resource_of(e)
        owned = whose.get(resource) if resource else None
        if resource is None or owned is None or owned.user == e.user or owned.since.seq > e.seq:
            continue
        if e.operation in ELSEWHERE or not follows_schema(t, e) or e.query:
            continue
        twin = next((x for x in refused if x.operation == e.operation and x.user == e.user), None)
        yield Reached(e, resource, owned, twin)


def not_there(r: Reached, _t: Timeline) -> Iterator[Finding]:
    """404, in the words for what does not exist."""
    e, one = r.e, f"another user's {r.resource.kind.removesuffix('s')}"
    if e.status != NOT_FOUND:
        says = f"{e.label} on {one} is not answered 404: a stranger can tell that it is there, or reach it"
        yield Finding(says, e, "", "404, as for one that does not exist", e.status, (r.owned.since,))
    elif r.twin is not None and _shape(e) != _shape(r.twin):
        says = f"the refusal of {one} differs from the one for what does not exist: it betrays that this one does"
        yield Finding(says, e, "", f"{_shape(r.twin)}", f"{_shape(e)}", (r.owned.since, r.twin))


def _shape(e: Exchange) -> tuple[object, object, object]:
    resource = resource_of(e)
    name = resource.id if resource else None
    if not isinstance(e.value, dict):
        return None, None, masked(e.text, name)
    return sorted(e.value), code(e.value), masked(e.value.get("error"), name)


class Attack(NamedTuple):
    """What another user tried to change, and what its owner saw of it before and after."""

    by: Exchange
    resource: Resource
    before: Exchange
    after: Exchange
    heard: tuple[Frame, ...]
    """What the owner's agent was told meanwhile."""


def attacks(t: Timeline) -> Iterator[Attack]:
    """Writing requests for what another user has, between two looks of its owner, who did nothing himself."""
    for r in reached(t):
        if r.e.method != "GET" and (looks := looks_around(t, r.e, r.owned.user)):
            first, last = looks
            yield Attack(r.e, r.resource, first, last, tuple(_heard(t, r, first.at, last.ended)))


def _heard(t: Timeline, r: Reached, start: float, end: float) -> Iterator[Frame]:
    """What the owner's agents were told about the resource between two moments."""
    for agent in t.agents:
        if agent.user != r.owned.user or r.resource.kind not in TOLD:
            continue
        for frame in agent.of_kind(TOLD[r.resource.kind]):
            if start < frame.at < end and r.resource.id in {frame.payload.get("commandId"), agent.agent_id}:
                yield frame


def untouched(attack: Attack, _t: Timeline) -> Iterator[Finding]:
    """Its owner sees it as it was, and no agent was told."""
    evidence = (attack.before, attack.by)
    name = changed(attack.before, attack.after)
    if name == "":
        says = "what another user tried to change is gone: its owner does not find it any more"
        yield Finding(says, attack.after, "", "the same as before", attack.after.status, evidence)
    elif name is not None:
        was, now = (data_of(e).get(name) for e in (attack.before, attack.after))
        says = f"another user's request changed the {name} of what is not theirs"
        yield Finding(says, attack.after, f"/data/{name}", f"{was}", now, evidence)
    if attack.heard:
        says = "an agent was told what another user asked of it"
        yield Finding(says, attack.heard[0], "", f"no {attack.heard[0].label}", attack.heard[0].label, evidence)


PRESET = {"id": "p1", "name": "Ada's", "content": "x"}


def alices_preset(s: Scene) -> None:
    """Alice has made a preset and looks at it; bob knows of one that does not exist."""
    s.note("unknown-id", id="zz")
    s.rest("POST", "/presets", 201, {"success": True, "data": PRESET})
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": PRESET})


def not_there_for_bob(s: Scene) -> None:
    alices_preset(s)
    s.fails("DELETE", "/presets/zz", 404, "There is no zz", user="bob")
    s.fails("DELETE", "/presets/p1", 404, "There is no p1", user="bob")
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": PRESET})


def shown_to_bob(s: Scene) -> None:
    alices_preset(s)
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": PRESET}, user="bob")


def forbidden_to_bob(s: Scene) -> None:
    s.agent("a1")
    s.fails("POST", "/agents/a1/stop", 403, user="bob")


def other_words_for_bob(s: Scene) -> None:
    alices_preset(s)
    s.fails("GET", "/presets/p1", 404, "This is not yours", user="bob")
    s.fails("GET", "/presets/zz", 404, "No such preset", user="bob")


def a_report_shown_to_bob(s: Scene) -> None:
    agent = s.agent("a1")
    sent = agent.sends("INVESTIGATION_REPORT", {"reportId": "r1", "agentId": "a1"})
    agent.gets("ACK", {"messageId": sent.id, "success": True})
    s.rest("GET", "/reports/r1/export", 200, {"id": "r1"}, user="bob")


def deleted_all_the_same(s: Scene) -> None:
    alices_preset(s)
    s.fails("DELETE", "/presets/p1", 404, user="bob")
    s.fails("GET", "/presets/p1", 404)


def replaced_all_the_same(s: Scene) -> None:
    alices_preset(s)
    body = {"name": "Bob's", "content": "x", "type": "PLAN"}
    s.rest("PUT", "/presets/p1", 404, {"success": False, "error": "No"}, user="bob", request=body)
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": PRESET | {"name": "Bob's"}})


def stopped_all_the_same(s: Scene) -> None:
    agent = s.agent("a1")
    s.shows(s.row("a1"))
    s.fails("POST", "/agents/a1/stop", 404, user="bob")
    agent.gets("AGENT_CONTROL", {"agentId": "a1", "action": "STOP"})
    s.shows(s.row("a1"))


@provocation(needs="second-user", budget=60.0)
async def a_stranger_at_every_door(world: World) -> None:
    """A second user tries every operation on one resource with the first one's ids, and with ids of nothing."""
    estate, other = await world.estate(), world.user(1)
    operations = [o for o in world.site.operations if o.names and o.id not in ELSEWHERE and estate.reaches(o)]
    nothing = {name: str(uuid.uuid4()) for name in estate.ids} | {"agentId": world.unknown_agent()}
    for name in nothing.values():
        world.recorder.note("unknown-id", id=name)
    await asyncio.gather(*(_ask(other, o, o.fill(nothing), estate) for o in operations))
    reading, writing = ([o for o in operations if (o.method == "GET") is is_reading] for is_reading in (True, False))
    await asyncio.gather(*(_ask(other, o, o.fill(estate.ids), estate) for o in reading))
    for operation in writing:
        path = "/".join(operation.fill(estate.ids).split("/")[:3])
        await estate.user.rest.get(path)
        await _ask(other, operation, operation.fill(estate.ids), estate)
        await estate.user.rest.get(path)


async def _ask(user: User, operation: Operation, path: str, estate: Estate) -> None:
    if operation.body:
        await user.rest.call(operation.method, path, body=estate.body(operation))
    else:
        await user.rest.call(operation.method, path)


RULES = (
    Rule(
        id="isolation.foreign-resource-is-unknown",
        clauses=("ISO-1",),
        judges="In every operation on one resource, another user's is answered 404, in the words for one of nobody.",
        when=reached,
        check=not_there,
        good=(not_there_for_bob,),
        bad=(shown_to_bob, forbidden_to_bob, other_words_for_bob, a_report_shown_to_bob),
        cases=(a_stranger_at_every_door,),
    ),
    Rule(
        id="isolation.foreign-resource-stays",
        clauses=("ISO-1",),
        judges="What another user tries to change, cancel, stop or delete stays as it was, and no agent hears of it.",
        when=attacks,
        check=untouched,
        good=(not_there_for_bob,),
        bad=(deleted_all_the_same, replaced_all_the_same, stopped_all_the_same),
        cases=(a_stranger_at_every_door,),
    ),
)
