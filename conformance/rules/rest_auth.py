"""Who gets in: bad credentials open nothing, and learn nothing (AUTH-1, AUTH-2, AUTH-3)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.resources import resource_of
from conformance.rest_views import TOO_MANY, answered, code, is_failure, masked
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.contract import Operation
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

WITHOUT_KEY = ("none", "malformed", "not-a-token", "bad-signature", "alg-none", "alg-none-cased", "empty-key")
WITH_KEY = ("expired", "not-yet-valid", "unknown-subject", "refresh")
NAMES = {
    "none": "no token",
    "malformed": "a malformed Authorization header",
    "not-a-token": "a token that is none",
    "bad-signature": "a token with a bad signature",
    "alg-none": "an unsigned token (alg: none)",
    "alg-none-cased": "an unsigned token (alg: nOnE)",
    "empty-key": "a token signed with an empty key",
    "expired": "an expired token",
    "not-yet-valid": "a token that is not valid yet",
    "unknown-subject": "a token of an unknown user",
    "refresh": "a refresh token",
}
UNAUTHORIZED, NOT_FOUND, TOO_LARGE = 401, 404, 413
UUID = "00000000-0000-4000-8000-000000000000"


def _secured(e: Exchange, t: Timeline) -> bool:
    operation = t.contract.operations.get(e.operation or "")
    return operation is not None and operation.secured and e.status not in {TOO_MANY, TOO_LARGE}


def attempts(*kinds: str) -> Callable[[Timeline], Iterator[Exchange]]:
    """Occasions: a secured operation asked for with these credentials, and the same with a good token beside it."""

    def when(t: Timeline) -> Iterator[Exchange]:
        secured = [e for e in answered(t) if _secured(e, t)]
        tried = {(e.user, e.method, e.path) for e in secured if e.credential in kinds}
        for e in secured:
            if e.credential in kinds or (e.credential == VALID and (e.user, e.method, e.path) in tried):
                yield e

    return when


def refused(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """Bad credentials: 401 with the failure body. The good token: anything else."""
    if e.credential == VALID:
        if e.status == UNAUTHORIZED:
            yield Finding(f"{e.label} refuses a good token: nobody can use it", e, "", "not 401", e.status)
        return
    name = NAMES.get(e.credential, e.credential)
    if e.status != UNAUTHORIZED:
        says = f"{e.label} does not answer 401 to {name}"
        if e.status < 300:  # noqa: PLR2004 - 2xx
            says = f"{e.label} is open to {name}: anyone can read and steer the agents"
        yield Finding(says, e, "", f"401 for {name}", e.status)
    elif not is_failure(e.value):
        yield Finding(
            "the 401 has no failure body: the frontend shows nothing", e, "", "success false and error", e.text[:80]
        )
    yield from _obeyed(e, t)


def _obeyed(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """What bad credentials asked for was done, whatever was answered: seen between the owner's looks around it."""
    looks = [x for x in t.calls("getAgent") if x.path == e.path and x.user == e.user and x.status in {OK, NOT_FOUND}]
    before = [x for x in looks if x.ended <= e.at]
    after = [x for x in looks if x.at >= e.ended]
    if e.method not in {"PATCH", "DELETE"} or not (before and after) or before[-1].status != OK:
        return
    first, last = before[-1], after[0]
    others = [x for x in t.exchanges if x.path == e.path and x.method != "GET" and first.at < x.at < last.ended]
    if any(x.credential == VALID or (x is not e and x.method == e.method) for x in others):
        return
    name = NAMES.get(e.credential, e.credential)
    if e.method == "DELETE" and last.status == NOT_FOUND:
        yield Finding(f"a request with {name} deleted an agent", last, "", "the agent as it was", NOT_FOUND, (first, e))
    asked = e.request.get("name") if e.method == "PATCH" and isinstance(e.request, dict) else None
    was, now = ((reading.one(x.value) or {}).get("name") for x in (first, last))
    if asked and now == asked != was:
        says = f"a request with {name} renamed an agent"
        yield Finding(says, last, "/data/name", f"the name as it was: {was}", now, (first, e))


