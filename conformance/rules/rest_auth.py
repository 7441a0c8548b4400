"""Who gets in: bad credentials open nothing and change nothing (AUTH-1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.rest_views import TOO_MANY, answered, is_failure
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
)
