"""What may be left out, and every id that is one: an agent is accepted and told apart all the same (CON-1, CON-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.dialogue import ANSWER_SECONDS, Said, ended_over, is_valid, said_as
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

EXCUSED_CODES = frozenset(["RATE_LIMIT", "AUTH_TIMEOUT", "UNAUTHORIZED", "TOKEN_EXPIRED"])
"""Refusals for what else is wrong with a socket than with the agent on it."""
EXCUSED_ENDS = frozenset({1001, 1009, 1012, 1013, 4001, 4002, 4004, 4005, 4008})
LONGEST = 128
TAKEN_OVER = 4008


def greetings(t: Timeline) -> Iterator[Said]:
    """Each valid AGENT_CONNECT that is the first word on its socket, with an id that no other user's agent has."""
    for s in said_as(t, "AGENT_CONNECT"):
        c = s.connection
        if c.sent[0] is not s.sent or c.channel not in {"agent", "shared"}:
            continue
        if not is_valid(s, t) or s.sent.payload["agentId"] in _others_ids(t, c) or _is_excused(s):
            continue
        if s.answers or s.unanswered(t) or ended_over(s, t):
            yield s


def _is_excused(s: Said) -> bool:
    end = s.connection.closed
    if any(e.payload.get("code") in EXCUSED_CODES for e in s.connection.of_kind("ERROR", after=s.sent.seq)):
        return True
    return end is not None and end.by == "backend" and end.code in EXCUSED_ENDS


def _others_ids(t: Timeline, mine: Connection) -> set[object]:
    return {
        f.payload.get("agentId")
        for c in t.connections
        if c.role == "agent" and c.user != mine.user
        for f in (c.init, c.accepted)
        if f
    }


def accepted(s: Said, _t: Timeline) -> Iterator[Finding]:
    """By ACK."""
    if any(a.kind == "ACK" and a.payload.get("success") is not False for a in s.answers):
        return
    end = s.connection.closed
    where: Any = s.answers[0] if s.answers else end or s.sent
    got = "nothing"
    if s.answers:
        got = s.answers[0].payload.get("code", s.answers[0].type)
    elif end is not None:
        got = f"close {end.code}"
    without = "" if "name" in s.sent.payload else " without a name"
    says = f"a valid AGENT_CONNECT{without} is not accepted: an agent that keeps the contract cannot connect"
    yield Finding(says, where, "", "ACK with success true", got, (s.sent,))


class Pair(NamedTuple):
    """Two connected agents of one user whose announced ids differ in nothing but case."""

    first: Connection
    second: Connection


def pairs(t: Timeline) -> Iterator[Pair]:
    """Each accepted agent, with each earlier one whose announced id differs from its own only in case."""
    for i, second in enumerate(t.agents):
        for first in t.agents[:i]:
            one, other = _announced(first), _announced(second)
            known = other == first.agent_id  # the name that the backend gave the first: then they are one
            if first.user == second.user and one != other and one.lower() == other.lower() and not known:
                yield Pair(first, second)


def _announced(c: Connection) -> str:
    return str(c.init.payload.get("agentId")) if c.init else ""


def apart(pair: Pair, t: Timeline) -> Iterator[Finding]:
    """Two names in force, neither of which takes over the other's connection."""
    first, second = pair
    one, other = _announced(first), _announced(second)
    if first.agent_id == second.agent_id:
        says = "two agents whose ids differ in case are taken for one: one of them is not to be seen"
        yield Finding(
            says, second.accepted, "/payload/agentId", f"another than for {one}", second.agent_id, _seen(first.accepted)
        )
        return
    end, came = first.closed, second.init
    if end is None or came is None or (end.by, end.code) != ("backend", TAKEN_OVER) or end.seq < came.seq:
        return
    again = [c for c in t.agents if c is not first and c.agent_id == first.agent_id and c.opened.seq < end.seq]
    if not any(c.opened.seq > first.opened.seq for c in again):
        says = "an agent lost its connection to another agent, whose id differs from its own in case"
        yield Finding(says, end, "", f"an open connection beside that of {other}", end.code, (came,))


def _seen(frame: Frame | None) -> tuple[Frame, ...]:
    return (frame,) if frame else ()


def _connects(s: Scene, agent_id: str = "a1", **changes: Any) -> tuple[Socket, Frame]:
    socket = s.socket("agent")
    able = {"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": False}
    right = {"agentId": agent_id, "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": able}
    return socket, socket.sends("AGENT_CONNECT", right | changes)


