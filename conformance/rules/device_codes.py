"""The codes of the device grant: each device has its own, and a signed-in user lets it in by them (TOK-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.resources import data_of
from conformance.rest_views import is_plain_json, judged, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.rules.device_grant import (
    Grant,
    asks,
    begins,
    codes_of_nobody,
    grants,
    let_in,
    let_in_and_once_only,
    lets_in,
    seconds,
)
from conformance.sessions import said, user_of
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


class Confirmation(NamedTuple):
    """A user who confirms a code."""

    e: Exchange
    grant: Grant | None
    """What it is the code of, if anybody gave it."""


def confirmations(t: Timeline) -> Iterator[Confirmation]:
    """Each right confirmation of a live code that nobody confirmed before, and of codes that nobody gave."""
    by_code = {data_of(g.begun)["userCode"]: g for g in grants(t).values()}
    for e in judged(t):
        code = said(e, "userCode")
        if e.operation != "confirmDevice" or not isinstance(code, str) or not code or not is_plain_json(e):
            continue
        grant = by_code.get(code)
        if grant is None and not any(_alike(code, known) for known in by_code):
            yield Confirmation(e, None)
        elif grant is not None:
            early = e.at - grant.begun.ended < seconds(data_of(grant.begun).get("expiresIn")) - t.terms.slack
            first = not any(x is not e and x.at < e.ended for x in grant.confirmed)
            if early and first and grant.begun.ended <= e.at:
                yield Confirmation(e, grant)


def _alike(code: str, known: str) -> bool:
    """Whether a kind backend may take one for the other."""
    return "".join(filter(str.isalnum, code)).upper() == "".join(filter(str.isalnum, known)).upper()


def confirmed(c: Confirmation, t: Timeline) -> Iterator[Finding]:
    """200 for a live code, no success for an invented one; and the tokens are those of who confirmed."""
    if c.grant is None:
        if c.e.status < 300:  # noqa: PLR2004 - 2xx
            yield Finding("an invented user code is confirmed", c.e, "", "400, 404 or 409", c.e.status)
        return
    if c.e.status != OK:
        says = "a user code that was just given cannot be confirmed: the command line cannot sign in"
        yield Finding(says, c.e, "", "200", outcome(c.e), (c.grant.begun,))
        return
    me = next((x for x in judged(t) if x.operation == "getMe" and x.status == OK and x.user == c.e.user), None)
    for poll in c.grant.polls:
        given, wanted = user_of(poll).get("id"), data_of(me).get("id") if me else None
        if me is not None and poll.status == OK and given != wanted:
            says = "the device's tokens are another user's than who let it in"
            yield Finding(says, poll, "/data/user/id", f"{wanted}", given, (c.e, me))


def authorizations(t: Timeline) -> Iterator[Exchange]:
    """Each request for codes."""
    for e in judged(t, credential=None):
        right = is_plain_json(e) and t.contract.shapes.accepts("device-authorization-request.json", e.request)
        if e.operation == "authorizeDevice" and right and not said(e, "clientId"):
            yield e


def begun(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """200, with codes that no other device has."""
    if e.status != OK:
        yield Finding("a device cannot begin to ask to be let in", e, "", "200 with codes", outcome(e))
        return
    others = [x for x in judged(t, credential=None) if x.operation == "authorizeDevice" and x is not e]
    for name in ("deviceCode", "userCode"):
        if any(data_of(x).get(name, 0) == data_of(e).get(name) for x in others):
            yield Finding(f"two devices get the same {name}", e, f"/data/{name}", "one of its own", "the same")


def cannot_be_confirmed(s: Scene) -> None:
    begins(s)
    lets_in(s, status=404)


def confirms_anything(s: Scene) -> None:
    lets_in(s, "nobody's")


def lets_in_somebody_else(s: Scene) -> None:
    s.rest("GET", "/auth/me", 200, {"success": True, "data": {"id": "u1", "email": None}})
    begins(s)
    lets_in(s)
    asks(s, user="u2")


def no_codes(s: Scene) -> None:
    s.fails("POST", "/auth/device/authorize", 501, request={}, credential="none")


def same_codes(s: Scene) -> None:
    begins(s)
    begins(s, 2, userCode="U1")


@provocation(needs="second-user")
async def let_in_by_another(world: World) -> None:
    """The device of the first user's machine is let in by the second user: it acts for that one."""
    device, other = await world.device(), world.user(1)
    await other.rest.get("/auth/me")
    if device is not None:
        await device.confirm(other.rest)
        await device.wait()
        await device.session()


RULES = (
    Rule(
        id="device.let-in-by-its-user",
        clauses=("TOK-5",),
        judges="A live user code is confirmed by a signed-in user, whose tokens the device gets; no other code is.",
        when=confirmations,
        check=confirmed,
        good=(let_in,),
        bad=(cannot_be_confirmed, confirms_anything, lets_in_somebody_else),
        cases=(let_in_and_once_only, let_in_by_another),
    ),
    Rule(
        id="device.codes-of-its-own",
        clauses=("TOK-5",),
        judges="Each device that asks gets codes, unlike those of any other.",
        when=authorizations,
        check=begun,
        good=(let_in,),
        bad=(no_codes, same_codes),
        cases=(codes_of_nobody,),
    ),
)
