"""What one client does wrong never harms another, nor the server (WSX-8, WSX-9)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from conformance.dialogue import ENDINGS_OF_OTHER_CAUSE, current, keeps_shape, named
from conformance.rule import Finding, Rule
from conformance.timeline import VALID
from conformance.views import RESTART, is_restarted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Event, Timeline
    from conformance.world.world import World

HOSTILE = "hostile"
"""The kind of note that says: `connection` now sends `what`, which is meant to hurt."""
HALF_OPEN = "half-open"
"""The kind of note that says: the peer of `connection` answers nothing any more."""
SERVER_ERROR = 500


class Bystander(NamedTuple):
    """A connection without any fault of its own while another one misbehaved."""

    connection: Connection
    culprit: Connection
    fault: Event
    what: str


def beside_faults(t: Timeline) -> Iterator[Bystander]:
    """Each faultless connection that was open while another sent something it should not have sent."""
    faulty = ((c, f) for c in filter(current, t.connections) for f in c.sent if not keeps_shape(t, c, f))
    clean = [c for c in _served(t) if all(keeps_shape(t, c, f) for f in c.sent)]
    for culprit, fault in islice(faulty, 20):
        for c in clean:
            if c is not culprit and _watched(c, fault):
                yield Bystander(c, culprit, fault, "a faulty message of another client")


def beside_attacks(t: Timeline) -> Iterator[Bystander]:
    """Each connection that was open while another sent something meant to hurt."""
    for note in t.notes:
        culprit = t.connection(str(note.data.get("connection"))) if note.kind == HOSTILE else None
        if culprit is not None:
            what = str(note.data.get("what"))
            yield from (Bystander(c, culprit, note, what) for c in _served(t) if c is not culprit and _watched(c, note))


def _served(t: Timeline) -> list[Connection]:
    return [c for c in t.connections if current(c) and c.credential == VALID and c.accepted]


def _watched(c: Connection, since: Event) -> bool:
    return c.accepted is not None and c.accepted.seq < since.seq and c.until > since.at


def unharmed(b: Bystander, t: Timeline) -> Iterator[Finding]:
    """It is not closed, hears nothing of the other's error, and new clients still get in."""
    end = b.connection.closed
    silent = any(n.kind == HALF_OPEN and n.data.get("connection") == b.connection.id for n in t.notes)
    if (
        end is not None
        and end.by == "backend"
        and not silent
        and end.code not in ENDINGS_OF_OTHER_CAUSE
        and end.at <= t.bound(b.fault.at, 5.0)
        and not is_restarted(t, b.fault.at, end.at)
    ):
        says = f"{b.what} ended the connection of a client that had done nothing wrong"
        yield Finding(says, end, "", "an open connection", end.code, (b.fault,))
    theirs = {f.id for f in b.culprit.sent if f.id}
    own = {f.id for f in b.connection.sent}
    for error in b.connection.of_kind("ERROR", after=b.fault.seq):
        if named(error) in theirs - own:
            says = "an ERROR about one client's message was sent to another client"
            yield Finding(says, error, "/payload/originalMessageId", "no ERROR here", named(error), (b.fault,))
    for c in t.connections:
        refused = c.opened.failure or (c.opened.status if c.opened.status >= SERVER_ERROR else "")
        if c.opened.seq > b.fault.seq and c.credential == VALID and refused and not _is_down(t, c.opened.at):
            yield Finding(
                f"after {b.what} new clients cannot connect", c.opened, "", "an open socket", refused, (b.fault,)
            )


def _is_down(t: Timeline, at: float) -> bool:
    """Whether the tester had ended the backend and it was not yet there again."""
    notes = [n for n in t.notes if n.kind in RESTART and n.at <= at]
    return bool(notes) and notes[-1].kind == RESTART[0]


