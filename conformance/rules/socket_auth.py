"""Who may open a socket: a bad token gets no data and is sent away, a good one is served (WSA-1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.dialogue import keeps_shape
from conformance.handshakes import in_time
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

BAD = frozenset(
    [
        "none",
        "malformed",
        "not-a-token",
        "bad-signature",
        "alg-none",
        "alg-none-cased",
        "empty-key",
        "expired",
        "not-yet-valid",
        "unknown-subject",
        "refresh",
    ]
)
WITHOUT_KEY = ("none", "malformed", "not-a-token", "bad-signature", "alg-none", "alg-none-cased", "empty-key")
REFUSED = frozenset({401, 403})
CODES = frozenset({4001, 4002, 1008})
WITHIN = 5.0
NOT_FOUND = frozenset({404, 405, 410})
SWITCHED = 101
PLACE = "token-place"
"""The kind of note that says where a socket's token stood."""


def bad_tokens(t: Timeline) -> Iterator[Connection]:
    """Each socket asked for with a bad token, refused or open for long enough; places without any socket aside."""
    for c in t.connections:
        if c.credential not in BAD or c.opened.status in NOT_FOUND or c.opened.failure:
            continue
        if c.opened.status != SWITCHED or c.closed or c.until >= t.bound(_since(c), WITHIN):
            yield c


def _since(c: Connection) -> float:
    return c.sent[0].at if c.sent else c.opened.at


def sent_away(c: Connection, t: Timeline) -> Iterator[Finding]:
    """No data; 401 or 403 at the handshake, or the right close in time."""
    who = f"a socket with a bad token ({c.credential}) on the {c.channel} endpoint"
    for frame in c.received:
        if frame.kind not in {"ERROR", "PING"}:
            says = f"{who} was sent data: anyone can read it"
            yield Finding(says, frame, "/type", "nothing but ERROR", frame.type, (c.opened,))
            break
    expected = "HTTP 401 or 403, or close 4001, 4002 or 1008 within 5 s"
    end = c.closed
    if c.opened.status != SWITCHED:
        if c.opened.status not in REFUSED:
            yield Finding(f"{who} was refused with the wrong status", c.opened, "", expected, f"HTTP {c.opened.status}")
    elif end is None or end.by != "backend":
        if c.until >= t.bound(_since(c), WITHIN):
            where = c.sent[0] if c.sent else c.opened
            yield Finding(f"{who} was left open", where, "", expected, "an open socket", (c.opened,))
    elif end.code not in CODES:
        yield Finding(f"{who} was closed with the wrong code", end, "", expected, end.code, (c.opened,))
    elif end.at > t.bound(_since(c), WITHIN):
        late = f"after {end.at - _since(c):.1f} s"
        yield Finding(f"{who} was closed too late", end, "", expected, late, (c.opened,))


def good_tokens(t: Timeline) -> Iterator[Connection]:
    """Each socket with a good token that was refused for it, or that announced its role and was answered."""
    for c in t.connections:
        if c.credential == VALID and (c.opened.status in REFUSED or c.accepted or _thrown_out(c, t)):
            yield c


def _thrown_out(c: Connection, t: Timeline) -> bool:
    """Whether a socket that said well and in time what it is was closed; others are closed likewise (WSA-3)."""
    is_said = c.init is not None and keeps_shape(t, c, c.init) and in_time(c, t)
    return is_said and c.closed is not None and c.closed.by == "backend" and c.closed.code in CODES


def let_in(c: Connection, t: Timeline) -> Iterator[Finding]:
    """A good token opens the socket, in the header as in the query."""
    place = next((n.data["place"] for n in t.notes if n.kind == PLACE and n.data.get("connection") == c.id), "query")
    who = f"a good token in the {place} does not open the {c.channel} endpoint: its {c.role}s cannot connect"
    if c.opened.status in REFUSED:
        yield Finding(who, c.opened, "", "a socket that is served", f"HTTP {c.opened.status}")
    elif not c.accepted and c.closed is not None:
        yield Finding(who, c.closed, "", "a socket that is served", f"close {c.closed.code}", (c.opened,))


def refused_at_the_handshake(s: Scene) -> None:
    s.socket("dashboard", credential="none", status=401)
    s.socket("agent", credential="expired", status=403)


def error_and_close(s: Scene) -> None:
    socket = s.socket("agent", credential="bad-signature")
    socket.gets("ERROR", {"code": "UNAUTHORIZED", "message": "No", "recoverable": False})
    socket.closes(by="backend", code=4001)


def close_only(s: Scene) -> None:
    socket = s.socket("dashboard", credential="expired")
    socket.sends("DASHBOARD_INIT", {})
    s.wait(4.5)
    socket.closes(by="backend", code=1008)


def left_open(s: Scene) -> None:
    socket = s.socket("dashboard", credential="not-a-token")
    socket.sends("DASHBOARD_INIT", {})
    socket.gets("ERROR", {"code": "UNAUTHORIZED", "message": "No", "recoverable": False})
    s.wait(6)


def snapshot_for_nobody(s: Scene) -> None:
    socket = s.socket("dashboard", credential="none")
    socket.snapshot(s.item("a1"))
    socket.closes(by="backend", code=4001)


