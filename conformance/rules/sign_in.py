"""Signing in by mail: a link, tokens for its token, once; and nobody learns who has an account (TOK-3, TOK-4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.resources import data_of
from conformance.rest_views import is_plain_json, judged, masked, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.sessions import UNAUTHORIZED, givers, said, user_of
from conformance.timeline import MISSING
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

CHANCE = re.compile(r"\b[0-9a-fA-F]{8,}(-[0-9a-fA-F]+)*\b|\d{4}-\d\d-\d\d[T ][\d:.]+Z?|\d{6,}")
"""What differs from one answer to the next by chance: ids and times."""


class Pair(NamedTuple):
    """What was answered for an address that has an account, and for one that has none."""

    known: Exchange
    unknown: Exchange


def pairs(t: Timeline) -> Iterator[Pair]:
    """Each request for a link for the account, beside one for an address of nobody."""
    accounts = {n.data.get("email") for n in t.notes if n.kind == "account"}
    strangers = {n.data.get("email") for n in t.notes if n.kind == "no-account"}
    asked = [e for e in judged(t, credential=None) if e.operation == "requestMagicLink"]
    unknown = next((e for e in asked if said(e, "email") in strangers), None)
    for e in asked:
        if unknown is not None and said(e, "email") in accounts:
            yield Pair(e, unknown)


def the_same(pair: Pair, _t: Timeline) -> Iterator[Finding]:
    """Status, shape and texts."""
    known, unknown = pair
    says = "a sign-in link is answered otherwise for an address that has an account: anyone can find out who has one"
    if known.status != unknown.status:
        yield Finding(says, known, "", f"{unknown.status} for both", known.status, (unknown,))
    elif (here := _shape(known, known)) != (there := _shape(unknown, unknown)):
        yield Finding(says, known, "", f"{there}"[:160], f"{here}"[:160], (unknown,))


def _shape(e: Exchange, of: Exchange, value: Any = MISSING) -> Any:
    """A body as it would be for any address: the address and what is there by chance blanked out."""
    value = (of.text if of.value is MISSING else of.value) if value is MISSING else value
    match value:
        case str():
            return CHANCE.sub("…", str(masked(value, str(said(e, "email")))))
        case dict():
            return {name: _shape(e, of, inner) for name, inner in sorted(value.items())}
        case list():
            return [_shape(e, of, inner) for inner in value]
        case bool() | None:
            return value
    return type(value).__name__


class Redemption(NamedTuple):
    """A token from a mail that is turned into a session, or one that nobody sent."""

    e: Exchange
    email: str
    """The address that it was sent to; empty when nobody sent it."""
    used: Exchange | None


def redemptions(t: Timeline) -> Iterator[Redemption]:
    """Each use of a token from a mail, where the newest mail had it."""
    mailed = {str(n.data.get("token")): str(n.data.get("email")) for n in t.notes if n.kind == "mailed"}
    asked = [e for e in judged(t, credential=None) if e.operation == "verifyMagicLink"]
    for e in asked:
        token = said(e, "token") or ""
        same = [x for x in asked if said(x, "token") == token and x is not e]
        if token not in mailed or any(x.at < e.ended and x.ended > e.at for x in same):
            continue
        used = next((x for x in same if x.status == OK and x.ended <= e.at), None)
        yield Redemption(e, mailed[token], used)


def once(r: Redemption, _t: Timeline) -> Iterator[Finding]:
    """200 with tokens of whose address it is, then 401."""
    e = r.e
    if r.used is not None:
        if e.status != UNAUTHORIZED:
            yield Finding("a sign-in link works a second time", e, "", "401, for it was used", e.status, (r.used,))
        return
    if e.status != OK:
        yield Finding("the token from the newest mail does not sign in", e, "", "200 with tokens", outcome(e))
        return
    email = user_of(e).get("email")
    if not isinstance(email, str) or email.casefold() != r.email.casefold():
        yield Finding("the sign-in link opens another account", e, "/data/user/email", r.email, email)


def inventions(t: Timeline) -> Iterator[Exchange]:
    """Well-formed sign-in tokens that nobody sent."""
    mailed = {n.data.get("token") for n in t.notes if n.kind == "mailed"}
    for e in judged(t, credential=None):
        right = is_plain_json(e) and t.contract.shapes.accepts("verify-request.json", e.request)
        if e.operation == "verifyMagicLink" and right and said(e, "token") not in mailed:
            yield e


def refused(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """401."""
    if e.status != UNAUTHORIZED:
        yield Finding("an invented sign-in token is not answered 401", e, "", "401", e.status)


def requests(t: Timeline) -> Iterator[Exchange]:
    """Each request for a link with a right address."""
    for e in judged(t, credential=None):
        right = is_plain_json(e) and t.contract.shapes.accepts("magic-link-request.json", e.request)
        if e.operation == "requestMagicLink" and right:
            yield e


def accepted(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """200."""
    if e.status != OK:
        yield Finding("a request for a sign-in link is not accepted", e, "", "200", e.status)


class Shown(NamedTuple):
    """A request with the access token of a session."""

    e: Exchange
    given: Exchange
    """The answer that gave the token."""


def sessions_used(t: Timeline) -> Iterator[Shown]:
    """Requests with access tokens that were given here and have neither expired nor been signed out since."""
    known = givers(t)
    left = [e for e in judged(t, credential="session") if e.operation == "logout"]
    for e in judged(t, credential="session"):
        given = known.get(e.request_headers.get("authorization", ""))
        lives = data_of(given).get("expiresIn") if given else None
        if given is None or not isinstance(lives, int | float) or e.ended > given.at + lives:
            continue
        if e.operation != "logout" and not any(x.at < e.ended for x in left):
            yield Shown(e, given)


def opens(shown: Shown, _t: Timeline) -> Iterator[Finding]:
    """Not 401; and /auth/me says who it is."""
    e, user = shown.e, user_of(shown.given)
    if e.status == UNAUTHORIZED:
        yield Finding("the access token that was just given opens nothing", e, "", "not 401", e.status, (shown.given,))
    elif e.operation == "getMe":
        for name in ("id", "email"):
            if e.status != OK or data_of(e).get(name, MISSING) != user.get(name):
                says = f"/auth/me says another {name} than the answer that gave the token"
                got = data_of(e).get(name, "nothing") if e.status == OK else e.status
                yield Finding(says, e, f"/data/{name}", f"{user.get(name)}", got, (shown.given,))


ADA, NOBODY = "ada@example.com", "nobody@example.com"


def asks(s: Scene, email: str, status: int = 200, **data: object) -> None:
    """A link is asked for."""
    body = {"success": status == OK, "data": data, "error": "No"}
    s.rest("POST", "/auth/magic-link", status, body, request={"email": email}, credential="none")


def told_the_same(s: Scene) -> None:
    s.note("account", email=ADA)
    s.note("no-account", email=NOBODY)
    asks(s, NOBODY, message=f"We wrote to {NOBODY}", request="5f0c9b1e-77aa-4a0c-9d5e-0123456789ab", expiresIn=900)
    asks(s, ADA, message=f"We wrote to {ADA}", request="0aa1bb2c-77aa-4a0c-9d5e-ba9876543210", expiresIn=899)


def nobody_is_404(s: Scene) -> None:
    s.note("account", email=ADA)
    s.note("no-account", email=NOBODY)
    asks(s, NOBODY, 404)
    asks(s, ADA)


def words_betray(s: Scene) -> None:
    s.note("account", email=ADA)
    s.note("no-account", email=NOBODY)
    asks(s, NOBODY, message="We will write if there is an account")
    asks(s, ADA, message="Welcome back")


def shape_betrays(s: Scene) -> None:
    s.note("account", email=ADA)
    s.note("no-account", email=NOBODY)
    asks(s, NOBODY)
    asks(s, ADA, userId="u1")


def mailed(s: Scene, email: str = ADA) -> None:
    """A mail with a token has come."""
    s.note("mailed", token="t1", email=email)  # noqa: S106 - a name


def verifies(s: Scene, token: str = "t1", status: int = 200, email: str = ADA) -> None:  # noqa: S107 - a name
    """A token is turned into a session."""
    user = {"id": "u1", "email": email}
    data = {"accessToken": "a1", "refreshToken": "r1", "expiresIn": 900, "user": user}
    body = {"success": True, "data": data} if status == OK else {"success": False, "error": "No"}
    s.rest("POST", "/auth/verify", status, body, request={"token": token}, credential="none")


def me(s: Scene, status: int = 200, **changes: object) -> None:
    """The session asks who it is."""
    data = {"id": "u1", "email": ADA} | changes
    body = {"success": True, "data": data} if status == OK else {"success": False, "error": "No"}
    s.rest("GET", "/auth/me", status, body, credential="session", request_headers={"authorization": "a1"})


def signs_in(s: Scene) -> None:
    mailed(s, "Ada@Example.com")
    verifies(s)
    verifies(s, status=401)
    verifies(s, "nobody's", 401)
    me(s)


def signs_in_twice(s: Scene) -> None:
    mailed(s)
    verifies(s)
    verifies(s)


def signs_in_somebody_else(s: Scene) -> None:
    mailed(s)
    verifies(s, email="eve@example.com")


def does_not_sign_in(s: Scene) -> None:
    mailed(s)
    verifies(s, status=401)


def invention_signs_in(s: Scene) -> None:
    verifies(s, "nobody's")


def invention_is_404(s: Scene) -> None:
    verifies(s, "nobody's", 404)


def is_somebody_else(s: Scene) -> None:
    verifies(s)
    me(s, email="eve@example.com")


def opens_nothing(s: Scene) -> None:
    verifies(s)
    me(s, 401)


@provocation(needs="mail", budget=40.0)
async def signing_in_by_mail(world: World) -> None:
    """A link is asked for; the token from the mail is used, used again, and what it gave is used, and renewed."""
    rest = world.user().rest
    async with world.site.mail:
        token = await world.mailed_token()
        if token is None:
            return
        answer = await rest.post("/auth/verify", {"token": token}, credential="none")
        await rest.post("/auth/verify", {"token": token}, credential="none")
    session = world.session_of(answer)
    if session is not None:
        await session.call("GET", "/auth/me")
        await session.call("GET", "/agents", query={"limit": "1"})
        await rest.get("/auth/me", credential="refresh", bearer=session.refresh)
        await session.renew()
        await session.call("GET", "/auth/me")


@provocation(needs="account", budget=30.0)
async def links_for_all_and_none(world: World) -> None:
    """A link is asked for the account, and for addresses of nobody."""
    rest, email = world.user().rest, world.site.target.email
    async with world.site.mail:
        for _ in range(2):
            nobody = f"{world.new_id()}@example.com"
            world.recorder.note("no-account", email=nobody)
            await rest.post("/auth/magic-link", {"email": nobody}, credential="none")
        world.recorder.note("account", email=email)
        await rest.post("/auth/magic-link", {"email": email}, credential="none")


async def tokens_that_nobody_sent(world: World) -> None:
    """Sign-in tokens that nobody sent; and an address of nobody, which is accepted like any other."""
    rest = world.user().rest
    await rest.post("/auth/magic-link", {"email": f"{world.new_id()}@example.com"}, credential="none")
    for token in ("nobody-sent-this", world.new_id()):
        await rest.post("/auth/verify", {"token": token}, credential="none")


async def who_am_i(world: World) -> None:
    """A session asks who it is, before and after it is renewed."""
    session = await world.session()
    if session is not None:
        await session.call("GET", "/auth/me")
        await session.renew()
        await session.call("GET", "/auth/me")
        await session.call("GET", "/agents", query={"limit": "1"})


RULES = (
    Rule(
        id="sign-in.tells-nobody",
        clauses=("TOK-3",),
        judges="A link is answered the same for an address that has an account and for one that has none.",
        when=pairs,
        check=the_same,
        good=(told_the_same,),
        bad=(nobody_is_404, words_betray, shape_betrays),
        cases=(links_for_all_and_none,),
    ),
    Rule(
        id="sign-in.by-mail-once",
        clauses=("TOK-4",),
        judges="The token from the mail gives tokens of the account it was sent to, and is refused afterwards.",
        when=redemptions,
        check=once,
        good=(signs_in,),
        bad=(signs_in_twice, signs_in_somebody_else, does_not_sign_in),
        cases=(signing_in_by_mail,),
    ),
    Rule(
        id="sign-in.invented-is-refused",
        clauses=("TOK-4",),
        judges="A sign-in token that nobody sent is answered 401.",
        when=inventions,
        check=refused,
        good=(signs_in,),
        bad=(invention_signs_in, invention_is_404),
        cases=(tokens_that_nobody_sent,),
    ),
    Rule(
        id="sign-in.links-for-all",
        clauses=("TOK-4",),
        judges="A link is asked for with any right address.",
        when=requests,
        check=accepted,
        good=(told_the_same,),
        bad=(nobody_is_404,),
        cases=(tokens_that_nobody_sent,),
    ),
    Rule(
        id="sign-in.session-knows-its-user",
        clauses=("TOK-4",),
        judges="The access token that was given opens the API, and /auth/me says whose it is.",
        when=sessions_used,
        check=opens,
        good=(signs_in,),
        bad=(is_somebody_else, opens_nothing),
        cases=(who_am_i,),
    ),
)
