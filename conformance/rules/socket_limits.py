"""Messages that are too large, and too many of them (WSX-5, WSX-6)."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from conformance.dialogue import ANSWER_SECONDS, current
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Note, Timeline
    from conformance.world.link import Link
    from conformance.world.world import World

LARGEST = {"agent": 1024 * 1024, "dashboard": 512 * 1024}
FASTEST = {"agent": 100, "dashboard": 50}
SIZE = "message-size"
"""The kind of note that says how many `bytes` the next message on `connection` has."""
TOO_LARGE, TOO_MANY = 1009, 4004
CLEARLY = 1.3
"""A client counts as too fast above that times the limit, as within it below 0.6 times: networks bunch messages."""


class Large(NamedTuple):
    """A message near the limit of its connection."""

    connection: Connection
    note: Note
    too_large: bool


def large_messages(t: Timeline) -> Iterator[Large]:
    """Each message of which the tester noted the size."""
    for note in t.notes:
        c = t.connection(str(note.data.get("connection"))) if note.kind == SIZE else None
        if (
            c is not None
            and current(c)
            and (c.closed or c.until >= t.bound(note.at, ANSWER_SECONDS) or _ponged(c, note))
        ):
            yield Large(c, note, int(note.data["bytes"]) > LARGEST[c.role])


def _ponged(c: Connection, note: Note) -> bool:
    return bool(c.of_kind("PONG", after=note.seq))


def cut_at_the_limit(large: Large, t: Timeline) -> Iterator[Finding]:
    """Over the limit: close 1009. At the limit: served. Nobody else notices."""
    c, note, too_large = large
    end = c.closed
    ended = end is not None and end.by == "backend"
    size = f"a message of {note.data['bytes']} bytes from {'an agent' if c.role == 'agent' else 'a dashboard'}"
    if too_large and not ended:
        got = "a served message" if _ponged(c, note) else "an open connection"
        yield Finding(f"{size} does not end its connection", c.opened, "", "close 1009", got)
    elif too_large and end is not None and end.code not in {TOO_LARGE, None}:
        yield Finding(f"{size} ends its connection with the wrong code", end, "", "close 1009", end.code)
    elif not too_large and not _ponged(c, note):
        says = f"{size}, just the limit, is not served"
        yield Finding(says, end or c.opened, "", "PONG", f"close {end.code}" if end else "nothing")
    for other in t.connections:
        o = other.closed
        if (
            too_large
            and other is not c
            and o is not None
            and o.by == "backend"
            and o.code == TOO_LARGE
            and o.at >= note.at
        ) and not any(n.kind == SIZE and n.data.get("connection") == other.id for n in t.notes):
            yield Finding(f"{size} ended another connection", o, "", "an open connection", o.code, (note,))


class Pace(NamedTuple):
    """How many messages a second a connection sent, in each full second from its first one."""

    connection: Connection
    start: float
    seconds: tuple[int, ...]

    @property
    def limit(self) -> int:
        """The most it may send in a second."""
        return FASTEST[self.connection.role]

    @property
    def too_fast_for(self) -> int:
        """For how many seconds on end it clearly sent too many."""
        fast = 0
        for count in self.seconds:
            if count <= CLEARLY * self.limit:
                break
            fast += 1
        return fast


def paces(t: Timeline) -> Iterator[Pace]:
    """Each connection that kept a pace for two seconds or more: clearly too fast, or clearly within the limit."""
    for c in t.connections:
        if not current(c) or c.credential != VALID or c.accepted is None:
            continue
        times = [f.at for f in c.sent if f.type == "PING" and f.seq > c.accepted.seq]
        if len(times) < FASTEST[c.role]:
            continue
        start = times[0]
        whole = int(times[-1] - start + 0.05)
        counts = tuple(bisect_left(times, start + n + 1) - bisect_left(times, start + n) for n in range(whole))
        pace = Pace(c, start, counts)
        if whole >= 2 and (pace.too_fast_for >= 2 or max(counts) < 0.6 * pace.limit):  # noqa: PLR2004 - seconds, share
            yield pace


def limited(pace: Pace, t: Timeline) -> Iterator[Finding]:
    """RATE_LIMIT every second when too fast, with retryAfter; never within the limit; 4004 after ten such seconds."""
    c, end = pace.connection, pace.connection.closed
    errors = [f for f in c.of_kind("ERROR") if f.payload.get("code") == "RATE_LIMIT"]
    if not pace.too_fast_for:
        if errors:
            says = "a client within the limit is refused with RATE_LIMIT"
            yield Finding(
                says, errors[0], "/payload/code", "no RATE_LIMIT", f"at {max(pace.seconds)} messages a second"
            )
        return
    expected = "ERROR RATE_LIMIT with details.retryAfter at least once a second"
    for second in range(2, pace.too_fast_for + 1):
        last = pace.start + second
        if (end is None or end.at > last) and not any(last - 1 <= e.at <= t.bound(last, 0.5) for e in errors):
            says = f"{pace.seconds[second - 1]} messages in a second are not refused: one client can drown the others"
            yield Finding(says, c.opened, "", expected, "no RATE_LIMIT in that second")
            break
    for error in errors:
        details = error.payload.get("details")
        after = details.get("retryAfter") if isinstance(details, dict) else None
        if not isinstance(after, int | float) or isinstance(after, bool) or after < 0:
            says = "RATE_LIMIT does not say when to try again"
            yield Finding(says, error, "/payload/details/retryAfter", "seconds, as a number", after)
            break
    yield from _end(pace, t)


def _end(pace: Pace, t: Timeline) -> Iterator[Finding]:
    c, end = pace.connection, pace.connection.closed
    ended = end is not None and end.by == "backend"
    long = pace.too_fast_for >= 10  # noqa: PLR2004 - the contract's seconds
    if ended and end is not None and end.at < pace.start + 9.0:
        says = "the connection was ended before it had been too fast for ten seconds"
        yield Finding(says, end, "", "an open connection", f"close {end.code} after {end.at - pace.start:.1f} s")
    elif ended and end is not None and end.code != TOO_MANY:
        yield Finding("the connection of too fast a client ended with the wrong code", end, "", "close 4004", end.code)
    elif long and not ended and c.until >= t.bound(pace.start + pace.too_fast_for, 1.0):
        yield Finding(
            "a client that is too fast for ten seconds stays connected",
            c.opened,
            "",
            "close 4004",
            "an open connection",
        )


def _sized(s: Scene, role: str, size: int) -> Socket:
    socket = s.agent("a1") if role == "agent" else s.dashboard()
    s.note(SIZE, connection=socket.name, bytes=size)
    return socket


def limit_served_more_cut(s: Scene) -> None:
    _sized(s, "agent", LARGEST["agent"]).gets("PONG", {"timestamp": 1})
    _sized(s, "dashboard", LARGEST["dashboard"] + 1).closes(by="backend", code=TOO_LARGE)


def too_large_served(s: Scene) -> None:
    _sized(s, "dashboard", LARGEST["dashboard"] + 1).gets("PONG", {"timestamp": 1})
    s.wait(3)


def limit_cut(s: Scene) -> None:
    _sized(s, "agent", LARGEST["agent"]).closes(by="backend", code=TOO_LARGE)


def wrong_code(s: Scene) -> None:
    _sized(s, "agent", LARGEST["agent"] + 1).closes(by="backend", code=1011)


def _fast(s: Scene, seconds: int, *, told: bool, after: object = 1) -> Socket:
    dashboard = s.dashboard()
    for _ in range(seconds):
        for _ in range(90):
            dashboard.sends("PING", {"timestamp": 1})
        if told:
            no = {"code": "RATE_LIMIT", "message": "Slow down", "recoverable": True, "details": {"retryAfter": after}}
            dashboard.gets("ERROR", no)
        s.wait(0.09)
    dashboard.sends("PING", {"timestamp": 1})
    return dashboard


def told_to_slow_down(s: Scene) -> None:
    _fast(s, 3, told=True)
    s.wait(2)


def within_the_limit(s: Scene) -> None:
    dashboard = s.dashboard()
    for _ in range(80):
        dashboard.sends("PING", {"timestamp": 1})
        s.wait(0.04)


def never_told(s: Scene) -> None:
    _fast(s, 3, told=False)
    s.wait(2)


def retry_when(s: Scene) -> None:
    _fast(s, 3, told=True, after="soon")


def ended_too_soon(s: Scene) -> None:
    _fast(s, 3, told=True).closes(by="backend", code=TOO_MANY)


def never_ended(s: Scene) -> None:
    _fast(s, 12, told=True)
    s.wait(3)


async def large(world: World) -> None:
    """A PING of exactly the limit, and one of a byte more, from each role, beside a bystander."""
    user = world.user()
    bystander = await user.dashboard()
    for role, most in LARGEST.items():
        for size in (most, most + 1):
            link = (await user.agent()).link if role == "agent" else (await user.dashboard()).link
            head = (
                f'{{"type": "PING", "id": "{world.new_id()}", "timestamp": 1, "payload": {{"timestamp": 1, "further": "'
            )
            world.recorder.note(SIZE, connection=link.name, bytes=size)
            sent = await link.send_text(head + "x" * (size - len(head) - 3) + '"}}')
            if size > most:
                await link.ended(within=ANSWER_SECONDS)
            else:
                await link.until("PONG", since=sent.seq, within=ANSWER_SECONDS)
    await bystander.link.fence()


@provocation(needs="load", budget=20.0)
async def too_many(world: World) -> None:
    """A dashboard and an agent send far more than they may for three seconds; others keep to half of it meanwhile."""
    user = world.user()
    hurried = []
    for share in (0.5, 1.6):
        dashboard, agent = await user.dashboard(), await user.agent()
        links = {"dashboard": dashboard.link, "agent": agent.link}
        hurried += [_hurry(link, share * FASTEST[role], 3.1) for role, link in links.items()]
    await asyncio.gather(*hurried)


@provocation(needs="load patience", budget=90.0)
async def far_too_many(world: World) -> None:
    """A dashboard sends more than it may until it is cut off."""
    dashboard = await world.user().dashboard()
    await _hurry(dashboard.link, 2 * FASTEST["dashboard"], 12.1)
    await dashboard.link.ended(within=2.0)


async def _hurry(link: Link, per_second: float, seconds: float) -> None:
    await link.keep_sending("PING", {"timestamp": 1}, per_second=per_second, seconds=seconds)


RULES = (
    Rule(
        id="limits.size",
        clauses=("WSX-5",),
        judges="A message over the limit of its role ends its connection with 1009, one at the limit is served.",
        when=large_messages,
        check=cut_at_the_limit,
        good=(limit_served_more_cut,),
        bad=(too_large_served, limit_cut, wrong_code),
        cases=(large,),
    ),
    Rule(
        id="limits.pace",
        clauses=("WSX-6",),
        judges="A client that is too fast gets RATE_LIMIT every second, after ten 4004; one within the limit never.",
        when=paces,
        check=limited,
        good=(told_to_slow_down, within_the_limit),
        bad=(never_told, retry_when, ended_too_soon, never_ended),
        cases=(too_many, far_too_many),
    ),
)
