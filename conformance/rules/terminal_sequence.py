"""What a command had before is not told again (TRM-4); a session starts anew with each connection (TRM-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.command_scene import accepts
from conformance.history_views import histories, is_new, row_key, settled
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import carries, cast, lists, prints, row
from conformance.stream_views import (
    Key,
    Piece,
    Switch,
    carriage,
    outputs,
    shown,
    switches,
    tellings,
    unlike,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.history_views import History
    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World


class Repeat(NamedTuple):
    """A sequence that came again, the piece that had it first, and where it could have been seen."""

    piece: Piece
    first: Piece
    watching: list[Connection]
    histories: list[History]


def repeats(t: Timeline) -> Iterator[Repeat]:
    """Each repeated sequence of a piece that had been accepted."""
    new: dict[Key, list[Piece]] = {}
    for p in outputs(t):
        if p.nature == "new":
            new.setdefault(p.key, []).append(p)
    for p in outputs(t):
        if p.nature == "repeat" and (p.said.answers or p.said.unanswered(t)):
            same = [o for o in new.get(p.key, ()) if o.sent.seq < p.sent.seq]
            if not same:
                continue  # what had it first came out of order, and nobody says what becomes of that
            watching = [s.dashboard for s in switches(t) if s.kind == p.kind and s.on and s.holds_for(p.sent)]
            mine = [d for d in watching if d.user == p.said.connection.user]
            yield Repeat(p, same[-1], mine, [h for h in histories(t) if h.concerns(p) and settled(p, h.where, t)])


def ignored(r: Repeat, t: Timeline) -> Iterator[Finding]:
    """ACK, and neither dashboards nor REST have it a second time, or as it came the second time."""
    p = r.piece
    if p.ack is None:
        where = p.said.answers[0] if p.said.answers else p.sent
        got = where.payload.get("code", where.type) if p.said.answers else "nothing"
        says = "a repeated sequence is not answered by ACK: an agent that sends again after a loss is stuck"
        yield Finding(says, where, "", "ACK", got, (r.first.sent, p.sent))
    for dashboard in r.watching:
        carried = carriage(t, dashboard)
        again = carried.get(p.sent.seq, [])
        before = [f for f in carried.get(r.first.sent.seq, ()) if f.seq < p.sent.seq]
        if before and again:
            says = "a repeated sequence is streamed again: the page shows the line twice"
            yield Finding(says, again[0], "", "nothing after the first", shown(again[0].payload), (before[0], p.sent))
    if p.payload["content"] == r.first.payload["content"]:
        return
    for h in r.histories:
        for index, found in enumerate(h.rows):
            if row_key(found) == p.key and found.get("content") == p.payload["content"]:
                says = "a repeated sequence replaced what had been streamed"
                expected, got = shown(r.first.payload["content"]), shown(p.payload["content"])
                pointer = f"/data/{index}/content"
                yield Finding(says, h.where, pointer, expected, got, (r.first.sent, p.sent))


class Session(NamedTuple):
    """Output outside any command, with the dashboards that had to be told and the answers of REST that show it."""

    piece: Piece
    switches: list[Switch]
    histories: list[History]
    again: bool
    """Whether an earlier connection of the agent had used its sequence."""


def sessions(t: Timeline) -> Iterator[Session]:
    """Each new piece of session output that was answered, or waited for long enough."""
    used: dict[str, set[object]] = {}
    for p in outputs(t):
        if not p.is_session or p.nature != "new":
            continue
        again = p.payload["sequence"] in used.setdefault(p.agent_id, set())
        used[p.agent_id].add(p.payload["sequence"])
        if p.said.answers or p.said.unanswered(t):
            told = [o.switch for o in tellings(t) if o.piece is p]
            shows = [h for h in histories(t, "getTerminalOutput") if h.concerns(p) and h.is_whole]
            yield Session(p, told, [h for h in shows if settled(p, h.where, t)], again)


def outside_commands(s: Session, t: Timeline) -> Iterator[Finding]:
    """Accepted, streamed under the agent's id, shown by REST without a command, whatever connection it came on."""
    p = s.piece
    if p.is_refused:
        says = "output of the session, under the agent's own id, is refused"
        yield Finding(says, p.said.answers[0], "", "ACK", p.said.answers[0].payload.get("code", "no"), (p.sent,))
        return
    for switch in s.switches:
        if carriage(t, switch.dashboard).get(p.sent.seq):
            continue
        if other := _under_another_id(p, switch.dashboard):
            says = "output of the session is streamed under another id than the agent's own"
            got = shown(other.payload.get("commandId"))
            yield Finding(says, other, "/payload/commandId", p.agent_id, got, (p.sent,))
        elif s.again and switch.watched(p.sent, t):
            says = "after the agent connected again its first output is taken for a repetition and is not to be seen"
            yield Finding(says, p.sent, "/payload/sequence", "TERMINAL_STREAM", "nothing", tuple(p.said.answers))
    for h in s.histories:
        same = [(i, r) for i, r in enumerate(h.rows) if r.get("content") == p.payload["content"]]
        for index, found in same:
            if found.get("commandId", p.agent_id) == p.agent_id and found.get("sequence") == p.payload["sequence"]:
                says = "REST shows output of the session as output of a command"
                pointer = f"/data/{index}/commandId"
                yield Finding(says, h.where, pointer, "null", found.get("commandId", "nothing"), (p.sent,))
        if s.again and is_new(p.agent_id, t) and not same and "streamType" not in h.where.query:
            says = "after the agent connected again REST does not show its first output: it was taken for a repetition"
            yield Finding(says, h.where, "/data", shown(p.payload["content"]), "no row", (p.sent,))


