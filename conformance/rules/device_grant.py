"""The device grant of RFC 8628 lets the agent command line in: once, and not before its user says so (TOK-5).

How a device gets its codes and a user confirms them: `device_codes`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.resources import data_of
from conformance.rest_views import is_failure, is_plain_json, judged
from conformance.rule import Finding, Rule, provocation
from conformance.sessions import said
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

BAD = 400
SPENT = ("invalid_grant", "expired_token")
STRANGE = (*SPENT, "invalid_client", "unauthorized_client")
"""What may be said of a code that nobody gave; of a client that nobody knows as well."""
SLOWER = 5.0
SOON = 5.0
"""Seconds that a code may live to be waited for in every run."""
LATER = 60.0


class Grant(NamedTuple):
    """The codes that were given to a device, and all that was done with them."""

    begun: Exchange
    confirmed: tuple[Exchange, ...]
    """Confirmations by signed-in users that were answered with success."""
    polls: tuple[Exchange, ...]


def grants(t: Timeline) -> Mapping[str, Grant]:
    """Device code → what was done with it."""
    found: dict[str, Grant] = {}
    for e in judged(t, credential=None):
        codes = data_of(e)
        code, user_code = codes.get("deviceCode"), codes.get("userCode")
        if e.operation == "authorizeDevice" and e.status == OK and isinstance(code, str) and isinstance(user_code, str):
            confirmed = (x for x in judged(t) if x.operation == "confirmDevice" and said(x, "userCode") == user_code)
            polls = (x for x in judged(t, credential=None) if x.operation == "pollDeviceToken")
            mine = tuple(x for x in polls if said(x, "deviceCode") == code)
            found[code] = Grant(e, tuple(x for x in confirmed if x.status == OK), mine)
    return found


class Poll(NamedTuple):
    """One poll, the answers that are right, and why."""

    e: Exchange
    tokens: bool
    """Whether tokens are a right answer."""
    errors: tuple[str, ...]
    """The RFC's words that are right answers."""
    because: str
    evidence: tuple[Exchange, ...] = ()


def polls(t: Timeline) -> Iterator[Poll]:
    """Each poll whose right answer is plain; none while something else happened to its code at the same moment."""
    known = grants(t)
    for grant in known.values():
        for e in grant.polls:
            others = (x for x in (*grant.polls, *grant.confirmed) if x is not e)
            if not any(x.at < e.ended and x.ended > e.at for x in others):
                yield _expected(grant, e, t.terms.slack)
    for e in judged(t, credential=None):
        right = is_plain_json(e) and t.contract.shapes.accepts("device-token-request.json", e.request)
        if e.operation == "pollDeviceToken" and right and said(e, "deviceCode") not in known:
            words = STRANGE if said(e, "clientId") else SPENT
            yield Poll(e, tokens=False, errors=words, because="nobody gave this code")


def _expected(grant: Grant, e: Exchange, slack: float) -> Poll:
    codes, before = data_of(grant.begun), [x for x in grant.polls if x.ended <= e.at]
    if spent := [x for x in before if x.status == OK]:
        return Poll(e, tokens=False, errors=SPENT, because="its code was used before", evidence=(spent[0],))
    lives, age = seconds(codes.get("expiresIn")), e.at - grant.begun.ended
    if age > lives + slack:
        return Poll(e, tokens=False, errors=SPENT, because="its code has expired", evidence=(grant.begun,))
    slowed = sum(_word(x) == "slow_down" for x in before)
    last = before[-1].ended if before else grant.begun.ended  # a slow backend may count from then
    is_fast = e.at - last < seconds(codes.get("interval")) + SLOWER * slowed + slack
    errors: tuple[str, ...] = ("slow_down",) if is_fast else ()
    if age > lives - slack:
        errors += SPENT
    if confirmed := [x for x in grant.confirmed if x.ended <= e.at]:
        return Poll(e, tokens=True, errors=errors, because="a user has let it in", evidence=(confirmed[0],))
    errors = ("authorization_pending", *errors)
    return Poll(e, tokens=False, errors=errors, because="nobody has let it in yet", evidence=(grant.begun,))