def shut_and_open(s: Scene) -> None:
    for kind in WITHOUT_KEY + WITH_KEY:
        s.fails("GET", "/agents", 401, credential=kind)
    s.lists()


def shut_in_own_words(s: Scene) -> None:
    for kind in ("none", "expired"):
        s.rest("DELETE", "/agents/zz", 401, {"success": False, "error": "Anmelden", "at": 1}, credential=kind)
    s.fails("DELETE", "/agents/zz", 404)


def shut_for_an_agent(s: Scene) -> None:
    s.shows(s.row("a1"))
    s.fails("PATCH", "/agents/a1", 401, credential="none", request={"name": "Nobody"})
    s.fails("DELETE", "/agents/a1", 401, credential="none")
    s.shows(s.row("a1"))
    s.rest("DELETE", "/agents/a1", 204)
    s.fails("DELETE", "/agents/a1", 401, credential="expired")
    s.fails("GET", "/agents/a1", 404)


def refused_but_deleted(s: Scene) -> None:
    s.shows(s.row("a1"))
    s.fails("DELETE", "/agents/a1", 401, credential="none")
    s.fails("GET", "/agents/a1", 404)


def refused_but_renamed(s: Scene) -> None:
    s.shows(s.row("a1"))
    s.fails("PATCH", "/agents/a1", 401, credential="none", request={"name": "Nobody"})
    s.shows(s.row("a1", name="Nobody"))


def commands_open(s: Scene) -> None:
    s.rest("GET", "/commands", 200, {"success": True, "data": []}, credential="none")


def alg_none_accepted(s: Scene) -> None:
    s.lists(credential="alg-none")


def not_found_first(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 404, credential="none")


def without_failure_body(s: Scene) -> None:
    s.rest("GET", "/agents", 401, {"detail": "Not authenticated"}, credential="none")


def refuses_everyone(s: Scene) -> None:
    s.fails("GET", "/agents", 401, credential="none")
    s.fails("GET", "/agents", 401)


def refresh_opens(s: Scene) -> None:
    s.lists(credential="refresh")


def expired_opens(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 404, credential="expired")


async def _try(world: World, kinds: tuple[str, ...]) -> None:
    """Every kind of credential, the good one last, on every operation of agents, for an agent that is not there."""
    rest, unknown = world.user().rest, world.unknown_agent()
    for kind in (*(k for k in kinds if k in world.site.keyring.kinds), VALID):
        await rest.get("/agents", query={"limit": "1"}, credential=kind)
        await rest.get(f"/agents/{unknown}", credential=kind)
        await rest.patch(f"/agents/{unknown}", {"name": "Nobody"}, credential=kind)
        await rest.delete(f"/agents/{unknown}", credential=kind)


async def credentials_without_key(world: World) -> None:
    """No token, a malformed header, no real token, a forged signature and alg none, on each operation of agents."""
    basic = {"Authorization": "Basic Y29uZm9ybWFuY2U6bm90LWEtcGFzc3dvcmQ="}
    await world.user().rest.get("/agents", query={"limit": "1"}, headers=basic, credential="none")
    await _try(world, WITHOUT_KEY)


async def _try_on_an_agent(world: World, kinds: tuple[str, ...]) -> None:
    """Every kind of credential on an agent that is there and has gone, with its owner's look before and after each."""
    user = world.user()
    agent = await user.agent()
    await agent.leave()
    await user.rest.shows(agent.id, status="OFFLINE")
    path = f"/agents/{agent.id}"
    for kind in (k for k in kinds if k in world.site.keyring.kinds):
        await user.rest.get("/agents", credential=kind)
        await user.rest.get("/agents", query={"status": "ONLINE", "limit": "1"}, credential=kind)
        await user.rest.get(path, credential=kind)
        await user.rest.patch(path, {"name": "Nobody"}, credential=kind)
        await user.rest.delete(path, credential=kind)
        await user.rest.get(path)


async def an_agent_without_key(world: World) -> None:
    """The same on an agent that exists: it is not shown, not renamed and not deleted; nor is a filtered list shown."""
    await _try_on_an_agent(world, WITHOUT_KEY)


@provocation(needs="signing-key")
async def an_agent_with_key(world: World) -> None:
    """Well-signed tokens that open nothing, on an agent that exists."""
    await _try_on_an_agent(world, WITH_KEY)


