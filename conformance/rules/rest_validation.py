"""Requests that break the schema are refused and change nothing; their right neighbours are served (VAL-1, AGT-13)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rest_views import Row, agent_of, around, differences, is_plain_json, judged, last_connection, outcome
from conformance.rule import Finding, Rule
from conformance.timeline import MISSING
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

BAD = 400
LIMITS = {"limit": (1, 100), "offset": (0, 10**9)}
WORDS = {
    "type": ("CLAUDE", "GEMINI", "CODEX", "CUSTOM"),
    "status": ("ONLINE", "OFFLINE", "CONNECTING", "ERROR"),
}
STABLE = ("agent_id", "name", "agent_type", "version", "capabilities", "created_at")
NAMES: tuple[object, ...] = ("", "n" * 101, None, 5, True, ["Ada"], {"first": "Ada"})


class Asked(NamedTuple):
    """A request to list agents, and the parameters in it that break the schema."""

    e: Exchange
    bad: tuple[str, ...]


def _fits(name: str, value: str) -> bool | None:
    """Whether a query value is right; None where the contract leaves it open."""
    if name in WORDS:
        return value.upper() in WORDS[name] if value.isalpha() else None
    if re.fullmatch(r"-?\d{1,9}", value):
        low, high = LIMITS[name]
        return low <= int(value) <= high
    return False if value.isalpha() else None


def _asked(t: Timeline, names: frozenset[str]) -> Iterator[Asked]:
    for e in judged(t):
        if e.operation != "listAgents" or not names & e.query.keys() or not e.query.keys() <= {*LIMITS, *WORDS}:
            continue
        verdicts = {name: _fits(name, value) for name, value in e.query.items()}
        if None not in verdicts.values() and (
            all(verdicts.values()) or not all(verdicts[n] for n in names & e.query.keys())
        ):
            yield Asked(e, tuple(n for n, right in verdicts.items() if not right))


def pages_asked(t: Timeline) -> Iterator[Asked]:
    """Lists asked for with a limit or an offset."""
    return _asked(t, frozenset(LIMITS))


def filters_asked(t: Timeline) -> Iterator[Asked]:
    """Lists asked for with a type or a status."""
    return _asked(t, frozenset(WORDS))


def query_judged(asked: Asked, _t: Timeline) -> Iterator[Finding]:
    """400 for what breaks the schema, 200 for what does not."""
    e, bad = asked
    shown = ", ".join(f"{n}={v}" for n, v in e.query.items())
    if bad and e.status != BAD:
        says = "a query that breaks the schema is not refused: clients never learn that they asked for nonsense"
        yield Finding(says, e, "", f"400 for a bad {bad[0]}", f"{e.status} for {shown}")
    elif not bad and e.status != OK:
        yield Finding("a query that keeps the schema is refused", e, "", f"200 for {shown or 'no query'}", outcome(e))


def limits_kept(s: Scene) -> None:
    s.lists(query={"limit": "100", "offset": "0"})
    for query in ({"limit": "101"}, {"limit": "0"}, {"offset": "-1"}, {"offset": "x"}):
        s.fails("GET", "/agents", 400, query=query)


def clamps(s: Scene) -> None:
    s.lists(query={"limit": "101"})


def not_a_number_is_500(s: Scene) -> None:
    s.fails("GET", "/agents", 500, query={"offset": "x"})


def refuses_the_largest(s: Scene) -> None:
    s.fails("GET", "/agents", 400, query={"limit": "100"})


def filters_kept(s: Scene) -> None:
    s.lists(query={"status": "oNline"})
    s.fails("GET", "/agents", 400, query={"type": "ROBOT"})


def unknown_is_empty(s: Scene) -> None:
    s.lists(query={"status": "SLEEPING"})


def lower_case_is_400(s: Scene) -> None:
    s.fails("GET", "/agents", 400, query={"status": "online"})


async def bad_queries(world: World) -> None:
    """Limits and offsets just inside and just outside their range, and words in their place."""
    for name, values in (("limit", ("1", "100", "0", "101", "-1", "abc")), ("offset", ("0", "1", "-1", "x"))):
        for value in values:
            await world.user().rest.get("/agents", query={name: value})


async def unknown_filter_values(world: World) -> None:
    """A type and a status that do not exist, and some that do in several casings."""
    for query in (
        {"type": "ROBOT"},
        {"status": "SLEEPING"},
        {"type": "claude"},
        {"status": "Error"},
        {"status": "OFFLINE"},
    ):
        await world.user().rest.get("/agents", query=query)


class Rename(NamedTuple):
    """A body sent to rename an agent that is there, and the owner's view before and after."""

    e: Exchange
    right: bool
    seen: tuple[Row, Row] | None