def _under_another_id(p: Piece, dashboard: Connection) -> Frame | None:
    names = {p.agent_id, p.payload["commandId"]}
    for frame in dashboard.of_kind(p.kind, after=p.sent.seq):
        if frame.payload.get("commandId") not in names and set(unlike(p, frame)) == {"commandId"}:
            return frame
    return None


PATH = "/agents/a1/terminal-output"


def swallowed(s: Scene) -> None:
    dashboard, agent = cast(s)
    first = prints(agent, "one", 0)
    carries(dashboard, first)
    prints(agent, "one", 0)
    prints(agent, "other", 0)
    s.wait(2)
    lists(s, PATH, row(first))


def swallowed_before_the_first_is_told(s: Scene) -> None:
    dashboard, agent = cast(s)
    first = prints(agent, "one", 0)
    prints(agent, "one", 0)
    carries(dashboard, first)
    s.wait(2)


def repeated_out_of_order(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "six", 5))
    for content, number in (("four", 3), ("four", 3), ("six", 5)):
        prints(agent, content, number)
    s.wait(2)


def repeat_refused(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "one", 0))
    prints(agent, "one", 0, code="INVALID_STATE")


def repeat_unanswered(s: Scene) -> None:
    _, agent = cast(s)
    sent = prints(agent, "one", 0)
    agent.sends("TERMINAL_OUTPUT", sent.payload)
    s.wait(3)


def repeat_streamed(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "one", 0))
    carries(dashboard, prints(agent, "one", 0))


def other_content_streamed(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "one", 0))
    carries(dashboard, prints(agent, "other", 0))


def replaced(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "one", 0))
    other = prints(agent, "other", 0)
    s.wait(2)
    lists(s, PATH, row(other))


def _boots(s: Scene, dashboard: Socket, *, told: bool = True, number: int = 0, **changes: object) -> Frame:
    sent = prints(s.agent("a1"), f"boot {number}", 0, commandId="a1")
    if told:
        carries(dashboard, sent, **changes)
    return sent


def starts_anew(s: Scene) -> None:
    dashboard = s.dashboard()
    s.note("new-agent", agent="a1")
    rows = [row(_boots(s, dashboard, number=number)) for number in range(2)]
    s.wait(2)
    lists(s, PATH, *rows)


