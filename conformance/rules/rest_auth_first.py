"""A 401 says that a Bearer token is wanted, and comes before anything else is told (AUTH-2, AUTH-3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from conformance.resources import resource_of
from conformance.rest_views import TOO_MANY, answered, code, masked
from conformance.rule import Finding, Rule
from conformance.rules.rest_auth import TOO_LARGE, UNAUTHORIZED, every_operation_without_key, everything_that_is_there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


def challenges(t: Timeline) -> Iterator[Exchange]:
    """Every 401."""
    return (e for e in answered(t) if e.status == UNAUTHORIZED)


def challenged(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """`WWW-Authenticate: Bearer`."""
    got = e.headers.get("www-authenticate", "")
    if not re.search(r"(^|[\s,])Bearer\b", got, re.IGNORECASE):
        says = "the 401 does not say that a Bearer token is wanted: standard clients do not know what to send"
        yield Finding(says, e, "", "WWW-Authenticate: Bearer", got or "nothing")


def with_challenge(s: Scene) -> None:
    s.fails("GET", "/agents", 401, credential="none", headers={"www-authenticate": 'bearer realm="x"'})
    s.fails("GET", "/agents", 401, credential="none", headers={"www-authenticate": "Basic, Bearer"})


def without_challenge(s: Scene) -> None:
    s.fails("GET", "/agents", 401, credential="none")


def basic_challenge(s: Scene) -> None:
    s.fails("GET", "/agents", 401, credential="none", headers={"www-authenticate": "Basic"})


class Stranger(NamedTuple):
    """What somebody without a token was told, and what the same person was told elsewhere."""

    told: Exchange
    twin: Exchange | None


def strangers(t: Timeline) -> Iterator[Stranger]:
    """Everything asked for without a token, each beside the first answer to the same operation on another resource."""
    first: dict[tuple[str, str], Exchange] = {}
    for e in answered(t):
        beside = t.contract.operation(e.method, e.path, under_base=False)
        if e.credential != "none" or e.status in {TOO_MANY, TOO_LARGE} or beside or _is_open(t, e):
            continue
        key = (e.method, e.operation or "")
        yield Stranger(e, first.get(key) if resource_of(e) else None)
        if resource_of(e):
            first.setdefault(key, e)


def _is_open(t: Timeline, e: Exchange) -> bool:
    """Whether a request needs no token: at an open operation's path, by whatever method, or a browser's preflight."""
    operation = t.contract.operations.get(e.operation or "")
    if operation is not None:
        return not operation.secured
    there = [o for o in t.contract.at(e.path) if o.under_base]
    return e.method == "OPTIONS" or any(not o.secured for o in there)


def told_nothing(stranger: Stranger, _t: Timeline) -> Iterator[Finding]:
    """401 whatever was asked for, in the same words for agents that exist and that do not."""
    e, twin = stranger
    if e.status != UNAUTHORIZED:
        says = "without a token the answer is not 401 but tells what is there or what is wrong with the request"
        yield Finding(says, e, "", "401 before anything else", e.status)
    elif twin is not None and twin.status == UNAUTHORIZED:
        here, there = ((code(x.value), masked(_error(x), *resource_of(x) or ())) for x in (e, twin))
        if here != there:
            says = "a stranger is refused in other words for one resource than for another: it learns which exist"
            yield Finding(says, e, "/error", f"{there}", f"{here}", (twin,))


def _error(e: Exchange) -> object:
    return e.value.get("error") if isinstance(e.value, dict) else e.text


def always_the_same(s: Scene) -> None:
    s.fails("GET", "/agents/a1", 401, "Who are you? (a1)", credential="none")
    s.fails("GET", "/agents/zz", 401, "Who are you? (zz)", credential="none")
    s.fails("GET", "/nothing", 401, credential="none")
    s.fails("GET", "/agents", 401, credential="none", query={"limit": "0"})
    s.fails("GET", "/auth/verify", 405, credential="none")
    s.rest("OPTIONS", "/agents", 204, credential="none")


def validation_first(s: Scene) -> None:
    s.fails("GET", "/agents", 400, credential="none", query={"limit": "0"})


def unknown_path_first(s: Scene) -> None:
    s.fails("GET", "/nothing", 404, credential="none")


def other_words(s: Scene) -> None:
    s.fails("GET", "/agents/a1", 401, "This agent is not yours", credential="none")
    s.fails("GET", "/agents/zz", 401, "No token", credential="none")


async def nothing_leaks(world: World) -> None:
    """Without a token: an agent that exists, one that does not, an unknown path, a bad query and bad bodies."""
    user = world.user()
    agent = await user.agent()
    for name in (agent.id, world.unknown_agent()):
        await user.rest.get(f"/agents/{name}", credential="none")
        await user.rest.patch(f"/agents/{name}", {"name": "Nobody"}, credential="none")
        await user.rest.patch(f"/agents/{name}", {"name": 5}, credential="none")
    await user.rest.call("PATCH", f"/agents/{agent.id}", raw=b"{no json", credential="none")
    await user.rest.get("/agents", query={"limit": "0"}, credential="none")
    await user.rest.get(f"/no-such-path-{world.new_id()}", credential="none")


RULES = (
    Rule(
        id="auth.challenge",
        clauses=("AUTH-2",),
        judges="Every 401 says WWW-Authenticate: Bearer.",
        when=challenges,
        check=challenged,
        good=(with_challenge,),
        bad=(without_challenge, basic_challenge),
        cases=(nothing_leaks,),
    ),
    Rule(
        id="auth.before-anything-else",
        clauses=("AUTH-3",),
        judges="Without a token the answer is 401 whatever is asked for, the same for what exists and what does not.",
        when=strangers,
        check=told_nothing,
        good=(always_the_same,),
        bad=(validation_first, unknown_path_first, other_words),
        cases=(nothing_leaks, every_operation_without_key, everything_that_is_there),
    ),
)