def seconds(value: object) -> float:
    """A number of seconds that was told; 0 where none was."""
    return float(value) if isinstance(value, int | float) else 0.0


def _word(e: Exchange) -> object:
    return e.value.get("error") if isinstance(e.value, dict) else None


def answered(poll: Poll, _t: Timeline) -> Iterator[Finding]:
    """Tokens, or 400 with the RFC's word."""
    e = poll.e
    if poll.tokens and e.status == OK:
        return
    right = [f"400 {word}" for word in poll.errors] + (["200 with tokens"] if poll.tokens else [])
    wanted = f"{' or '.join(right)}: {poll.because}"
    if e.status == OK:
        yield Finding("a device gets tokens that it must not get", e, "", wanted, "200 with tokens", poll.evidence)
    elif e.status != BAD or not is_failure(e.value) or _word(e) not in poll.errors:
        says = "a device's poll is not answered as RFC 8628 says: the command line does not know whether to go on"
        yield Finding(says, e, "/error", wanted, f"{e.status} {_word(e)}"[:80], poll.evidence)


def redemptions(t: Timeline) -> Iterator[Grant]:
    """Codes that were asked for again after their user let the device in."""
    return (g for g in grants(t).values() if g.confirmed and sum(x.at > g.confirmed[0].at for x in g.polls) > 1)


def once(grant: Grant, _t: Timeline) -> Iterator[Finding]:
    """Tokens at most once, also when polls come at the same moment."""
    won = [x for x in grant.polls if x.status == OK]
    if len(won) > 1:
        says = "a device code can be redeemed more than once: anybody can sign in with an old code"
        yield Finding(says, won[1], "", "tokens exactly once", len(won), (won[0],))


def begins(s: Scene, number: int = 1, **changes: Any) -> None:
    """A device gets its codes."""
    codes = {"deviceCode": f"d{number}", "userCode": f"U{number}", "interval": 1, "expiresIn": 60} | changes
    s.rest("POST", "/auth/device/authorize", 200, {"success": True, "data": codes}, request={}, credential="none")


def lets_in(s: Scene, code: str = "U1", status: int = 200, **fields: Any) -> None:
    """A user confirms."""
    body = {"success": True, "data": {}} if status == OK else {"success": False, "error": "No"}
    s.rest("POST", "/auth/device/confirm", status, body, request={"userCode": code}, **fields)


def asks(s: Scene, error: str = "", *, code: str = "d1", after: float = 1.5, **changes: Any) -> None:
    """A device polls and is told an error, or gets tokens."""
    s.wait(after)
    user = {"id": changes.get("user", "u1"), "email": None}
    data = {"accessToken": "a", "refreshToken": "r", "expiresIn": 9, "user": user}
    body = {"success": False, "error": error} if error else {"success": True, "data": data}
    told = changes.get("status", 400) if error else 200
    s.rest("POST", "/auth/device/token", told, body, request={"deviceCode": code}, credential="none")


def let_in(s: Scene) -> None:
    s.rest("GET", "/auth/me", 200, {"success": True, "data": {"id": "u1", "email": None}})
    begins(s)
    asks(s, "authorization_pending")
    asks(s, "slow_down", after=0.1)
    asks(s, "authorization_pending", after=6.5)
    lets_in(s, "no-such", 404)
    lets_in(s)
    asks(s, after=7)
    asks(s, "invalid_grant")
    asks(s, "expired_token")
    asks(s, "invalid_grant", code="nobody's")
    begins(s, 2, expiresIn=3)
    asks(s, "expired_token", code="d2", after=5)


def let_in_unasked(s: Scene) -> None:
    begins(s)
    asks(s)


def twice(s: Scene) -> None:
    begins(s)
    lets_in(s)
    asks(s)
    asks(s)


def never(s: Scene) -> None:
    begins(s)
    lets_in(s)
    asks(s, "authorization_pending")


def in_own_words(s: Scene) -> None:
    begins(s)
    asks(s, "Not yet, please wait")


