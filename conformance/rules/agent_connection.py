"""An agent's connection: its answer, its repetition, and for whom it may speak (CON-1, CON-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance import reading
from conformance.command_orders import orders
from conformance.command_scene import ONE, acks, asks, completes, takes
from conformance.dialogue import ANSWER_SECONDS, Said, is_valid, refusal, said, said_as
from conformance.rule import Finding, Rule, provocation
from conformance.rules.socket_errors import traces_of
from conformance.views import connections_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

NOT_FOUND = 404


def _names(c: Connection) -> set[str]:
    """The ids under which the agent of a connection goes there: the ACK's and the announced one."""
    return {str(f.payload.get("agentId")) for f in (c.init, c.accepted) if f and f.payload.get("agentId")}


def connects(t: Timeline) -> Iterator[Said]:
    """Each valid AGENT_CONNECT: the first that is accepted on its connection, and each one after it."""
    for s in said_as(t, "AGENT_CONNECT"):
        first = s.connection.accepted
        if first and is_valid(s, t) and (s.answers or s.unanswered(t)) and (s.ready or first in s.answers):
            yield s


def acknowledged(s: Said, t: Timeline) -> Iterator[Finding]:
    """ACK with the id in force, known to REST; again for the same agent; FORBIDDEN for another."""
    if s.ready and s.sent.payload["agentId"] not in _names(s.connection):
        yield from refusal(s, t, "AGENT_CONNECT for another agent on a connection that has one", "FORBIDDEN")
        return
    again = " again" if s.ready else ""
    if not s.answers or s.errors:
        where, got = (s.errors[0], s.errors[0].payload.get("code", "ERROR")) if s.errors else (s.sent, "nothing")
        yield Finding(f"the same AGENT_CONNECT{again} is not accepted", where, "", "ACK", got, (s.sent,))
        return
    answer = s.answers[0]
    for v in t.contract.violations("messages/any/ACK.json", answer.payload):
        yield Finding(
            "the ACK to AGENT_CONNECT is out of shape", answer, "/payload" + v.pointer, v.expected, v.got, (s.sent,)
        )
    given = answer.payload.get("agentId")
    if not isinstance(given, str):
        says = "the ACK to AGENT_CONNECT does not say the agent's id: the agent cannot know under which name it goes"
        yield Finding(says, answer, "/payload/agentId", "the id used from now on", given or "nothing", (s.sent,))
        return
    first = s.connection.accepted
    if s.ready and given != s.connection.agent_id and first is not None:
        says = "the same AGENT_CONNECT again gave the agent another id"
        yield Finding(says, answer, "/payload/agentId", "the id of the first ACK", given, (first, s.sent))
    yield from _known_to_rest(s, given, t)


def _known_to_rest(s: Said, given: str, t: Timeline) -> Iterator[Finding]:
    removed = [e.at for e in t.exchanges if e.method == "DELETE" and given in e.path.split("/")]
    for e in t.calls("getAgent", status=NOT_FOUND):
        late = e.at > t.bound(s.answers[0].at, 1.0)
        if (
            e.user == s.connection.user
            and e.path == f"/agents/{given}"
            and late
            and not any(at < e.ended for at in removed)
        ):
            says = "REST does not know the agent by the id in the ACK"
            yield Finding(says, e, "", "200 with the agent", NOT_FOUND, (s.sent, s.answers[0]))
            return


def spoofs(t: Timeline) -> Iterator[Said]:
    """Each valid message of an agent in the name of another agent."""
    for s in said(t):
        if s.connection.role == "agent" and s.ready and s.sent.type != "AGENT_CONNECT":
            name = s.sent.payload.get("agentId")
            is_foreign = isinstance(name, str) and name not in _names(s.connection)
            if is_foreign and is_valid(s, t) and (s.answers or s.unanswered(t)):
                yield s


def own_name_only(s: Said, t: Timeline) -> Iterator[Finding]:
    """FORBIDDEN, or what its command makes as right; and nothing of it is seen anywhere."""
    what = f"{s.sent.type} in the name of another agent"
    yield from refusal(s, t, what, "FORBIDDEN", *_also_right(s, t))
    yield from traces_of(s, t, what)
    if s.sent.type == "AGENT_ERROR" and not _is_its_own(s, t):
        for dashboard in t.dashboards:
            for frame in dashboard.about(str(s.sent.payload["agentId"]), "AGENT_ERROR", after=s.sent.seq):
                if frame.payload.get("message") == s.sent.payload["message"]:
                    says = "an error that one agent reported in another's name was shown to dashboards"
                    yield Finding(
                        says, frame, "/payload", "no AGENT_ERROR about the other agent", frame.payload, (s.sent,)
                    )
                    return