def others_go_on(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    culprit = s.dashboard()
    s.note(HOSTILE, connection=culprit.name, what="deeply nested JSON")
    sent = culprit.sends_text("[[[[")
    culprit.gets(
        "ERROR", {"code": "INVALID_MESSAGE", "message": "No", "recoverable": True, "originalMessageId": sent.id}
    )
    culprit.closes(by="backend", code=1011)
    agent.heartbeats()
    dashboard.told("a1")
    s.dashboard()
    s.wait(3)


def others_end_by_a_restart(s: Scene) -> None:
    dashboard, culprit = s.dashboard(), s.agent("a1")
    s.note(HOSTILE, connection=culprit.name, what="deeply nested JSON")
    culprit.sends("MAKE_COFFEE")
    s.note("restarting", how="killed")
    dashboard.closes(by="backend", code=None)
    culprit.closes(by="backend", code=None)
    s.note("restarted")


def new_ones_refused_by_a_restart(s: Scene) -> None:
    others_go_on(s)
    s.note("restarting", how="killed")
    s.socket("dashboard", status=0, failure="refused")
    s.note("restarted")
    s.wait(1)


def silent_ones_are_cut_off(s: Scene) -> None:
    others_go_on(s)
    dashboard = s.dashboard()
    s.note("half-open", connection=dashboard.name)
    s.wait(40)
    culprit = s.dashboard()
    s.note(HOSTILE, connection=culprit.name, what="deeply nested JSON")
    culprit.sends_text("[[[[")
    dashboard.closes(by="backend", code=1011)


def others_closed(s: Scene) -> None:
    dashboard, culprit = s.dashboard(), s.agent("a1")
    s.note(HOSTILE, connection=culprit.name, what="deeply nested JSON")
    culprit.sends_text("[[[[")
    dashboard.closes(by="backend", code=1011)


def others_told(s: Scene) -> None:
    dashboard, culprit = s.dashboard(), s.agent("a1")
    sent = culprit.sends("MAKE_COFFEE", id="culprit-7")
    no = {"code": "UNKNOWN_MESSAGE_TYPE", "message": "No", "recoverable": True, "originalMessageId": sent.id}
    dashboard.gets("ERROR", no)


def server_gone(s: Scene) -> None:
    s.dashboard()
    culprit = s.agent("a1")
    s.note(HOSTILE, connection=culprit.name, what="a huge number")
    culprit.sends_text("1e999999")
    s.socket("dashboard", status=0, failure="refused")


async def bad_neighbours(world: World) -> None:
    """A dashboard and an agent of the same user send rubbish while others go on with their work."""
    user = world.user()
    watcher, worker = await user.dashboard(), await user.agent()
    for culprit in ((await user.dashboard()).link, (await user.agent()).link):
        await culprit.send_text("rubbish")
        await culprit.send("MAKE_COFFEE")
        await culprit.send("PING", {"timestamp": "soon"})
        await culprit.send_binary(b"\x00\xff")
        beat = await worker.heartbeat()
        await watcher.sees_beat(worker, beat)
    await watcher.link.fence()
    await worker.link.fence()


async def attacks(world: World) -> None:
    """Clients send JSON that is known to break parsers and stores; others go on, new ones connect."""
    user = world.user()
    watcher, worker = await user.dashboard(), await user.agent()
    for what, text in _attacks(worker.id).items():
        for role in ("dashboard", "agent"):
            culprit = (await user.dashboard()).link if role == "dashboard" else (await user.agent()).link
            world.recorder.note(HOSTILE, connection=culprit.name, what=what)
            await culprit.outcome(await culprit.send_text(text), "PONG", "SERVER_HEARTBEAT")
            await culprit.close()
        beat = await worker.heartbeat()
        await watcher.sees_beat(worker, beat)
    await (await user.dashboard()).link.fence()
    await watcher.link.fence()


def _attacks(agent_id: str) -> dict[str, str]:
    inner = f'"agentId": "{agent_id}", "healthMetrics": {{"uptime": %s}}'
    beat = '{"type": "AGENT_HEARTBEAT", "id": "h", "payload": {' + inner + "}}"
    return {
        "deeply nested JSON": '{"type": "PING", "payload": ' + "[" * 50_000 + "]" * 50_000 + "}",
        "a huge number": beat % ("9" * 5000),
        "an exponent beyond every float": beat % "1e999999",
        "NUL characters": '{"type": "PI\\u0000NG", "id": "\\u0000", "payload": {"timestamp": 1}}',
        "lone surrogates": '{"type": "PING", "id": "\\ud800", "payload": {"timestamp": 1, "further": "\\udfff"}}',
        "duplicate keys": '{"type": "PING", "type": "AGENT_STATUS", "id": "d", "id": "e", "payload": {"timestamp": 1}}',
    }


RULES = (
    Rule(
        id="bystanders.of-faults",
        clauses=("WSX-8",),
        judges="A client's faulty messages neither end, nor reach, any other connection.",
        when=beside_faults,
        check=unharmed,
        good=(others_go_on, others_end_by_a_restart, new_ones_refused_by_a_restart, silent_ones_are_cut_off),
        bad=(others_closed, others_told),
        cases=(bad_neighbours,),
    ),
    Rule(
        id="bystanders.of-attacks",
        clauses=("WSX-9",),
        judges="Nesting, huge numbers, NUL, lone surrogates and duplicate keys end no other connection.",
        when=beside_attacks,
        check=unharmed,
        good=(others_go_on, others_end_by_a_restart, new_ones_refused_by_a_restart, silent_ones_are_cut_off),
        bad=(others_closed, server_gone),
        cases=(attacks,),
    ),
)
