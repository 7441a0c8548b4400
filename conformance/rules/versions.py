"""API versions over REST: the one asked for is the one given (VER-1, VER-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance import reading
from conformance.rest_views import KNOWN_VERSIONS, TOO_MANY, Row, answered, version
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


def asked(t: Timeline) -> Iterator[Exchange]:
    """Answers to requests that name a version of the contract."""
    for e in answered(t):
        if e.request_headers.get("x-api-version") in KNOWN_VERSIONS and e.credential == VALID and e.status != TOO_MANY:
            yield e


def echoed(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """The version that the answer is in."""
    got = e.headers.get("x-api-version")
    if got != version(e):
        says = "the answer does not say which version it is in: clients cannot tell which shape they got"
        yield Finding(says, e, "", f"X-API-Version: {version(e)}", got or "nothing")


def versioned(s: Scene, asked_for: str, given: str | None) -> None:
    """A list asked for and answered in these versions."""
    headers = {"content-type": "application/json"} | ({"x-api-version": given} if given else {})
    s.lists(request_headers={"x-api-version": asked_for}, headers=headers)


def says_its_version(s: Scene) -> None:
    versioned(s, "0", "0")
    versioned(s, "1", "1")
    s.lists()


def says_nothing(s: Scene) -> None:
    versioned(s, "1", None)


def says_another(s: Scene) -> None:
    versioned(s, "0", "1")


def plain(t: Timeline) -> Iterator[Row]:
    """The first agent in each answer to a request that names no version, on timelines where versions are named."""
    if any("x-api-version" in e.request_headers for e in t.exchanges):
        for e in answered(t):
            if "x-api-version" not in e.request_headers and e.status == OK and e.credential == VALID:
                yield from _first_agent(e)


def _first_agent(e: Exchange) -> Iterator[Row]:
    if e.operation == "listAgents":
        first = next(iter(reading.rows(e.value) or ()), None)
        if isinstance(first, dict):
            yield Row(e, "/data/0", first)
    elif e.operation in {"getAgent", "renameAgent"} and (one := reading.one(e.value)) is not None:
        yield Row(e, "/data", one)


def is_current(row: Row, _t: Timeline) -> Iterator[Finding]:
    """The shape of version 1."""
    if "agent_id" not in row.value:
        says = "without X-API-Version the answer is not in version 1"
        yield Finding(says, row.where, f"{row.pointer}/agent_id", "the agent as version 1 has it", sorted(row.value))


def defaults_to_one(s: Scene) -> None:
    versioned(s, "0", "0")
    s.lists(s.row("a1"))


def defaults_to_zero(s: Scene) -> None:
    versioned(s, "0", "0")
    s.lists(_old(s))


def _old(s: Scene, **changes: object) -> dict[str, object]:
    """An agent in the old shape."""
    right = {
        "id": "a1",
        "user_id": "alice",
        "name": "Ada",
        "type": "claude",
        "status": "online",
        "version": "1.2.0",
        "capabilities": ["basic"],
        "last_ping": None,
        "metadata": {},
        "created_at": s.born,
        "updated_at": s.born,
    } | changes
    return {k: v for k, v in right.items() if v is not ...}


def old_agents(t: Timeline) -> Iterator[Row]:
    """Every agent in answers to requests for version 0."""
    for e in answered(t):
        if version(e) == "0" and e.credential == VALID and e.status == OK:
            if e.operation == "listAgents":
                rows = reading.rows(e.value) or []
                yield from (Row(e, f"/data/{i}", row) for i, row in enumerate(rows) if isinstance(row, dict))
            else:
                yield from _first_agent(e)


def old_shape(row: Row, t: Timeline) -> Iterator[Finding]:
    """The old names, and lower case."""
    for v in t.contract.violations("v0/agent.json", row.value):
        says = "an agent asked for in version 0 is not in the old shape: clients not yet moved break"
        yield Finding(says, row.where, row.pointer + v.pointer, v.expected, v.got)


def old_to_old_clients(s: Scene) -> None:
    s.rest(
        "GET", "/agents/a1", 200, {"success": True, "data": _old(s, extra=1)}, request_headers={"x-api-version": "0"}
    )
    s.rest("GET", "/agents", 200, {"success": True, "data": [_old(s)]}, request_headers={"x-api-version": "0"})


def new_to_old_clients(s: Scene) -> None:
    s.lists(s.row("a1"), request_headers={"x-api-version": "0"})


def upper_case_to_old_clients(s: Scene) -> None:
    s.rest(
        "GET",
        "/agents/a1",
        200,
        {"success": True, "data": _old(s, status="ONLINE")},
        request_headers={"x-api-version": "0"},
    )


def without_metadata(s: Scene) -> None:
    s.rest(
        "GET",
        "/agents/a1",
        200,
        {"success": True, "data": _old(s, metadata=...)},
        request_headers={"x-api-version": "0"},
    )


@provocation(budget=20.0)
async def both_versions_over_rest(world: World) -> None:
    """An agent before and after its first heartbeat, in version 0, version 1 and without naming one."""
    user, agent = world.user(), await world.user().agent()
    for _ in range(2):
        for headers in ({"X-API-Version": "0"}, {"X-API-Version": "1"}, None):
            await user.rest.all_agents(headers=headers)
            await user.rest.get(f"/agents/{agent.id}", headers=headers)
            await user.rest.get(f"/agents/{world.unknown_agent()}", headers=headers)
        await agent.heartbeat()


RULES = (
    Rule(
        id="versions.echoed",
        clauses=("VER-1",),
        judges="An answer to a request that names a version says the same version.",
        when=asked,
        check=echoed,
        good=(says_its_version,),
        bad=(says_nothing, says_another),
        cases=(both_versions_over_rest,),
    ),
    Rule(
        id="versions.one-by-default",
        clauses=("VER-1",),
        judges="A request that names no version is answered in version 1.",
        when=plain,
        check=is_current,
        good=(defaults_to_one,),
        bad=(defaults_to_zero,),
        cases=(both_versions_over_rest,),
    ),
    Rule(
        id="versions.old-agents",
        clauses=("VER-2",),
        judges="Version 0 gives agents their old names, in lower case.",
        when=old_agents,
        check=old_shape,
        good=(old_to_old_clients,),
        bad=(new_to_old_clients, upper_case_to_old_clients, without_metadata),
        cases=(both_versions_over_rest,),
    ),
)
