"""A refresh token works once, its second use ends its family, and so does signing out (TOK-1, TOK-2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from conformance.resources import data_of
from conformance.rest_views import is_plain_json, judged, outcome
from conformance.rule import Finding, Rule
from conformance.sessions import UNAUTHORIZED, Family, families, shown
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


class Use(NamedTuple):
    """A refresh token that is used, and what became of it before."""

    e: Exchange
    used: Exchange | None = None
    """The use with which it was spent."""
    reused: Exchange | None = None
    """The second use of a token of its family."""
    left: Exchange | None = None
    """The logout of its session."""


def uses(t: Timeline) -> Iterator[Use]:
    """Each use of a token that was given here, where no other request of its family leaves the outcome open."""
    for family in families(t):
        for e in family.uses:
            if not _is_open(family, e):
                yield _judged(family, e)


def _judged(family: Family, e: Exchange) -> Use:
    used = next((x for x in family.uses_of(shown(e)) if x.status == OK and x.ended <= e.at), None)
    reused = next((x for x in family.reuses() if x.ended <= e.at), None)
    left = next((x for x in family.logouts if x.ended <= e.at), None)
    return Use(e, used, reused, left)


def _is_open(family: Family, e: Exchange) -> bool:
    """Whether something of its family happened at the same moment, or a token was used twice at one moment before."""
    others = [x for x in (*family.uses, *family.logouts) if x is not e]
    if any(x.at < e.ended and x.ended > e.at for x in others):
        return True
    settled = _judged(family, e)
    if settled.used or settled.reused or settled.left:
        return False
    before = [x for x in family.uses if x.ended <= e.at]
    return any(shown(x) == shown(y) and x is not y for x in before for y in before)


def once_only(use: Use, _t: Timeline) -> Iterator[Finding]:
    """200 with another token for a live one, 401 for all others."""
    e = use.e
    if use.used or use.reused:
        if e.status != UNAUTHORIZED:
            says = "a refresh token works a second time" if use.used else "a family of tokens lives on after a reuse"
            because = "401, for it was used before" if use.used else "401, for a token of its family was used twice"
            evidence = tuple(x for x in (use.used, use.reused) if x)
            yield Finding(f"{says}: a stolen one works for ever", e, "", because, e.status, evidence)
    elif use.left is None and e.status != OK:
        yield Finding("a refresh token that was never used is refused", e, "", "200 with new tokens", outcome(e))
    elif use.left is None and data_of(e).get("refreshToken") == shown(e):
        says = "the refresh token that was used comes back: it is not good for one use only"
        yield Finding(says, e, "/data/refreshToken", "a new one", "the same")


def races(t: Timeline) -> Iterator[tuple[Exchange, ...]]:
    """Tokens that were used twice at the same moment."""
    for family in families(t):
        for token in family.refresh:
            group = family.uses_of(token)
            if any(x.at < y.ended and y.at < x.ended for x in group for y in group if x is not y):
                yield tuple(group)


def one_wins(group: tuple[Exchange, ...], _t: Timeline) -> Iterator[Finding]:
    """One of them gets tokens, at most."""
    won = [e for e in group if e.status == OK]
    if len(won) > 1:
        says = "a refresh token used several times at the same moment works more than once"
        yield Finding(says, won[1], "", "one answer with tokens", len(won), (won[0],))


def invented(t: Timeline) -> Iterator[Exchange]:
    """Refresh tokens that nobody gave."""
    known = {token for family in families(t) for token in family.refresh}
    for e in judged(t, credential=None):
        token = shown(e)
        right = is_plain_json(e) and isinstance(token, str) and bool(token)
        if e.operation == "refreshTokens" and right and token not in known:
            yield e


def refused(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """401."""
    if e.status != UNAUTHORIZED:
        yield Finding("an invented refresh token is not answered 401", e, "", "401", e.status)


def departures(t: Timeline) -> Iterator[Use]:
    """Each use of a token after its session was logged out, and each logout."""
    for family in families(t):
        for e in family.uses:
            use = _judged(family, e)
            if use.left and not use.reused and not use.used:
                yield use


def gone(use: Use, _t: Timeline) -> Iterator[Finding]:
    """401."""
    if use.e.status != UNAUTHORIZED:
        says = "after logout the session's refresh token still works: signing out does not sign out"
        yield Finding(says, use.e, "", "401 after logout", use.e.status, (use.left,) if use.left else ())


def logouts(t: Timeline) -> Iterator[Exchange]:
    """Each logout with a token of a session that is alive."""
    for family in families(t):
        first = next(
            (e for e in judged(t, credential="session") if e.operation == "logout" and _belongs(e, family)), None
        )
        if first is not None and not any(x.at < first.ended for x in family.reuses()):
            yield first


def _belongs(e: Exchange, family: Family) -> bool:
    return e.request_headers.get("authorization") in family.access


def signed_out(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """200 or 204."""
    if e.status not in {200, 204}:
        yield Finding("logout with a session's own token does not succeed", e, "", "200 or 204", outcome(e))


def opens(s: Scene, token: str = "r1") -> None:  # noqa: S107 - a name
    """A device is let in."""
    given(s, "/auth/device/token", {"deviceCode": "d1"}, token)


def given(s: Scene, path: str, request: dict[str, str], token: str) -> None:
    """An answer with tokens."""
    user = {"id": "u1", "email": None}
    data = {"accessToken": token.replace("r", "a"), "refreshToken": token, "expiresIn": 900, "user": user}
    s.rest("POST", path, 200, {"success": True, "data": data}, request=request, credential="none")


def renews(s: Scene, token: str, new: str = "", **fields: object) -> None:
    """A refresh token is used, with success if a new one comes."""
    if new:
        given(s, "/auth/refresh", {"refreshToken": token}, new)
    else:
        body = {"success": False, "error": "No"}
        s.rest("POST", "/auth/refresh", 401, body, request={"refreshToken": token}, credential="none", **fields)


def leaves(s: Scene, token: str = "a1", status: int = 204) -> None:  # noqa: S107 - a name
    """A session is logged out."""
    s.rest("POST", "/auth/logout", status, credential="session", request_headers={"authorization": token})


def a_family(s: Scene) -> None:
    opens(s)
    renews(s, "r1", "r2")
    renews(s, "r2", "r3")
    renews(s, "r1")
    renews(s, "r3")
    opens(s, "r7")
    renews(s, "r7", "r8")


def works_twice(s: Scene) -> None:
    opens(s)
    renews(s, "r1", "r2")
    renews(s, "r1", "r3")


def family_lives_on(s: Scene) -> None:
    opens(s)
    renews(s, "r1", "r2")
    renews(s, "r1")
    renews(s, "r2", "r3")


def never_works(s: Scene) -> None:
    opens(s)
    renews(s, "r1")


def comes_back(s: Scene) -> None:
    opens(s)
    renews(s, "r1", "r1")


def one_of_two(s: Scene) -> None:
    overlapping(s, "r2", "")


def both_of_two(s: Scene) -> None:
    overlapping(s, "r2", "r3")


def overlapping(s: Scene, *new: str) -> None:
    """The same token twice at the same moment: the first answer comes after the second was sent."""
    opens(s)
    for token in new:
        data = {
            "accessToken": f"a-{token}",
            "refreshToken": token,
            "expiresIn": 900,
            "user": {"id": "u1", "email": None},
        }
        body = {"success": True, "data": data} if token else {"success": False, "error": "No"}
        fields = {"request": {"refreshToken": "r1"}, "credential": "none", "ended": 1e3}
        s.rest("POST", "/auth/refresh", 200 if token else 401, body, **fields)


def invention_refused(s: Scene) -> None:
    renews(s, "nobody's")


def invention_works(s: Scene) -> None:
    renews(s, "nobody's", "r9")


def leaves_for_good(s: Scene) -> None:
    opens(s)
    renews(s, "r1", "r2")
    leaves(s, "a2")
    renews(s, "r2")


def comes_again(s: Scene) -> None:
    opens(s)
    leaves(s)
    renews(s, "r1", "r2")


def cannot_leave(s: Scene) -> None:
    opens(s)
    leaves(s, status=401)


async def a_stolen_token(world: World) -> None:
    """A session is renewed twice; then its first token is used again, and the last; another session goes on."""
    session, other = await world.session(), await world.session()
    if session is None or other is None:
        return
    first = session.refresh
    await session.renew()
    await session.call("GET", "/auth/me")
    await session.renew()
    last = session.refresh
    await session.renew(first)
    await session.renew(last)
    await other.renew()


async def a_spent_token_at_once(world: World) -> None:
    """A token is used a second time right after its first use; then the one that it gave."""
    session = await world.session()
    if session is not None:
        first = session.refresh
        await session.renew()
        last = session.refresh
        await session.renew(first)
        await session.renew(last)


async def one_token_at_the_same_moment(world: World) -> None:
    """A token is used five times at the same moment."""
    session = await world.session()
    if session is not None:
        token = session.refresh
        await asyncio.gather(*(session.renew(token) for _ in range(5)))


async def tokens_of_nobody(world: World) -> None:
    """Refresh tokens that nobody gave: a word, an access token, a device code."""
    rest = world.user().rest
    session = await world.session()
    for token in ("nobody-gave-this", world.new_id(), *([session.access] if session else [])):
        await rest.post("/auth/refresh", {"refreshToken": token}, credential="none")


async def signing_out(world: World) -> None:
    """Sessions sign out: one naming its refresh token, one not, one after it was renewed; and one stays."""
    sessions = [await world.session() for _ in range(4)]
    alive = [s for s in sessions if s is not None]
    if len(alive) < len(sessions):
        return
    naming, silent, renewed, stays = alive
    await renewed.renew()
    await naming.call("POST", "/auth/logout", body={"refreshToken": naming.refresh})
    for session in (silent, renewed):
        await session.call("POST", "/auth/logout")
    for session in (naming, silent, renewed, stays):
        await session.renew()


RULES = (
    Rule(
        id="refresh.works-once",
        clauses=("TOK-1",),
        judges="A refresh token gives new tokens once; used again it is refused, and all of its family with it.",
        when=uses,
        check=once_only,
        good=(a_family,),
        bad=(works_twice, family_lives_on, never_works, comes_back),
        cases=(a_stolen_token, a_spent_token_at_once),
    ),
    Rule(
        id="refresh.one-of-many",
        clauses=("TOK-1",),
        judges="Of several uses of one token at the same moment at most one succeeds.",
        when=races,
        check=one_wins,
        good=(one_of_two,),
        bad=(both_of_two,),
        cases=(one_token_at_the_same_moment,),
    ),
    Rule(
        id="refresh.invented-is-refused",
        clauses=("TOK-1",),
        judges="A refresh token that nobody gave is answered 401.",
        when=invented,
        check=refused,
        good=(invention_refused,),
        bad=(invention_works,),
        cases=(tokens_of_nobody,),
    ),
    Rule(
        id="logout.ends-the-session",
        clauses=("TOK-2",),
        judges="After logout the session's refresh token is refused.",
        when=departures,
        check=gone,
        good=(leaves_for_good,),
        bad=(comes_again,),
        cases=(signing_out,),
    ),
    Rule(
        id="logout.succeeds",
        clauses=("TOK-2",),
        judges="Logout with the token of a session is answered 200 or 204.",
        when=logouts,
        check=signed_out,
        good=(leaves_for_good,),
        bad=(cannot_leave,),
        cases=(signing_out,),
    ),
)