def nameless_and_odd(s: Scene) -> None:
    for number, agent_id in enumerate(("a1", "A1", "a:_.-1", "x" * LONGEST)):
        socket, sent = _connects(s, agent_id)
        socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": f"own-{number}"})


def full_or_foreign(s: Scene) -> None:
    nameless_and_odd(s)
    socket, sent = _connects(s, "a9")
    socket.gets("ERROR", {"code": "RATE_LIMIT", "message": "No", "recoverable": True, "originalMessageId": sent.id})
    socket, _ = _connects(s, "a8")
    socket.closes(by="backend", code=4005)
    s.agent("b1", user="bob")
    socket, sent = _connects(s, "b1")
    socket.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": False, "originalMessageId": sent.id})


def nameless_refused(s: Scene) -> None:
    socket, sent = _connects(s)
    no = {"code": "INVALID_MESSAGE", "message": "name is missing", "recoverable": True, "originalMessageId": sent.id}
    socket.gets("ERROR", no)


def long_id_ignored(s: Scene) -> None:
    _connects(s, "x" * LONGEST)
    s.wait(3)


def colon_closed(s: Scene) -> None:
    socket, _ = _connects(s, "a:1")
    socket.closes(by="backend", code=1011)


def cases_folded(s: Scene) -> None:
    for agent_id in ("a1", "A1"):
        socket, sent = _connects(s, agent_id)
        socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a1"})


def taken_over_by_a_twin(s: Scene) -> None:
    first, sent = _connects(s, "a1")
    first.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a1"})
    second, sent = _connects(s, "A1")
    first.closes(by="backend", code=4008)
    second.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "A1"})


def twins_told_apart(s: Scene) -> None:
    first, sent = _connects(s, "a1")
    first.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "x-1"})
    second, sent = _connects(s, "A1")
    second.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "x-2"})
    again, sent = _connects(s, "a1")
    again.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "x-1"})
    first.closes(by="backend", code=4008)


def given_name_used(s: Scene) -> None:
    nameless_and_odd(s)
    for agent_id in ("B1", "b1"):
        socket, sent = _connects(s, agent_id)
        socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "b1"})


async def odd_ids(world: World) -> None:
    """Agents with upper case, marks and 128 characters in their ids, and two whose ids differ only in case."""
    user, base = world.user(), world.new_id()
    for agent_id in (f"{base}.case", f"{base}.CASE", f"{base}:_.-", f"-{base}", base.ljust(LONGEST, "x")):
        agent = user.new_agent(agentId=agent_id)
        await agent.connect()
        await user.rest.until(agent.id, bool)
    await world.quiet()


async def without_options(world: World) -> None:
    """An agent without a name, that reports without averageResponseTime."""
    user = world.user()
    agent = user.new_agent()
    link = await agent.open()
    sent = await link.send("AGENT_CONNECT", {k: v for k, v in agent.greeting().items() if k != "name"})
    answer = await link.answer(sent, within=ANSWER_SECONDS)
    agent_id = str((answer.payload.get("agentId") if answer else None) or agent.announced)
    user.made(agent_id)
    if answer is not None and answer.kind == "ACK":
        health = {"cpuUsage": 3.5, "memoryUsage": 256, "uptime": 5, "commandsProcessed": 41}
        beat = await link.send("AGENT_HEARTBEAT", {"agentId": agent_id, "healthMetrics": health})
        await link.answer(beat, "SERVER_HEARTBEAT", within=ANSWER_SECONDS)
        await user.rest.shows(agent_id, beat=beat)


RULES = (
    Rule(
        id="agent-connection.valid-is-accepted",
        clauses=("CON-1",),
        judges="A valid AGENT_CONNECT on a fresh socket is accepted, with or without a name, whatever its id.",
        when=greetings,
        check=accepted,
        good=(nameless_and_odd, full_or_foreign),
        bad=(nameless_refused, long_id_ignored, colon_closed),
        cases=(odd_ids, without_options),
    ),
    Rule(
        id="agent-connection.ids-told-apart",
        clauses=("CON-2",),
        judges="Agents whose ids differ only in case are two agents.",
        when=pairs,
        check=apart,
        good=(twins_told_apart, given_name_used),
        bad=(cases_folded, taken_over_by_a_twin),
        cases=(odd_ids,),
    ),
)
