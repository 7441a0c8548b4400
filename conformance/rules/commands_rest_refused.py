"""What POST /commands refuses: broken bodies, no targets, agents that are none of the user's (CMD-R4)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_scene import CONTENT, ONE, lists, resource
from conformance.command_views import resources
from conformance.resources import follows_schema
from conformance.rest_views import code, is_failure, is_plain_json, judged, unknown_agents
from conformance.rule import Finding, Rule, provocation
from conformance.rules.commands_rest import aimed_at
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

CREATED, BAD, NOT_FOUND, CONFLICT = 201, 400, 404, 409
OPERATIONS = ("getCommand", "cancelCommand", "getCommandOutput", "getCommandTraces")


class Refused(NamedTuple):
    """A request that must be refused, why, and with what."""

    e: Exchange
    why: str
    status: int
    code: str = ""


def refusable(t: Timeline) -> Iterator[Refused]:
    """Each POST /commands with a broken body, for nobody, or for an agent that is none of the user's."""
    strange = unknown_agents(t) | t.owners.keys()
    for e in judged(t):
        if e.operation != "createCommand" or e.request is MISSING or not is_plain_json(e):
            continue
        foreign = [a for a in map(str, aimed_at(e)) if a in strange and t.owners.get(a) != e.user]
        if not follows_schema(t, e):
            yield Refused(e, "a body that breaks its schema", BAD)
        elif foreign:
            yield Refused(e, "an agent that is none of the user's", NOT_FOUND)
        elif e.request.get("broadcast") is True and not aimed_at(e) and _has_none(t, e):
            yield Refused(e, "a broadcast of a user without agents", CONFLICT, "NO_AGENTS")


def _has_none(t: Timeline, e: Exchange) -> bool:
    """Whether the user's list of agents was empty before and after."""
    lists = [x for x in judged(t) if x.operation == "listAgents" and x.user == e.user]
    empty = [reading.rows(x.value) == [] for x in lists]
    around = any(x.ended <= e.at for x in lists) and any(x.at >= e.ended for x in lists)
    return bool(empty) and all(empty) and around and not any(a.user == e.user for a in t.agents)


def refused(r: Refused, t: Timeline) -> Iterator[Finding]:
    """With that status and code; nothing is made of it."""
    e = r.e
    if e.status != r.status:
        yield Finding(f"POST /commands for {r.why} is not answered {r.status}", e, "", f"{r.status}", e.status)
    elif not is_failure(e.value):
        yield Finding(f"the {r.status} has no failure body", e, "", "success false and error", e.text[:80])
    elif r.code and code(e.value) != r.code:
        says = f"POST /commands for {r.why} does not say so by its code"
        yield Finding(says, e, "/code", r.code, code(e.value) or "nothing")
    content = e.request.get("content") if isinstance(e.request, dict) else None
    others = [
        x for x in t.exchanges if x is not e and isinstance(x.request, dict) and x.request.get("content") == content
    ]
    said = any(f.payload.get("content") == content for d in t.dashboards for f in d.sent)
    if not isinstance(content, str) or not content or others or said:
        return
    for shown in resources(t, "listCommands", "getCommand"):
        if shown.where.at >= e.ended and shown.where.user == e.user and shown.value.get("content") == content:
            says = "a refused POST /commands has created a command all the same"
            yield Finding(says, shown.where, shown.pointer, "no such command", shown.value.get("id"), (e,))
            return


def _broken(s: Scene, *statuses: int) -> None:
    s.note("unknown-agent", agent="zz")
    s.agent("a1")
    changes: tuple[dict[str, Any], ...] = ({"content": ""}, {"targetAgents": []}, {"targetAgents": ["zz"]})
    for body, status in zip(changes, statuses, strict=True):
        asked = {"content": CONTENT, "type": "NATURAL", "targetAgents": ["a1"]} | body
        s.rest("POST", "/commands", status, {"success": False, "error": "No"}, request=asked)
    lists(s)


