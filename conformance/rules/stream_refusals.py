"""Output, traces and reports that an agent may not send: refused, and nowhere to be seen (TRM-6, CON-6, CMD-4).

Beside them what it may send, which is accepted (TRM-1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from conformance import reading
from conformance.command_scene import ONE, TWO, asks, completes, takes
from conformance.dialogue import ANSWER_SECONDS, Said, is_valid, refusal, said_as
from conformance.history_views import BOTH
from conformance.rest_views import judged
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import FIRST, carries, lists, prints, report, reports, row, shows, traces
from conformance.stream_views import commands, outputs, own_names, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Event, Timeline
    from conformance.world.actors import Agent
    from conformance.world.world import World

ABOUT_COMMANDS = frozenset({"TERMINAL_OUTPUT", "TRACE_EVENT", "INVESTIGATION_REPORT"})


class Wrong(NamedTuple):
    """A message in shape that its agent may not send, and the codes that say why."""

    said: Said
    what: str
    codes: tuple[str, ...]


def _messages(t: Timeline) -> Iterator[Said]:
    for s in said_as(t, *ABOUT_COMMANDS):
        if s.connection.role == "agent" and s.ready and is_valid(s, t) and (s.answers or s.unanswered(t)):
            yield s


def in_another_name(t: Timeline) -> Iterator[Wrong]:
    """Each in the name of another agent."""
    for s in _messages(t):
        if s.sent.payload["agentId"] not in own_names(s.connection):
            yield Wrong(s, f"{s.sent.type} in the name of another agent", ("FORBIDDEN",))


def for_anothers_command(t: Timeline) -> Iterator[Wrong]:
    """Each TERMINAL_OUTPUT for a command of another agent of the same user, or for another agent's session."""
    for s in _messages(t):
        if s.sent.type != "TERMINAL_OUTPUT" or s.sent.payload["agentId"] not in own_names(s.connection):
            continue
        command = reading.same_id(s.sent.payload["commandId"])
        user, agents = commands(t).get(command, ("", frozenset()))
        if user == s.connection.user and agents and not agents & own_names(s.connection):
            yield Wrong(s, "TERMINAL_OUTPUT for another agent's command", ("INVALID_STATE",))
        elif t.owners.get(command, s.connection.user) != s.connection.user or _is_other_agent(command, s.connection, t):
            yield Wrong(s, "TERMINAL_OUTPUT for another agent's session", ("INVALID_STATE", "NOT_FOUND", "FORBIDDEN"))


def _is_other_agent(command: str, connection: Connection, t: Timeline) -> bool:
    return command in t.owners and command not in own_names(connection)


def for_no_command(t: Timeline) -> Iterator[Wrong]:
    """Each for a command that does not exist, or that is another user's, which is the same."""
    unknown = {str(n.data.get("command")) for n in t.notes if n.kind == "unknown-command"}
    for s in _messages(t):
        command = reading.same_id(s.sent.payload["commandId"])
        if s.sent.payload["agentId"] not in own_names(s.connection):
            continue
        if command in unknown:
            yield Wrong(s, f"{s.sent.type} for a command that does not exist", ("NOT_FOUND",))
        elif commands(t).get(command, (s.connection.user, None))[0] != s.connection.user:
            codes = ("NOT_FOUND", "INVALID_STATE", "FORBIDDEN")
            yield Wrong(s, f"{s.sent.type} for another user's command", codes)


def refused_for_good(wrong: Wrong, t: Timeline) -> Iterator[Finding]:
    """ERROR with the right code; no dashboard is told, and REST has nothing of it."""
    s = wrong.said
    yield from refusal(s, t, wrong.what, *wrong.codes)
    for where, pointer, value in _seen(s, t):
        says = f"{wrong.what} was refused, or should have been, and yet is to be seen"
        yield Finding(says, where, pointer, "nothing of it", shown(value), (s.sent, *s.answers))
        return