def with_another_status(s: Scene) -> None:
    begins(s)
    asks(s, "authorization_pending", status=428)


def slow_for_the_patient(s: Scene) -> None:
    begins(s)
    asks(s, "authorization_pending", after=2)
    asks(s, "slow_down", after=2)


def lives_for_ever(s: Scene) -> None:
    begins(s, expiresIn=2)
    asks(s, "authorization_pending", after=9)


def invented_code_waits(s: Scene) -> None:
    asks(s, "authorization_pending", code="nobody's")


async def let_in_and_once_only(world: World) -> None:
    """A device waits, is let in, gets its tokens, and asks again; its code is confirmed again, and asked for."""
    rest, device = world.user().rest, await world.device()
    await rest.get("/auth/me")
    if device is None:
        return
    await device.poll()
    await device.confirm(credential="none")
    await rest.post("/auth/device/confirm", {"userCode": "NO-SUCH-CODE"})
    await device.wait()
    await device.poll()
    await device.confirm()
    await device.wait()
    session = await device.session()
    if session is not None:
        await session.call("GET", "/auth/me")
        await session.call("GET", "/agents", query={"limit": "1"})
    await device.poll()
    await device.confirm()
    await device.poll()


async def polls_at_the_same_moment(world: World) -> None:
    """A device that was let in asks five times at the same moment."""
    device = await world.device()
    if device is not None:
        await device.confirm()
        await device.wait()
        await asyncio.gather(*(device.poll() for _ in range(5)))


async def codes_of_nobody(world: World) -> None:
    """Device and user codes that nobody gave; and two devices at once."""
    rest = world.user().rest
    await rest.post("/auth/device/token", {"deviceCode": "nobody-gave-this-code"}, credential="none")
    await rest.post("/auth/device/confirm", {"userCode": "NO-SUCH-CODE"})
    await asyncio.gather(world.device(), world.device())


@provocation(needs="patience", budget=90.0)
async def a_device_that_is_too_fast(world: World) -> None:
    """A device asks too fast; when it was slowed down, it waits as it should, is let in, and gets its tokens."""
    device = await world.device()
    if device is None:
        return
    for _ in range(2):
        await device.poll()
    await device.confirm()
    await device.wait()
    await device.session()


async def _outlive(world: World, most: float) -> None:
    device = await world.device()
    if device is not None and device.expires_in <= most:
        await asyncio.sleep(device.expires_in + world.site.terms.slack + 0.3)
        await device.poll()
        await device.confirm()
        await device.poll()


@provocation(budget=20.0)
async def a_code_that_expires_soon(world: World) -> None:
    """A code is waited out, where it lives for 5 seconds at most; then it is asked for, confirmed, and asked for."""
    await _outlive(world, SOON)


@provocation(needs="patience", budget=90.0)
async def a_code_that_expires(world: World) -> None:
    """The same where it lives for a minute at most."""
    device = await world.device()
    if device is not None and SOON < device.expires_in <= LATER:
        await _outlive(world, LATER)


RULES = (
    Rule(
        id="device.polls-as-the-rfc-says",
        clauses=("TOK-5",),
        judges="A poll gets authorization_pending, slow_down, expired_token, invalid_grant or tokens, as things stand.",
        when=polls,
        check=answered,
        good=(let_in,),
        bad=(
            let_in_unasked,
            twice,
            never,
            in_own_words,
            with_another_status,
            slow_for_the_patient,
            lives_for_ever,
            invented_code_waits,
        ),
        cases=(
            let_in_and_once_only,
            codes_of_nobody,
            a_device_that_is_too_fast,
            a_code_that_expires_soon,
            a_code_that_expires,
        ),
    ),
    Rule(
        id="device.tokens-once",
        clauses=("TOK-5", "TOK-1"),
        judges="A device code gives tokens once, also when polls come at the same moment.",
        when=redemptions,
        check=once,
        good=(let_in,),
        bad=(twice,),
        cases=(let_in_and_once_only, polls_at_the_same_moment),
    ),
)
