"""AGENT_ERROR reaches the user's dashboards; an unrecoverable one shows the agent as ERROR (AER-1, STA-8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import NOTICED
from conformance.dialogue import said_on
from conformance.rule import Finding, Rule
from conformance.timeline import Exchange
from conformance.views import connections_of, is_in_shape, reads, watchers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

TOLD = ("errorType", "message", "recoverable")


class Fault(NamedTuple):
    """A valid AGENT_ERROR, and a dashboard that watched long enough or was told something."""

    agent: Connection
    sent: Frame
    dashboard: Connection
    within: float


def faults(t: Timeline) -> Iterator[Fault]:
    """Each valid AGENT_ERROR of an accepted agent, for each dashboard of its user."""
    within = t.contract.within("agent.error", "to-dashboard.AGENT_ERROR")
    for agent in t.agents:
        for s in said_on(agent):
            sent = s.sent
            own = sent.payload.get("agentId") in (agent.agent_id, agent.init and agent.init.payload.get("agentId"))
            if sent.type != "AGENT_ERROR" or not own or not is_in_shape(t, sent):
                continue
            if not s.ready or s.errors:
                continue
            heard = s.answers or agent.until >= t.bound(sent.at, within)  # else its connection may have ended before
            for dashboard in watchers(t, agent.user, sent):
                fault = Fault(agent, sent, dashboard, within)
                if (heard and dashboard.until >= t.bound(sent.at, within)) or _told(fault, t):
                    yield fault


def _told(fault: Fault, t: Timeline) -> list[Frame]:
    """What the dashboard was told that reads like it, without what the agent said at another time."""
    agent_id, sent = fault.agent.agent_id or "", fault.sent
    message = sent.payload["message"]
    alike = (_words(f) for f in t.remember(_said, agent_id).get(message, ()))
    others = [words for words in alike if words != _words(sent)]
    told = t.remember(_heard, fault.dashboard.id, agent_id).get(message, ())
    return [f for f in told if f.seq > sent.seq and _words(f) not in others]


def _said(t: Timeline, agent_id: str) -> dict[str, list[Frame]]:
    """Every AGENT_ERROR of an agent, by its message."""
    return _by_message(f for a in connections_of(t, agent_id) for f in a.sent if f.type == "AGENT_ERROR")


def _heard(t: Timeline, dashboard: str, agent_id: str) -> dict[str, list[Frame]]:
    """Every AGENT_ERROR about an agent that a dashboard was told, by its message."""
    there = t.connection(dashboard)
    return _by_message(there.about(agent_id, "AGENT_ERROR") if there else ())


def _by_message(errors: Iterable[Frame]) -> dict[str, list[Frame]]:
    found: dict[str, list[Frame]] = {}
    for frame in errors:
        if isinstance(message := frame.payload.get("message"), str):
            found.setdefault(message, []).append(frame)
    return found


def _words(frame: Frame) -> list[object]:
    return [frame.payload.get(name) for name in TOLD]


def forwarded(fault: Fault, t: Timeline) -> Iterator[Finding]:
    """It arrives once, in time, in shape, saying the same."""
    told = _told(fault, t)
    expected = f"one AGENT_ERROR within {fault.within:g} s"
    if not told:
        yield Finding("an agent's AGENT_ERROR never reached the dashboard", fault.sent, "", expected, "none")
        return
    said = fault.sent.payload
    first = max(told, key=lambda f: sum(f.payload.get(n) == said[n] for n in TOLD))  # of equal ones the earliest
    if first.at > t.bound(fault.sent.at, fault.within):
        yield Finding(
            "AGENT_ERROR came late", first, "", expected, f"{first.at - fault.sent.at:.2f} s later", (fault.sent,)
        )
    for v in t.contract.violations("messages/to-dashboard/AGENT_ERROR.json", first.payload):
        if v.keyword not in {"enum", "const"}:
            yield Finding(
                "AGENT_ERROR to dashboards is out of shape",
                first,
                "/payload" + v.pointer,
                v.expected,
                v.got,
                (fault.sent,),
            )
    for name in TOLD:
        if name in first.payload and first.payload[name] != fault.sent.payload[name]:
            says = f"{name} in AGENT_ERROR is not what the agent said"
            yield Finding(
                says, first, f"/payload/{name}", str(fault.sent.payload[name]), first.payload[name], (fault.sent,)
            )


def fatal(t: Timeline) -> Iterator[Fault]:
    """Each AGENT_ERROR that the agent calls unrecoverable."""
    return (f for f in faults(t) if f.sent.payload.get("recoverable") is False)


def shown_as_error(fault: Fault, t: Timeline) -> Iterator[Finding]:
    """Dashboards are told ERROR; REST says ERROR, until the agent is lost or comes back."""
    agent, sent = fault.agent, fault.sent
    expected = f"ERROR within {fault.within:g} s"
    told = fault.dashboard.about(agent.agent_id or "", "AGENT_STATUS", after=sent.seq)
    in_time = [f for f in told if f.at <= t.bound(sent.at, fault.within)]
    watched = fault.dashboard.until >= t.bound(sent.at, fault.within)
    if watched and not any(reading.status(f.payload) == "ERROR" for f in in_time):
        got = reading.status(in_time[-1].payload) if in_time else "no AGENT_STATUS"
        yield Finding("an agent that cannot recover is not shown as ERROR on dashboards", sent, "", expected, got)
    early = NOTICED if agent.closed is not None and agent.closed.by == "backend" else 0.0
    later = [a.opened.at for a in connections_of(t, agent.agent_id) if a.opened.at > sent.at]
    lost = min([agent.until - early, *later])  # a backend knows of an end that it makes before the agent reads it
    answers = [
        i for i in reads(t, agent) if sent.seq < i.where.seq and isinstance(i.where, Exchange) and i.where.ended < lost
    ]
    late = [i for i in answers if i.where.at > t.bound(sent.at, fault.within)]
    if late and not any(reading.status(i.value) == "ERROR" for i in answers):
        last = late[-1]
        says = "an agent that cannot recover is not shown as ERROR over REST"
        yield Finding(says, last.where, f"{last.pointer}/status", expected, reading.status(last.value), (sent,))


def _error(_s: Scene, *, recoverable: bool) -> dict[str, object]:
    return {"agentId": "a1", "errorType": "RESOURCE", "message": "disk full", "recoverable": recoverable}


def told(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    sent = agent.sends("AGENT_ERROR", _error(s, recoverable=False))
    agent.gets("ACK", {"messageId": sent.id, "success": True})
    dashboard.gets("AGENT_ERROR", _error(s, recoverable=False) | {"timestamp": s.now, "further": 1})
    dashboard.told("a1", status="ERROR")
    s.shows(s.row("a1", status="ERROR"))
    s.wait(2)
    agent.closes()


def two_that_read_alike(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    errors = [{**_error(s, recoverable=True), "errorType": kind} for kind in ("CONNECTION", "RESOURCE")]
    for error in errors:
        agent.sends("AGENT_ERROR", error)
    for error in errors:
        dashboard.gets("AGENT_ERROR", error | {"timestamp": s.now})
    s.wait(2)


def dashboard_leaves_between_two(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    errors = [{**_error(s, recoverable=False), "message": message} for message in ("disk full", "disk gone")]
    for error in errors:
        agent.sends("AGENT_ERROR", error)
    dashboard.gets("AGENT_ERROR", errors[0] | {"timestamp": s.now})
    dashboard.closes()
    s.wait(2)


def dashboard_leaves_before_the_status(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.sends("AGENT_ERROR", _error(s, recoverable=False))
    dashboard.gets("AGENT_ERROR", _error(s, recoverable=False) | {"timestamp": s.now})
    dashboard.closes()
    told(s)


def said_before_it_said_who_it_is(s: Scene) -> None:
    told(s)
    agent = s.socket("agent")
    sent = agent.sends("AGENT_ERROR", _error(s, recoverable=False))
    no = {"code": "NOT_INITIALIZED", "message": "No", "recoverable": True, "originalMessageId": sent.id}
    agent.gets("ERROR", no)
    able = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": False}
    who = {"agentId": "a1", "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": able}
    agent.gets("ACK", {"messageId": agent.sends("AGENT_CONNECT", who).id, "success": True, "agentId": "a1"})
    s.wait(2)


def replaced_before_it_was_heard(s: Scene) -> None:
    told(s)
    first = s.agent("a1")
    s.agent("a1")
    first.sends("AGENT_ERROR", _error(s, recoverable=False) | {"message": "too late"})
    first.closes(by="backend", code=4008)
    s.wait(2)


def back_before_anybody_looked(s: Scene) -> None:
    dashboard, first = s.dashboard(), s.agent("a1")
    first.sends("AGENT_ERROR", _error(s, recoverable=False))
    dashboard.gets("AGENT_ERROR", _error(s, recoverable=False) | {"timestamp": s.now})
    dashboard.told("a1", status="ERROR")
    s.wait(1.5)
    s.agent("a1")
    s.shows(s.row("a1"))
    first.closes(by="backend", code=4008)


def given_up_before_anybody_looked(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.sends("AGENT_ERROR", _error(s, recoverable=False))
    dashboard.gets("AGENT_ERROR", _error(s, recoverable=False) | {"timestamp": s.now})
    dashboard.told("a1", status="ERROR")
    s.wait(100)
    s.shows(s.row("a1", status="OFFLINE"))
    agent.closes(by="backend", code=1011)


def swallowed(s: Scene) -> None:
    s.dashboard()
    s.agent("a1").sends("AGENT_ERROR", _error(s, recoverable=True))
    s.wait(2)


def without_timestamp(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.sends("AGENT_ERROR", _error(s, recoverable=True))
    dashboard.gets("AGENT_ERROR", _error(s, recoverable=True))


def says_recoverable(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.sends("AGENT_ERROR", _error(s, recoverable=False))
    dashboard.gets("AGENT_ERROR", _error(s, recoverable=True) | {"timestamp": s.now})


def stays_online(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.sends("AGENT_ERROR", _error(s, recoverable=False))
    dashboard.gets("AGENT_ERROR", _error(s, recoverable=False) | {"timestamp": s.now})
    dashboard.told("a1")
    s.wait(2)
    s.shows(s.row("a1"))
    s.wait(1)


async def errors_of_both_kinds(world: World) -> None:
    """An agent reports an error it can recover from, then one it cannot; then it comes back."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for number, recoverable in enumerate((True, False)):
        error = {
            "agentId": agent.id,
            "errorType": "EXECUTION",
            "message": f"error {number}",
            "recoverable": recoverable,
            "details": {"number": number},
        }
        sent = await agent.link.send("AGENT_ERROR", error)
        await agent.link.answer(sent)
        await dashboard.sees("AGENT_ERROR", agent, since=sent.seq)
        await dashboard.sees("AGENT_STATUS", agent, since=sent.seq)
    await dashboard.sees("AGENT_STATUS", agent, status="ERROR")
    await user.rest.shows(agent.id, status="ERROR")
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    again = await agent.connect()
    await dashboard.sees("AGENT_STATUS", agent, since=again.seq, status="ONLINE")
    await world.quiet()


RULES = (
    Rule(
        id="agent-error.forwarded",
        clauses=("AER-1",),
        judges="Every AGENT_ERROR reaches the dashboards of its user within a second, saying the same.",
        when=faults,
        check=forwarded,
        good=(
            told,
            two_that_read_alike,
            dashboard_leaves_between_two,
            said_before_it_said_who_it_is,
            replaced_before_it_was_heard,
        ),
        bad=(swallowed, without_timestamp, says_recoverable),
        cases=(errors_of_both_kinds,),
    ),
    Rule(
        id="agent-error.shown-as-error",
        clauses=("AER-1", "STA-8"),
        judges="An agent that cannot recover is shown as ERROR until it is lost or connects again.",
        when=fatal,
        check=shown_as_error,
        good=(
            told,
            dashboard_leaves_before_the_status,
            said_before_it_said_who_it_is,
            replaced_before_it_was_heard,
            back_before_anybody_looked,
            given_up_before_anybody_looked,
        ),
        bad=(stays_online,),
        cases=(errors_of_both_kinds,),
    ),
)