def said_before_anybody_was_there(s: Scene) -> None:
    s.note("new-agent", agent="a1")
    prints(s.agent("a1"), "boot", 0, commandId="a1")
    dashboard = s.dashboard()
    carries(dashboard, prints(s.agent("a1"), "boot", 0, commandId="a1"))
    s.wait(2)


def kept_under_the_agents_name(s: Scene) -> None:
    dashboard = s.dashboard()
    agent = s.socket("agent")
    agent.agent_id = "x-1"
    able = {"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": False}
    hello = {"agentId": "a1", "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": able}
    accepts(agent, agent.sends("AGENT_CONNECT", hello), agentId="x-1")
    carries(dashboard, prints(agent, "boot", 0, commandId="x-1"))
    s.wait(2)


def session_refused(s: Scene) -> None:
    prints(s.agent("a1"), "boot", 0, commandId="a1", code="NOT_FOUND")


def session_without_id(s: Scene) -> None:
    _boots(s, s.dashboard(), commandId=None)


def session_as_command(s: Scene) -> None:
    sent = _boots(s, s.dashboard())
    s.wait(2)
    lists(s, PATH, row(sent, commandId="a1"))


def never_anew(s: Scene) -> None:
    dashboard = s.dashboard()
    _boots(s, dashboard)
    _boots(s, dashboard, told=False)
    s.wait(2)


def anew_but_not_kept(s: Scene) -> None:
    dashboard = s.dashboard()
    s.note("new-agent", agent="a1")
    first = _boots(s, dashboard)
    _boots(s, dashboard, number=1)
    s.wait(2)
    lists(s, PATH, row(first))


async def print_twice(world: World) -> None:
    """A session prints, says the same again, says something else under the same sequence, and goes on."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    first = await agent.prints("once\n", sequence=5)
    await dashboard.sees_piece(first)
    for content in ("once\n", "something else\n"):
        await agent.prints(content, sequence=5)
    await dashboard.sees_piece(await agent.prints("and on\n", sequence=6))
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}/terminal-output")


@provocation(needs="commands")
async def print_again_after_a_loss(world: World) -> None:
    """An agent prints for a command, loses its connection before anything else, comes back and sends the same again."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    first = await agent.prints("once\n", command=command)
    await dashboard.sees_piece(first)
    await agent.leave()
    sent = await agent.connect()
    await agent.takes(command, since=sent.seq)
    await agent.prints("once\n", command=command, sequence=first.payload["sequence"])
    await dashboard.sees_piece(await agent.prints("twice\n", command=command))
    await agent.complete(command)
    await world.quiet()
    await user.rest.get(f"/commands/{command}/output")


async def boot_twice(world: World) -> None:
    """An agent prints outside any command, connects again, and prints with the same sequences."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for boot in range(2):
        for number in range(2):
            await dashboard.sees_piece(await agent.prints(f"boot {boot} line {number}\n", sequence=number))
        await world.quiet()
        await user.rest.get(f"/agents/{agent.id}/terminal-output")
        if not boot:
            await agent.leave()
            await agent.connect()


RULES = (
    Rule(
        id="terminal-sequence.repeats-ignored",
        clauses=("TRM-4",),
        judges="A sequence that the command had before is answered by ACK and neither streamed nor kept again.",
        when=repeats,
        check=ignored,
        good=(swallowed, swallowed_before_the_first_is_told, repeated_out_of_order),
        bad=(repeat_refused, repeat_unanswered, repeat_streamed, other_content_streamed, replaced),
        cases=(print_twice, print_again_after_a_loss),
    ),
    Rule(
        id="terminal-sequence.session",
        clauses=("TRM-6",),
        judges="Session output keeps the agent's id, has no command in REST, and starts anew on each connection.",
        when=sessions,
        check=outside_commands,
        good=(starts_anew, said_before_anybody_was_there, kept_under_the_agents_name),
        bad=(session_refused, session_without_id, session_as_command, never_anew, anew_but_not_kept),
        cases=(boot_twice,),
    ),
)