def server_error(s: Scene) -> None:
    s.socket("agent", credential="alg-none", status=500)


def closed_as_if_all_were_well(s: Scene) -> None:
    s.socket("agent", credential="refresh").closes(by="backend", code=1000)


def closed_late(s: Scene) -> None:
    socket = s.socket("agent", credential="expired")
    s.wait(9)
    socket.closes(by="backend", code=4002)


def both_served(s: Scene) -> None:
    s.agent("a1")
    s.dashboard()


def another_said_too_late_what_it_is(s: Scene) -> None:
    both_served(s)
    s.says_too_late_what_it_is()


def another_never_said_well_what_it_is(s: Scene) -> None:
    both_served(s)
    socket = s.socket("agent")
    hello = socket.sends("AGENT_CONNECT", {"agentType": "CLAUDE"})
    socket.gets(
        "ERROR", {"code": "INVALID_MESSAGE", "message": "No", "recoverable": True, "originalMessageId": hello.id}
    )
    s.wait(10.5)
    socket.closes(by="backend", code=4001)


def header_refused(s: Scene) -> None:
    s.note(PLACE, connection="dashboard-1", place="header")
    s.socket("dashboard", status=401)


def thrown_out(s: Scene) -> None:
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {})
    socket.closes(by="backend", code=4001)


async def bad_tokens_without_a_key(world: World) -> None:
    """Every endpoint is asked with no token and with spoilt ones, in the query and in the header."""
    await _try(world, [k for k in world.site.keyring.kinds if k in WITHOUT_KEY])


@provocation(needs="signing-key")
async def bad_tokens_with_the_key(world: World) -> None:
    """Every endpoint is asked with expired, early, foreign and refresh tokens, signed with the right key."""
    await _try(world, [k for k in world.site.keyring.kinds if k not in WITHOUT_KEY])


async def bad_tokens_at_the_shared_socket(world: World) -> None:
    """The shared endpoint is asked by an agent and a dashboard with no token and with spoilt ones."""
    await _try(world, [k for k in world.site.keyring.kinds if k in WITHOUT_KEY], channel="shared")


@provocation(needs="signing-key")
async def bad_tokens_with_the_key_at_the_shared_socket(world: World) -> None:
    """The shared endpoint is asked with expired, early, foreign and refresh tokens, signed with the right key."""
    await _try(world, [k for k in world.site.keyring.kinds if k not in WITHOUT_KEY], channel="shared")


async def _try(world: World, kinds: Iterable[str], channel: str = "") -> None:
    places = [(k, r, q) for k in kinds for r in ("agent", "dashboard") for q in (True, False) if q or k != "none"]
    await asyncio.gather(*(_knock(world, channel, *place) for place in places))


async def _knock(world: World, channel: str, kind: str, role: str, in_query: bool) -> None:  # noqa: FBT001 - a place
    user = world.user()
    link = await user.socket(role, channel=channel, credential=kind, in_query=in_query)
    if link.is_open:
        greeting = user.new_agent().greeting() if role == "agent" else {"dashboardId": world.new_id()}
        await link.send("AGENT_CONNECT" if role == "agent" else "DASHBOARD_INIT", greeting)
        await link.ended(within=WITHIN)


async def good_token_in_query_and_header(world: World) -> None:
    """Both endpoints are asked with a good token, in the query and in the header, and serve whoever comes."""
    user = world.user()
    for in_query in (True, False):
        place = "query" if in_query else "header"
        watcher = await user.socket("dashboard", in_query=in_query)
        world.recorder.note(PLACE, connection=watcher.name, place=place)
        agent = user.new_agent()
        link = await agent.open(in_query=in_query)
        world.recorder.note(PLACE, connection=link.name, place=place)
        if watcher.is_open:
            init = await watcher.send("DASHBOARD_INIT", {"dashboardId": world.new_id()})
            await watcher.until("DASHBOARD_READY", "ACK", since=init.seq, within=2.0)
        if link.is_open:
            hello = await link.send("AGENT_CONNECT", agent.greeting())
            answer = await link.answer(hello, within=2.0)
            user.made(str((answer.payload.get("agentId") if answer else None) or agent.announced))


RULES = (
    Rule(
        id="socket-auth.bad-token-sent-away",
        clauses=("WSA-1",),
        judges="A socket with a bad token gets no data and is refused with 401 or 403, or closed within 5 seconds.",
        when=bad_tokens,
        check=sent_away,
        good=(refused_at_the_handshake, error_and_close, close_only),
        bad=(left_open, snapshot_for_nobody, server_error, closed_as_if_all_were_well, closed_late),
        cases=(
            bad_tokens_without_a_key,
            bad_tokens_with_the_key,
            bad_tokens_at_the_shared_socket,
            bad_tokens_with_the_key_at_the_shared_socket,
        ),
    ),
    Rule(
        id="socket-auth.good-token-served",
        clauses=("WSA-1",),
        judges="A socket with a good token, in the header or in the query, is opened and served.",
        when=good_tokens,
        check=let_in,
        good=(both_served, another_said_too_late_what_it_is, another_never_said_well_what_it_is),
        bad=(header_refused, thrown_out),
        cases=(good_token_in_query_and_header,),
    ),
)
