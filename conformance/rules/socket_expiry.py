"""Tokens that run out while their socket is open, and those that replace them (WSA-5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from conformance.dialogue import ANSWER_SECONDS, Said, refusal, said
from conformance.endings import EXPIRED, EXPIRES
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.link import Link
    from conformance.world.world import World

SHORT_LIVED = "good, for seconds"
"""A good token that expires while its socket is open."""
REFRESH = "token-refresh"
"""The kind of note that says whose token (own, foreign, bad) a TOKEN_REFRESH brought."""
LIFETIME = 3.0
GRACE = 60.0


class Expiry(NamedTuple):
    """A socket whose token runs out, and the answer that extended it, if any."""

    connection: Connection
    at: float
    extended: Frame | None


def expiries(t: Timeline) -> Iterator[Expiry]:
    """Each socket whose token ran out while it was watched; not those to which the server sent a new token."""
    for note in t.notes:
        c = t.connection(str(note.data.get("connection"))) if note.kind == EXPIRES else None
        if c is None or c.accepted is None or c.of_kind("TOKEN_REFRESH"):
            continue
        at = float(note.data["at"])
        refreshed = [s.answers[0] for s in _refreshes(t) if s.connection is c and s.answers and not s.errors]
        ended = c.closed is not None and c.closed.by == "backend"
        if ended or c.until >= t.bound(at, GRACE) or (refreshed and c.until > at):
            yield Expiry(c, at, refreshed[0] if refreshed else None)


def _refreshes(t: Timeline) -> Iterator[Said]:
    return (s for s in said(t, VALID, SHORT_LIVED) if s.sent.type == "TOKEN_REFRESH")


def ends_with_its_token(e: Expiry, t: Timeline) -> Iterator[Finding]:
    """Closed with 4002 within a minute of the token's end, not before, and not at all if extended."""
    end = e.connection.closed
    ended = end is not None and end.by == "backend"
    if e.extended is not None:
        if end is not None and ended and end.code == EXPIRED:
            says = "the connection ended with its first token although TOKEN_REFRESH had been accepted"
            yield Finding(says, end, "", "a connection that goes on", end.code, (e.extended,))
        return
    expected = "close 4002 within 60 s of the token's end"
    if end is None or not ended:
        says = "an expired token keeps its connection: who has lost access goes on reading"
        yield Finding(says, e.connection.opened, "", expected, "an open connection")
    elif end.code != EXPIRED:
        yield Finding("the connection of an expired token ended with the wrong code", end, "", expected, end.code)
    elif not e.at - 1.5 - t.terms.slack <= end.at <= t.bound(e.at, GRACE):
        got = f"{end.at - e.at:+.1f} s from the token's end"
        yield Finding("the connection ended at the wrong time for its token", end, "", expected, got)


class Refresh(NamedTuple):
    """A TOKEN_REFRESH, and whose token it brought."""

    said: Said
    whose: str


def refreshes(t: Timeline) -> Iterator[Refresh]:
    """Each TOKEN_REFRESH on an initialised connection of which the tester knows whose token it brought."""
    whose = {n.data.get("message"): str(n.data["whose"]) for n in t.notes if n.kind == REFRESH}
    for s in _refreshes(t):
        if s.ready and s.sent.id in whose and (s.answers or s.connection.closed or s.unanswered(t)):
            yield Refresh(s, whose[s.sent.id])


def answered_as_due(refresh: Refresh, t: Timeline) -> Iterator[Finding]:
    """ACK for the user's own token; FORBIDDEN for another's and for a bad one."""
    s, whose = refresh
    if whose != "own":
        yield from refusal(s, t, f"TOKEN_REFRESH with a {whose} token", "FORBIDDEN")
    elif s.errors:
        says = "TOKEN_REFRESH with a good token is refused: the client loses its connection when the old one ends"
        yield Finding(says, s.errors[0], "/type", "ACK", s.errors[0].payload.get("code", "ERROR"), (s.sent,))
    elif s.answers:
        if s.answers[0].kind != "ACK" or s.answers[0].payload.get("success") is not True:
            yield Finding(
                "TOKEN_REFRESH is not accepted by ACK", s.answers[0], "/type", "ACK", s.answers[0].type, (s.sent,)
            )
    elif s.unanswered(t):
        yield Finding("TOKEN_REFRESH got no answer", s.sent, "", "ACK", "nothing")


def _short(s: Scene) -> Socket:
    socket = s.socket("dashboard", credential=SHORT_LIVED)
    s.note(EXPIRES, connection=socket.name, at=3.0)
    socket.sends("DASHBOARD_INIT", {})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    return socket


def _refreshed(s: Scene, socket: Socket, whose: str) -> Frame:
    sent = socket.sends("TOKEN_REFRESH", {"accessToken": "new"})
    s.note(REFRESH, message=sent.id, whose=whose)
    return sent