def refused_as_they_must(s: Scene) -> None:
    _broken(s, 400, 400, 404)


def for_nobody_made(s: Scene) -> None:
    _broken(s, 400, 201, 404)


def unknown_target_made(s: Scene) -> None:
    _broken(s, 400, 400, 201)


def refused_yet_made(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    asked = {"content": "A ghost", "type": "NATURAL", "targetAgents": ["zz"]}
    s.rest("POST", "/commands", 404, {"success": False, "error": "No"}, request=asked)
    lists(s, resource(ONE, content="A ghost"))


def _to_all_of_none(s: Scene, failure: str) -> None:
    s.lists(user="carol")
    asked = {"content": CONTENT, "type": "NATURAL", "broadcast": True}
    no = {"success": False, "error": "Nobody", "code": failure}
    s.rest("POST", "/commands", 409, no, request=asked, user="carol")
    s.lists(user="carol")


def to_all_of_none_refused(s: Scene) -> None:
    _to_all_of_none(s, "NO_AGENTS")


def to_all_of_none_without_a_word(s: Scene) -> None:
    _to_all_of_none(s, "CONFLICT")


async def created_in_no_way(world: World) -> None:
    """Broken bodies, no targets, unknown targets; then the list is looked through, and a right one is created."""
    user, agent = world.user(), await world.user().agent()
    right: dict[str, Any] = {"type": "PLAN", "targetAgents": [agent.id]}
    unknown = world.unknown_agent()
    changes: tuple[dict[str, Any], ...] = (
        {"content": ""},
        {"content": "z" * 10_001},
        {"content": 7},
        {"type": "plan"},
        {"type": None},
        {"priority": 101},
        {"priority": -1},
        {"priority": "50"},
        {"priority": 1.5},
        {"targetAgents": []},
        {"targetAgents": agent.id},
        {"targetAgents": [], "broadcast": False},
        {"executionConstraints": {"timeLimitMs": 0}},
        {"executionConstraints": {"maxRetries": -1}},
        {"targetAgents": [unknown]},
        {"targetAgents": [agent.id, unknown]},
    )
    for change in changes:
        await user.rest.post("/commands", {"content": f"Ghost {uuid.uuid4()}"} | right | change)
    await user.rest.post("/commands", {"content": f"Ghost {uuid.uuid4()}", "type": "PLAN"})
    await user.rest.get("/commands", query={"agentId": agent.id, "limit": "100"})
    await user.rest.get("/commands", query={"limit": "100"})
    await user.rest.command(agent.id)


@provocation(needs="second-user commands")
async def for_a_foreign_agent(world: World) -> None:
    """A command over REST for another user's agent, alone and beside an agent of one's own."""
    agent, mine = await world.user().agent(), await world.user(1).agent()
    rest = world.user(1).rest
    for targets in ([agent.id], [mine.id, agent.id], [mine.id]):
        await rest.post("/commands", {"content": f"Ghost {uuid.uuid4()}", "type": "PLAN", "targetAgents": targets})
    await rest.get("/commands", query={"limit": "100"})
    await world.quiet()


@provocation(needs="third-user commands", alone=True)
async def to_all_of_nobody(world: World) -> None:
    """A broadcast of a user that has no agents."""
    rest = world.user(2).rest
    await rest.get("/agents")
    await rest.post("/commands", {"content": f"Ghost {uuid.uuid4()}", "type": "PLAN", "broadcast": True})
    await rest.get("/agents")
    await rest.get("/commands")


RULE = Rule(
    id="rest-command.refused",
    clauses=("CMD-R4",),
    judges="A broken body is answered 400, an unknown target 404, a broadcast to none 409; nothing is created.",
    when=refusable,
    check=refused,
    good=(refused_as_they_must, to_all_of_none_refused),
    bad=(for_nobody_made, unknown_target_made, refused_yet_made, to_all_of_none_without_a_word),
    cases=(created_in_no_way, for_a_foreign_agent, to_all_of_nobody),
)
