"""Operations on ids that no agent has are answered 404 (AGT-5, and the same in AGT-10 and AGT-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.rest_views import agent_of, is_failure, judged, unknown_agents
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


NOT_FOUND = 404


def unknown(*operations: str) -> Callable[[Timeline], Iterator[Exchange]]:
    """Occasions: these operations on ids that no agent has, in a request that is right otherwise."""

    def when(t: Timeline) -> Iterator[Exchange]:
        made_up = unknown_agents(t)
        for e in judged(t):
            right = e.operation != "renameAgent" or t.contract.shapes.accepts("agent-update.json", e.request)
            if e.operation in operations and agent_of(e) in made_up and right:
                yield e

    return when


def unknown_refused(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """404 with the failure body."""
    if e.status != NOT_FOUND:
        says = f"{e.label} with an unknown id is not answered 404: a stale link crashes the page"
        yield Finding(says, e, "", "404", e.status)
    elif not is_failure(e.value):
        says = "the 404 has no failure body: the page has nothing to say"
        yield Finding(says, e, "", "success false and error", e.text[:80])


def not_there(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.fails("GET", "/agents/zz", 404, "Kein solcher Agent")
    s.rest("PATCH", "/agents/zz", 404, {"success": False, "error": "No"}, request={"name": "Ada"})
    s.fails("DELETE", "/agents/zz", 404)


def get_crashes(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.fails("GET", "/agents/zz", 500)


def get_gives_null(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.rest("GET", "/agents/zz", 200, {"success": True, "data": None})


def get_in_other_words(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.rest("GET", "/agents/zz", 404, {"detail": "Not Found"})


def patch_makes_one(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.rest("PATCH", "/agents/zz", 200, {"success": True, "data": s.row("zz")}, request={"name": "Ada"})


def delete_of_nothing(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    s.rest("DELETE", "/agents/zz", 204)


async def unknown_ids(world: World) -> None:
    """Ids that no agent has, ordinary, short, long and odd ones; and one that an agent has."""
    user, name = world.user(), world.new_id()
    for agent_id in (
        name,
        f"{name}:-_.",
        f"-{name}",
        f":{name}",
        f"{name}..",
        f"{name}__proto__",
        name.ljust(128, "x"),
    ):
        await user.rest.get(f"/agents/{world.unknown_agent(agent_id)}")
    agent = await user.agent()
    await user.rest.get(f"/agents/{agent.id}")


async def unknown_changes(world: World) -> None:
    """A rename and a deletion of an agent that does not exist."""
    agent_id = world.unknown_agent()
    await world.user().rest.patch(f"/agents/{agent_id}", {"name": "Nobody"})
    await world.user().rest.delete(f"/agents/{agent_id}")


RULES = (
    Rule(
        id="agent.unknown-is-404",
        clauses=("AGT-5",),
        judges="GET of an agent that does not exist is answered 404 with the failure body.",
        when=unknown("getAgent"),
        check=unknown_refused,
        good=(not_there,),
        bad=(get_crashes, get_gives_null, get_in_other_words),
        cases=(unknown_ids,),
    ),
    Rule(
        id="agent.rename-unknown-is-404",
        clauses=("AGT-10",),
        judges="A rename of an agent that does not exist is answered 404.",
        when=unknown("renameAgent"),
        check=unknown_refused,
        good=(not_there,),
        bad=(patch_makes_one,),
        cases=(unknown_changes,),
    ),
    Rule(
        id="agent.delete-unknown-is-404",
        clauses=("AGT-11",),
        judges="A deletion of an agent that does not exist is answered 404.",
        when=unknown("deleteAgent"),
        check=unknown_refused,
        good=(not_there,),
        bad=(delete_of_nothing,),
        cases=(unknown_changes,),
    ),
)