@provocation(needs="signing-key")
async def credentials_with_key(world: World) -> None:
    """Well-signed tokens that open nothing: expired, not yet valid, of nobody, a refresh token."""
    await _try(world, WITH_KEY)


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
    there = [o for o in t.contract.operations.values() if o.under_base and o.pattern.match(e.path)]
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


async def _try_everywhere(world: World, kinds: tuple[str, ...]) -> None:
    """Each secured operation that the target promises, with each of these credentials, for what is not there.

    The good token comes last, but for what would touch more than this case made.
    """
    rest = world.user().rest

    async def ask(operation: Operation, kind: str) -> None:
        await rest.call(operation.method, operation.fill(UUID), raw=_body(operation), credential=kind)

    secured = [o for o in world.site.operations if o.secured]
    for kind in (*(k for k in kinds if k in world.site.keyring.kinds), VALID):
        await world.crowd(ask(o, kind) for o in secured if kind != VALID or not o.destructive)


@provocation(budget=60.0)
async def every_operation_without_key(world: World) -> None:
    """No token and forged ones on each secured operation of the contract that the target promises."""
    await _try_everywhere(world, WITHOUT_KEY)


@provocation(needs="signing-key", budget=60.0)
async def every_operation_with_key(world: World) -> None:
    """Well-signed tokens that open nothing, on each of them."""
    await _try_everywhere(world, WITH_KEY)


def _body(operation: Operation) -> bytes | None:
    """An empty object; for what would touch others of a backend that is open, a body that it cannot read."""
    if operation.method in {"GET", "DELETE"}:
        return None
    return b"{" if operation.destructive else b"{}"


@provocation(budget=60.0)
async def everything_that_is_there(world: World) -> None:
    """Without a token and with a forged one: everything that a user has is asked for, changed, and not changed.

    The same is asked for what does not exist, in right requests and in broken ones.
    """
    estate = await world.estate()
    operations = [o for o in world.site.operations if o.secured and not o.destructive and estate.reaches(o)]
    nothing = dict.fromkeys(estate.ids, UUID) | {"agentId": world.unknown_agent()}
    looks = [o for o in operations if o.method == "GET" and o.path.count("/") <= 2]  # noqa: PLR2004 - /kind, /kind/id
    for kind in ("none", "bad-signature"):
        if kind not in world.site.keyring.kinds:
            continue
        await asyncio.gather(*(estate.user.rest.get(o.fill(estate.ids)) for o in looks))
        for operation in operations:
            right: dict[str, Any] = {"body": estate.body(operation)} if operation.body else {}
            broken: dict[str, Any] = {"body": []} if operation.body else {}
            await asyncio.gather(
                *(
                    estate.user.rest.call(operation.method, operation.fill(ids), credential=kind, **options)
                    for ids, options in ((nothing, right), (estate.ids, broken), (estate.ids, right))
                )
            )
        await asyncio.gather(*(estate.user.rest.get(o.fill(estate.ids)) for o in looks))


RULES = (
    Rule(
        id="auth.bad-credentials-refused",
        clauses=("AUTH-1",),
        judges="No token, a malformed one, a forged one and alg none are answered 401; a good token is not.",
        when=attempts(*WITHOUT_KEY),
        check=refused,
        good=(shut_and_open, shut_in_own_words, shut_for_an_agent),
        bad=(
            commands_open,
            alg_none_accepted,
            not_found_first,
            without_failure_body,
            refuses_everyone,
            refused_but_deleted,
            refused_but_renamed,
        ),
        cases=(credentials_without_key, an_agent_without_key, every_operation_without_key, everything_that_is_there),
    ),
    Rule(
        id="auth.signed-but-worthless-refused",
        clauses=("AUTH-1",),
        judges="Expired, premature, unknown users' and refresh tokens are answered 401; a good token is not.",
        when=attempts(*WITH_KEY),
        check=refused,
        good=(shut_and_open, shut_in_own_words),
        bad=(refresh_opens, expired_opens),
        cases=(credentials_with_key, an_agent_with_key, every_operation_with_key),
    ),
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