def _seen(s: Said, t: Timeline) -> Iterator[tuple[Event, str, Any]]:
    """Where what a message says shows up, if the tester wrote it so that it cannot be taken for another."""
    payload = s.sent.payload
    mark = {"TERMINAL_OUTPUT": "content", "TRACE_EVENT": "traceId", "INVESTIGATION_REPORT": "title"}[s.sent.type]
    value = payload[mark]
    twins = [f for c in t.connections for f in c.sent if f.type == s.sent.type and f.payload.get(mark) == value]
    if len(twins) > 1:
        return
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("TERMINAL_STREAM", "TRACE_STREAM", after=s.sent.seq):
            told = frame.payload.get("trace", frame.payload)
            if isinstance(told, dict) and told.get(mark) == value:
                yield frame, f"/payload/{'trace/' if told is not frame.payload else ''}{mark}", value
    for e in judged(t):
        if e.at > s.sent.at and e.operation in {*BOTH, "getCommandTraces", "listReports", "getReport"}:
            name = "id" if mark == "traceId" else mark
            for pointer, found in _objects(e.value):
                if found.get(name) == value:
                    yield e, f"{pointer}/{name}", value


def _objects(value: Any, pointer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield pointer, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield from _objects(part, f"{pointer}/{name}")


def for_own_commands(t: Timeline) -> Iterator[Said]:
    """Each of an agent in its own name for a command that was delivered on its connection and had not ended."""
    repeated = {p.sent.seq for p in outputs(t) if p.nature != "new"}
    for s in _messages(t):
        c, command = s.connection, reading.same_id(s.sent.payload["commandId"])
        if s.sent.payload["agentId"] not in own_names(c) or s.sent.seq in repeated:
            continue
        given = [f for f in c.of_kind("COMMAND_REQUEST") if f.seq < s.sent.seq and _names(f.payload, command)]
        before = (f for f in c.sent if f.seq < s.sent.seq and f.type == "COMMAND_COMPLETE")
        ended = any(_names(f.payload, command) for f in before)
        if given and not ended and not _may_be_cancelled(command, t) and not _is_anothers_report(s, t):
            yield s


def _is_anothers_report(s: Said, t: Timeline) -> bool:
    name = s.sent.payload.get("reportId")
    others = (f for c in t.connections if c is not s.connection for f in c.sent if f.seq < s.sent.seq)
    return name is not None and any(f.payload.get("reportId") == name for f in others)


def _names(payload: dict[str, Any], command: Any) -> bool:
    return bool(reading.same_id(payload.get("commandId")) == command)


def _may_be_cancelled(command: Any, t: Timeline) -> bool:
    stops = {"emergencyStop", "cancelCommand", "deleteAgent"}
    over_sockets = any(f.type in {"COMMAND_CANCEL", "EMERGENCY_STOP"} for d in t.dashboards for f in d.sent)
    told = [f for d in t.dashboards for f in d.of_kind("COMMAND_STATUS") if _names(f.payload, command)]
    ended = any(reading.status(f.payload) in {"CANCELLED", "FAILED"} for f in told)
    return ended or over_sockets or any(e.operation in stops for e in t.exchanges)


def accepted(s: Said, _t: Timeline) -> Iterator[Finding]:
    """ACK."""
    if s.errors or not s.answers:
        where = s.errors[0] if s.errors else s.sent
        got = s.errors[0].payload.get("code", "ERROR") if s.errors else "nothing"
        says = f"{s.sent.type} for a command that the agent was given is not accepted"
        yield Finding(says, where, "", "ACK", got, (s.sent,))


def _cast(s: Scene) -> tuple[Socket, Socket, Socket]:
    dashboard, other, agent = s.dashboard(), s.agent("a2"), s.agent("a1")
    asks(dashboard, ONE)
    takes(agent, ONE)
    asks(dashboard, TWO, agent="a2")
    takes(other, TWO)
    return dashboard, agent, other


def _all_three(agent: Socket, code: str, **changes: Any) -> None:
    prints(agent, "mine?", code=code, **changes)
    traces(agent, code=code, **changes)
    reports(agent, code=code, title="Not mine", **changes)


def own_name_only(s: Scene) -> None:
    dashboard, agent, other = _cast(s)
    _all_three(agent, "FORBIDDEN", agentId="a2", commandId=TWO)
    carries(dashboard, prints(other, "yes", commandId=TWO))
    s.wait(2)
    lists(s, "/agents/a2/terminal-output")


def own_commands_only(s: Scene) -> None:
    dashboard, agent, _ = _cast(s)
    prints(agent, "theirs", commandId=TWO, code="INVALID_STATE")
    prints(agent, "their session", commandId="a2", code="NOT_FOUND")
    carries(dashboard, prints(agent, "my own"))
    s.wait(2)


def known_commands_only(s: Scene) -> None:
    _, agent, _ = _cast(s)
    s.note("unknown-command", command=ONE.replace("1", "5"))
    _all_three(agent, "NOT_FOUND", commandId=ONE.replace("1", "5"))
    _all_three(s.agent("b1", user="bob"), "NOT_FOUND")


def spoof_served(s: Scene) -> None:
    dashboard, agent, _ = _cast(s)
    carries(dashboard, prints(agent, "spoof", agentId="a2", commandId=TWO))


def spoof_refused_but_streamed(s: Scene) -> None:
    dashboard, agent, _ = _cast(s)
    carries(dashboard, traces(agent, agentId="a2", commandId=TWO, code="FORBIDDEN"))


def spoofed_report_kept(s: Scene) -> None:
    _, agent, _ = _cast(s)
    sent = reports(agent, agentId="a2", commandId=TWO, title="Not mine", code="FORBIDDEN")
    shows(s, f"/reports/{FIRST}", report(sent))


def spoof_for_another_reason(s: Scene) -> None:
    _, agent, _ = _cast(s)
    prints(agent, "spoof", agentId="a2", commandId=TWO, code="INVALID_MESSAGE")


def printed_into_another(s: Scene) -> None:
    dashboard, agent, _ = _cast(s)
    carries(dashboard, prints(agent, "theirs", commandId=TWO))


def printed_into_another_over_rest(s: Scene) -> None:
    _, agent, _ = _cast(s)
    sent = prints(agent, "theirs", commandId=TWO, code="INVALID_STATE")
    lists(s, f"/commands/{TWO}/output", row(sent))


def unknown_accepted(s: Scene) -> None:
    s.note("unknown-command", command=ONE)
    prints(s.agent("a1"))


def unknown_for_another_reason(s: Scene) -> None:
    s.note("unknown-command", command=ONE)
    traces(s.agent("a1"), code="INTERNAL_ERROR")


def strangers_print(s: Scene) -> None:
    dashboard, _, _ = _cast(s)
    carries(dashboard, prints(s.agent("b1", user="bob"), "hello from bob"))


def all_accepted(s: Scene) -> None:
    _, agent, _ = _cast(s)
    prints(agent)
    traces(agent)
    reports(agent)
    completes(agent)
    prints(agent, "late", 9, code="INVALID_STATE")


def refused_before_the_ack(s: Scene) -> None:
    _, agent, _ = _cast(s)
    prints(agent, code="INVALID_STATE")


def never_answered(s: Scene) -> None:
    _, agent, _ = _cast(s)
    sent = {"commandId": ONE, "agentId": "a1", "streamType": "STDOUT", "content": "x", "sequence": 0}
    agent.sends("TERMINAL_OUTPUT", sent)
    s.wait(3)


async def _says_all(agent: Agent, command: str, mark: str, **changes: Any) -> None:
    for kind, fields in (
        ("TERMINAL_OUTPUT", {"streamType": "STDOUT", "content": f"{mark} {uuid4()}", "sequence": 900}),
        ("TRACE_EVENT", _trace(mark)),
        ("INVESTIGATION_REPORT", _report(mark)),
    ):
        payload = {"commandId": command, "agentId": agent.id, **fields, **changes}
        await agent.link.answer(await agent.link.send(kind, payload), within=ANSWER_SECONDS)


def _trace(mark: str) -> dict[str, Any]:
    content = {"of": mark}
    return {
        "traceId": str(uuid4()),
        "parentId": None,
        "type": "RESPONSE",
        "name": mark,
        "content": content,
        "startedAt": 1_760_000_000_000,
    }


def _report(mark: str) -> dict[str, Any]:
    content: dict[str, Any] = {"sections": [], "findings": [], "recommendations": []}
    title = f"{mark} {uuid4()}"
    return {"reportId": str(uuid4()), "status": "DRAFT", "title": title, "summary": mark, "content": content}


@provocation(needs="commands terminal traces reports")
async def two_agents_at_work(world: World) -> None:
    """Two agents have a command each; one speaks of its own, then in the other's name, and for the other's command."""
    user = world.user()
    dashboard, agent, other = await user.dashboard(), await user.agent(), await user.agent()
    mine, theirs = await dashboard.request(agent), await dashboard.request(other)
    for each, command in ((agent, mine), (other, theirs)):
        await each.takes(command)
        await each.ack(command)
    await _says_all(agent, mine, "own")
    await _says_all(agent, theirs, "spoof", agentId=other.id)
    for command in (theirs, other.id):
        await agent.prints(f"into {uuid4()}", command=command)
    await world.quiet()
    for path in (f"/commands/{theirs}/output", f"/commands/{theirs}/traces", f"/agents/{other.id}/terminal-output"):
        await user.rest.get(path)
    await user.rest.get("/reports")


@provocation(needs="terminal traces reports")
async def speak_of_nothing(world: World) -> None:
    """An agent prints, traces and reports for a command that does not exist, and then goes on."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    await _says_all(agent, world.unknown_command(), "unknown")
    await dashboard.sees_piece(await agent.prints("and on\n"))
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}/terminal-output")


@provocation(needs="commands terminal traces reports second-user")
async def speak_of_strangers(world: World) -> None:
    """An agent prints, traces and reports for a command of another user."""
    owner, stranger = world.user(), world.user(1)
    dashboard, agent, other = await owner.dashboard(), await owner.agent(), await stranger.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    await _says_all(other, command, "stranger")
    await dashboard.sees_piece(await agent.prints("my own\n", command=command))
    await world.quiet()
    for path in (f"/commands/{command}/output", f"/commands/{command}/traces"):
        await owner.rest.get(path)


RULES = (
    Rule(
        id="streams.own-name-only",
        clauses=("CON-6",),
        judges="Output, traces and reports in the name of another agent are refused with FORBIDDEN and seen nowhere.",
        when=in_another_name,
        check=refused_for_good,
        good=(own_name_only,),
        bad=(spoof_served, spoof_refused_but_streamed, spoofed_report_kept, spoof_for_another_reason),
        cases=(two_agents_at_work,),
    ),
    Rule(
        id="streams.own-commands-only",
        clauses=("TRM-6",),
        judges="Output for another agent's command is refused with INVALID_STATE and seen nowhere.",
        when=for_anothers_command,
        check=refused_for_good,
        good=(own_commands_only,),
        bad=(printed_into_another, printed_into_another_over_rest),
        cases=(two_agents_at_work,),
    ),
    Rule(
        id="streams.known-commands-only",
        clauses=("CMD-4",),
        judges="Output, traces and reports for a command that does not exist are refused with NOT_FOUND.",
        when=for_no_command,
        check=refused_for_good,
        good=(known_commands_only,),
        bad=(unknown_accepted, unknown_for_another_reason, strangers_print),
        cases=(speak_of_nothing, speak_of_strangers),
    ),
    Rule(
        id="streams.accepted",
        clauses=("TRM-1", "TRC-1", "RPT-1"),
        judges="Output, traces and reports for a command that the agent was given and has not ended are accepted.",
        when=for_own_commands,
        check=accepted,
        good=(all_accepted,),
        bad=(refused_before_the_ack, never_answered),
        cases=(two_agents_at_work,),
    ),
)