def closed_with_4002(s: Scene) -> None:
    socket = _short(s)
    s.wait(20)
    socket.closes(by="backend", code=EXPIRED)


def extended_goes_on(s: Scene) -> None:
    socket = _short(s)
    sent = _refreshed(s, socket, "own")
    socket.gets("ACK", {"messageId": sent.id, "success": True})
    s.wait(10)


def lives_on(s: Scene) -> None:
    _short(s)
    s.wait(70)


def closed_before(s: Scene) -> None:
    _short(s).closes(by="backend", code=EXPIRED)


def closed_otherwise(s: Scene) -> None:
    socket = _short(s)
    s.wait(5)
    socket.closes(by="backend", code=1000)


def extended_in_vain(s: Scene) -> None:
    socket = _short(s)
    sent = _refreshed(s, socket, "own")
    socket.gets("ACK", {"messageId": sent.id, "success": True})
    s.wait(10)
    socket.closes(by="backend", code=EXPIRED)


def each_as_due(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.gets("ACK", {"messageId": _refreshed(s, dashboard, "own").id, "success": True})
    for whose in ("foreign", "bad"):
        sent = _refreshed(s, dashboard, whose)
        no = {"code": "FORBIDDEN", "message": "No", "recoverable": True, "originalMessageId": sent.id}
        dashboard.gets("ERROR", no)


def own_forbidden(s: Scene) -> None:
    dashboard = s.dashboard()
    sent = _refreshed(s, dashboard, "own")
    no = {"code": "FORBIDDEN", "message": "No", "recoverable": True, "originalMessageId": sent.id}
    dashboard.gets("ERROR", no)


def foreign_accepted(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.gets("ACK", {"messageId": _refreshed(s, dashboard, "foreign").id, "success": True})


def never_answered(s: Scene) -> None:
    _refreshed(s, s.dashboard(), "own")
    s.wait(3)


async def own_and_bad_tokens(world: World) -> None:
    """A dashboard and an agent bring a new good token, and one that is none; both go on."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for link in (dashboard.link, agent.link):
        await _bring(world, link, world.site.keyring.token(user.name), "own")
        await _bring(world, link, "not-a-token", "bad")
        await link.fence()


@provocation(needs="second-user")
async def foreign_tokens(world: World) -> None:
    """A dashboard and an agent bring another user's good token, then their own."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for link in (dashboard.link, agent.link):
        await _bring(world, link, world.site.keyring.token(world.user(1).name), "foreign")
        await _bring(world, link, world.site.keyring.token(user.name), "own")


@provocation(needs="signing-key patience", budget=80.0)
async def tokens_run_out(world: World) -> None:
    """Three dashboards with a token for seconds: one waits, one brings a good token in time, one a bad one."""
    user = world.user()
    waits, extends, fails = [await _short_lived(world) for _ in range(3)]
    await _bring(world, extends, world.site.keyring.token(user.name), "own")
    await _bring(world, fails, "not-a-token", "bad")
    await asyncio.gather(waits.ended(within=LIFETIME + GRACE), fails.ended(within=LIFETIME + GRACE))
    await extends.fence()


async def _short_lived(world: World) -> Link:
    user = world.user()
    token = world.site.keyring.token(user.name, lifetime=LIFETIME)
    ends = world.recorder.now + LIFETIME
    link = await user.socket("dashboard", credential=SHORT_LIVED, token=token)
    world.recorder.note(EXPIRES, connection=link.name, at=ends)
    init = await link.send("DASHBOARD_INIT", {"dashboardId": world.new_id()})
    await link.until("DASHBOARD_READY", "ACK", since=init.seq, within=2.0)
    return link


async def _bring(world: World, link: Link, token: str, whose: str) -> None:
    sent = await link.send("TOKEN_REFRESH", {"accessToken": token})
    world.recorder.note(REFRESH, message=sent.id, whose=whose)
    await link.answer(sent, within=ANSWER_SECONDS)


RULES = (
    Rule(
        id="token-expiry.ends-connection",
        clauses=("WSA-5",),
        judges="A connection ends with 4002 within a minute of its token's end, unless TOKEN_REFRESH extended it.",
        when=expiries,
        check=ends_with_its_token,
        good=(closed_with_4002, extended_goes_on),
        bad=(lives_on, closed_before, closed_otherwise, extended_in_vain),
        cases=(tokens_run_out,),
    ),
    Rule(
        id="token-expiry.refresh-answered",
        clauses=("WSA-5",),
        judges="TOKEN_REFRESH is accepted by ACK with the user's own token, and refused with FORBIDDEN with any other.",
        when=refreshes,
        check=answered_as_due,
        good=(each_as_due,),
        bad=(own_forbidden, foreign_accepted, never_answered),
        cases=(own_and_bad_tokens, foreign_tokens),
    ),
)