def _is_its_own(s: Said, t: Timeline) -> bool:
    """Whether the other agent itself has reported an error that reads the same: then nobody knows whose is shown."""
    others = (f for a in connections_of(t, str(s.sent.payload["agentId"])) for f in a.sent if f.type == "AGENT_ERROR")
    return any(f.payload.get("message") == s.sent.payload["message"] for f in others)


def _also_right(s: Said, t: Timeline) -> tuple[str, ...]:
    """The refusal that a message deserves for the command that it names, which a backend may look up first."""
    if "commandId" not in s.sent.payload:
        return ()
    order = orders(t).get(reading.command_id(s.sent.payload) or "")
    if order is None or order.user != s.connection.user:
        return ("NOT_FOUND",)  # CMD-4
    early = () if order.settled < s.sent.at else ("NOT_FOUND",)
    return early if s.connection.agent_id in order.targets else (*early, "INVALID_STATE")  # CMD-3


def _no(code: str, about: object) -> dict[str, object]:
    return {"code": code, "message": "No", "recoverable": True, "originalMessageId": about}


def _greeting(agent_id: str = "a1") -> dict[str, object]:
    able = {"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": False}
    return {"agentId": agent_id, "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": able}


def once_twice_and_another(s: Scene) -> None:
    socket = s.socket("agent")
    for _ in range(2):
        sent = socket.sends("AGENT_CONNECT", _greeting())
        socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "x-1", "connectionId": "c"})
    other = socket.sends("AGENT_CONNECT", _greeting("a2"))
    socket.gets("ERROR", _no("FORBIDDEN", other.id))
    s.shows(s.row("x-1"))


def ack_without_agent_id(s: Scene) -> None:
    socket = s.socket("agent")
    socket.gets("ACK", {"messageId": socket.sends("AGENT_CONNECT", _greeting()).id, "success": True})


def unknown_to_rest(s: Scene) -> None:
    socket = s.socket("agent")
    socket.gets("ACK", {"messageId": socket.sends("AGENT_CONNECT", _greeting()).id, "success": True, "agentId": "x-1"})
    s.wait(2)
    s.fails("GET", "/agents/x-1", 404)


def looked_for_while_it_is_deleted(s: Scene) -> None:
    socket = s.socket("agent")
    socket.gets("ACK", {"messageId": socket.sends("AGENT_CONNECT", _greeting()).id, "success": True, "agentId": "x-1"})
    s.wait(2)
    socket.closes()
    asked = s.seconds
    s.fails("GET", "/agents/x-1", 404, at=asked + 0.005)
    s.rest("DELETE", "/agents/x-1", 204, at=asked, ended=asked + 0.05)


def same_again_refused(s: Scene) -> None:
    agent = s.agent("a1")
    agent.gets("ERROR", _no("INVALID_STATE", agent.sends("AGENT_CONNECT", _greeting()).id))


def another_accepted(s: Scene) -> None:
    agent = s.agent("a1")
    sent = agent.sends("AGENT_CONNECT", _greeting("a2"))
    agent.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a2"})


def spoof_refused(s: Scene) -> None:
    s.agent("a2")
    agent, dashboard = s.agent("a1"), s.dashboard()
    sent = agent.sends("AGENT_HEARTBEAT", {"agentId": "a2", "healthMetrics": s.health | {"commandsProcessed": 99}})
    agent.gets("ERROR", _no("FORBIDDEN", sent.id))
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics)


def spoof_served(s: Scene) -> None:
    agent = s.agent("a1")
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a2", "healthMetrics": s.health})
    agent.gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 1})


def spoof_refused_but_kept(s: Scene) -> None:
    s.agent("a2")
    agent = s.agent("a1")
    sent = agent.sends("AGENT_HEARTBEAT", {"agentId": "a2", "healthMetrics": s.health | {"commandsProcessed": 99}})
    agent.gets("ERROR", _no("FORBIDDEN", sent.id))
    s.shows(s.row("a2", last_heartbeat=s.born, last_metrics=s.metrics | {"commandsExecuted": 99}))