def renames(t: Timeline) -> Iterator[Rename]:
    """JSON bodies sent by the owner of an agent to rename it."""
    for e in judged(t):
        if e.operation != "renameAgent" or e.request is MISSING or last_connection(t, e) is None:
            continue
        right = t.contract.shapes.accepts("agent-update.json", e.request)
        if not is_plain_json(e) or (right and not e.request["name"].isprintable()):
            continue
        agent_id = agent_of(e) or ""
        yield Rename(e, right, around(t, e, agent_id, e.user))


def body_judged(rename: Rename, t: Timeline) -> Iterator[Finding]:
    """400 and no change for a body out of shape; a right one is served."""
    e, right, seen = rename
    if right:
        if e.status != OK:
            yield Finding("a name that keeps the schema is refused", e, "/name", "200", outcome(e))
        return
    violation = t.contract.violations("agent-update.json", e.request)[0]
    if e.status != BAD:
        says = f"a body that breaks the schema ({violation.expected:.60}) is not answered 400"
        yield Finding(says, e, violation.pointer, "400 for a body out of shape", e.status)
    if seen is not None:
        for name in differences(seen[0].value, seen[1].value, STABLE):
            was, now = seen[0].value.get(name, "nothing"), seen[1].value.get(name, "nothing")
            says = f"a refused body changed the agent's {name}: the client was told that nothing happened"
            yield Finding(says, seen[1].where, f"/data/{name}", f"{was}", now, (seen[0].where, e))


def named(s: Scene, name: object, status: int) -> None:
    """A rename to this name, answered with this status."""
    body = {"success": True, "data": s.row("a1", name=name)} if status == OK else {"success": False, "error": "No"}
    s.rest("PATCH", "/agents/a1", status, body, request={"name": name})


def bodies_kept(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1"))
    named(s, "", 400)
    s.shows(s.row("a1"))
    named(s, "n" * 100, 200)


def stores_a_number(s: Scene) -> None:
    s.agent("a1")
    named(s, 5, 200)


def crashes_on_null(s: Scene) -> None:
    s.agent("a1")
    named(s, None, 500)


def changes_all_the_same(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1"))
    named(s, "n" * 101, 400)
    s.shows(s.row("a1", name="n" * 101))


def refuses_a_long_name(s: Scene) -> None:
    s.agent("a1")
    named(s, "n" * 100, 400)


def fails_after_commit(s: Scene) -> None:
    s.agent("a1")
    named(s, "Eve", 500)


async def bad_names(world: World) -> None:
    """Names too long, empty, missing and of every wrong type, each between two looks; then the shortest and longest."""
    rest, agent = world.user().rest, await world.user().agent()
    await agent.leave()
    await rest.until(agent.id, lambda row: reading.status(row) == "OFFLINE")
    for body in ({}, [], "Ada", *({"name": name} for name in NAMES)):
        await rest.patch(f"/agents/{agent.id}", body)
        await rest.get(f"/agents/{agent.id}")
    for name in ("N", "n" * 100, "Zoë 🤖"):
        await rest.patch(f"/agents/{agent.id}", {"name": name})
        await rest.get(f"/agents/{agent.id}")


RULES = (
    Rule(
        id="validation.page-limits",
        clauses=("VAL-1",),
        judges="A limit or an offset out of range or of the wrong type is answered 400, and one in range is served.",
        when=pages_asked,
        check=query_judged,
        good=(limits_kept,),
        bad=(clamps, not_a_number_is_500, refuses_the_largest),
        cases=(bad_queries,),
    ),
    Rule(
        id="validation.filter-values",
        clauses=("AGT-13",),
        judges="An unknown type or status is answered 400, and a known one is served in any casing.",
        when=filters_asked,
        check=query_judged,
        good=(filters_kept,),
        bad=(unknown_is_empty, lower_case_is_400),
        cases=(unknown_filter_values,),
    ),
    Rule(
        id="validation.names",
        clauses=("VAL-1",),
        judges="A rename out of shape is answered 400 and changes nothing, and one in shape is served.",
        when=renames,
        check=body_judged,
        good=(bodies_kept,),
        bad=(stores_a_number, crashes_on_null, changes_all_the_same, refuses_a_long_name, fails_after_commit),
        cases=(bad_names,),
    ),
)