def foreign_error_shown(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    fault = {"agentId": "a2", "errorType": "UNKNOWN", "message": "Not mine", "recoverable": False}
    agent.gets("ERROR", _no("FORBIDDEN", agent.sends("AGENT_ERROR", fault).id))
    dashboard.gets("AGENT_ERROR", fault | {"timestamp": s.now})


def both_have_the_same_error(s: Scene) -> None:
    dashboard, agent, other = s.dashboard(), s.agent("a1"), s.agent("a2")
    fault = {"agentId": "a2", "errorType": "UNKNOWN", "message": "Disk full", "recoverable": True}
    other.sends("AGENT_ERROR", fault)
    agent.gets("ERROR", _no("FORBIDDEN", agent.sends("AGENT_ERROR", fault).id))
    dashboard.gets("AGENT_ERROR", fault | {"timestamp": s.now})


def in_another_name(s: Scene, code: str = "FORBIDDEN") -> None:
    agent, other = s.agent("a1"), s.agent("a2")
    asks(s.dashboard())
    takes(agent)
    acks(other, code=code, agentId="a1")
    completes(other, code=code, agentId="a1")


def in_another_name_to_another_user(s: Scene) -> None:
    agent, thief = s.agent("a1"), s.agent("b1", "bob")
    asks(s.dashboard())
    takes(agent)
    acks(thief, code="NOT_FOUND", agentId="a1")


def in_another_name_by_its_command(s: Scene) -> None:
    in_another_name(s, "INVALID_STATE")


def in_another_name_before_it_was_asked_for(s: Scene) -> None:
    s.agent("a1")
    other, dashboard = s.agent("a2"), s.dashboard()
    sent = dashboard.sends("COMMAND_REQUEST", {"commandId": ONE, "agentId": "a1", "content": "x", "type": "PLAN"})
    acks(other, code="NOT_FOUND", agentId="a1")
    dashboard.gets("ACK", {"messageId": sent.id, "success": True, "commandId": ONE})


def in_another_name_not_found(s: Scene) -> None:
    in_another_name(s, "NOT_FOUND")


async def connect_again(world: World) -> None:
    """An agent announces itself twice on one connection, then as somebody else; then it reports."""
    user = world.user()
    agent = await user.agent()
    for changes in ({}, {"agentId": world.new_id()}):
        sent = await agent.link.send("AGENT_CONNECT", agent.greeting(**changes))
        await agent.link.answer(sent, within=ANSWER_SECONDS)
    await agent.heartbeat()
    await user.rest.until(agent.id, bool)


async def speak_for_another(world: World) -> None:
    """An agent reports and fails in the name of another agent of its user, and of one that does not exist."""
    user = world.user()
    dashboard, agent, other = await user.dashboard(), await user.agent(), await user.agent()
    await other.heartbeat()
    health = {"cpuUsage": 1.5, "memoryUsage": 1, "uptime": 1, "commandsProcessed": 730_100}
    for count, name in enumerate((other.id, world.new_id())):
        report = {"agentId": name, "healthMetrics": health | {"commandsProcessed": 730_100 + count}}
        sent = await agent.link.send("AGENT_HEARTBEAT", report)
        await agent.link.answer(sent, "SERVER_HEARTBEAT", within=ANSWER_SECONDS)
    fault = {"agentId": other.id, "errorType": "RESOURCE", "message": "Not mine", "recoverable": False}
    await agent.link.answer(await agent.link.send("AGENT_ERROR", fault), within=ANSWER_SECONDS)
    beat = await agent.heartbeat()
    await dashboard.sees_beat(agent, beat)
    await world.quiet()
    await user.rest.get(f"/agents/{other.id}")


@provocation(needs="commands")
async def in_the_name_of_another(world: World) -> None:
    """An agent speaks of a command in the name of the agent that has it, which then does so itself."""
    user = world.user()
    dashboard, agent, other = await user.dashboard(), await user.agent(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    for speaker in (other, agent):
        await speaker.ack(command, agentId=agent.id)
        await speaker.complete(command, agentId=agent.id)
    await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()


RULES = (
    Rule(
        id="agent-connection.acknowledged",
        clauses=("CON-1",),
        judges="AGENT_CONNECT is answered by ACK with the agent's id, also again; for another agent by FORBIDDEN.",
        when=connects,
        check=acknowledged,
        good=(once_twice_and_another, looked_for_while_it_is_deleted),
        bad=(ack_without_agent_id, unknown_to_rest, same_again_refused, another_accepted),
        cases=(connect_again,),
    ),
    Rule(
        id="agent-connection.own-name-only",
        clauses=("CON-6",),
        judges="What an agent says in the name of another is refused with FORBIDDEN and changes nothing.",
        when=spoofs,
        check=own_name_only,
        good=(
            spoof_refused,
            both_have_the_same_error,
            in_another_name,
            in_another_name_before_it_was_asked_for,
            in_another_name_by_its_command,
            in_another_name_to_another_user,
        ),
        bad=(spoof_served, spoof_refused_but_kept, foreign_error_shown, in_another_name_not_found),
        cases=(speak_for_another, in_the_name_of_another),
    ),
)
