"""Emergency stop: every agent of the user stops, every command is cancelled, all are told true counts (STP-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.command_orders import accepted
from conformance.command_scene import ONE, accepts, asks, refuses, resource, takes, told
from conformance.command_views import stops
from conformance.dialogue import Said
from conformance.resources import follows_schema
from conformance.rest_views import judged, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.rules.commands_status import announced, told_in_time
from conformance.timeline import Exchange
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0
TOTALS = ("ONLINE", "ERROR", "PENDING", "QUEUED", "EXECUTING")


class Stop(NamedTuple):
    """An emergency stop that a user asked for."""

    by: Said | Exchange
    user: str
    reason: object
    settled: float

    @property
    def where(self) -> Frame | Exchange:
        """What was sent."""
        return self.by.sent if isinstance(self.by, Said) else self.by


def all_stops(t: Timeline) -> Iterator[Stop]:
    """Each of them, answered or waited for."""
    for s in t.remember(stops):
        if s.answers or s.unanswered(t):
            settled = s.answers[0].at if s.answers else s.sent.at
            yield Stop(s, s.connection.user, s.sent.payload.get("reason"), settled)
    for e in judged(t):
        if e.operation == "emergencyStop" and follows_schema(t, e):
            yield Stop(e, e.user, _body(e).get("reason"), e.ended)


def _body(e: Exchange) -> dict[str, Any]:
    return e.request if isinstance(e.request, dict) else {}


def stopped(stop: Stop, t: Timeline) -> Iterator[Finding]:
    """Accepted, and every connected agent of the user, and nobody else's, is told to stop."""
    by = stop.by
    if isinstance(by, Said) and not accepted(by):
        got = by.answers[0].payload.get("code", by.answers[0].type) if by.answers else "nothing"
        yield Finding("EMERGENCY_STOP is not accepted: everything runs on", stop.where, "", "ACK", got)
        return
    if isinstance(by, Exchange) and by.status != OK:
        says = "an emergency stop over REST is not accepted: everything runs on"
        yield Finding(says, by, "", "200", outcome(by))
        return
    for agent in t.agents:
        told_to = [
            f for f in agent.of_kind("AGENT_CONTROL") if f.at >= stop.where.at and f.payload.get("action") == "STOP"
        ]
        if agent.user == stop.user and _connected(t, agent, stop):
            yield from _told_to_stop(stop, t, agent, told_to)
        elif agent.user != stop.user and told_to and not _has_own(t, agent):
            says = "an emergency stop stopped another user's agent"
            yield Finding(says, told_to[0], "", "other users notice nothing", "AGENT_CONTROL STOP", (stop.where,))


def _connected(t: Timeline, agent: Connection, stop: Stop) -> bool:
    accepted_at = agent.accepted.at if agent.accepted else float("inf")
    return accepted_at < stop.where.at and agent.until > t.bound(stop.settled, WITHIN)


def _has_own(t: Timeline, agent: Connection) -> bool:
    """Whether somebody told that agent to stop in another way."""
    controls = any(f.type in {"AGENT_CONTROL", "EMERGENCY_STOP"} for d in t.dashboards_of(agent.user) for f in d.sent)
    return controls or any(e.user == agent.user and e.operation in {"stopAgent", "emergencyStop"} for e in t.exchanges)


def _told_to_stop(stop: Stop, t: Timeline, agent: Connection, told_to: list[Frame]) -> Iterator[Finding]:
    expected = f"AGENT_CONTROL STOP to {agent.agent_id} within {WITHIN:g} s"
    if not told_to:
        yield Finding(
            "an emergency stop did not reach a connected agent: it runs on",
            stop.where,
            "",
            expected,
            "nothing",
            (agent.opened,),
        )
    elif told_to[0].at > t.bound(stop.settled, WITHIN):
        late = f"{told_to[0].at - stop.settled:.2f} s later"
        yield Finding("an emergency stop reached an agent late", told_to[0], "", expected, late, (stop.where,))


class Word(NamedTuple):
    """An accepted emergency stop, and a dashboard of any user that watched."""

    stop: Stop
    dashboard: Connection
    frames: list[Frame]


def words(t: Timeline) -> Iterator[Word]:
    """Each, for every dashboard that watched for long enough."""
    for stop in all_stops(t):
        done = accepted(stop.by) if isinstance(stop.by, Said) else stop.by.status == OK
        for dashboard in t.dashboards if done else ():
            ready = next(iter(dashboard.snapshots), dashboard.accepted)
            frames = [f for f in dashboard.of_kind("EMERGENCY_STOP") if f.at >= stop.where.at]
            own = [f for f in frames if f.payload.get("reason") == stop.reason or dashboard.user != stop.user]
            if ready and ready.at < stop.where.at and (own or dashboard.until > t.bound(stop.settled, WITHIN)):
                yield Word(stop, dashboard, frames)


def dashboards_told(word: Word, t: Timeline) -> Iterator[Finding]:
    """Once, within a second, with who and why; other users are told nothing."""
    stop, dashboard, frames = word
    others = [s for s in all_stops(t) if s.user == dashboard.user]
    if dashboard.user != stop.user:
        if frames and not others:
            says = "another user's dashboard is told of an emergency stop"
            yield Finding(says, frames[0], "", "nothing", "EMERGENCY_STOP", (stop.where,))
        return
    expected = f"one EMERGENCY_STOP within {WITHIN:g} s"
    mine = [f for f in frames if f.payload.get("reason") == stop.reason]
    if not mine:
        says = "a dashboard is not told of an emergency stop, or not why"
        got = frames[0].payload.get("reason") if frames else "nothing"
        yield Finding(says, stop.where, "", f"{expected} with reason {stop.reason!r}", got, (dashboard.opened,))
        return
    if mine[0].at > t.bound(stop.settled, WITHIN):
        late = f"{mine[0].at - stop.settled:.2f} s later"
        yield Finding("EMERGENCY_STOP came late", mine[0], "", expected, late, (stop.where,))
    who = next(
        (d.init.payload["userId"] for d in t.dashboards_of(stop.user) if d.init and "userId" in d.init.payload), ""
    )
    if who and mine[0].payload.get("triggeredBy") != who:
        got = mine[0].payload.get("triggeredBy", "nothing")
        yield Finding("EMERGENCY_STOP does not say who stopped all", mine[0], "/payload/triggeredBy", who, got)
    asked = [s.reason for s in others if isinstance(s.by, Exchange)]
    asked += [s.sent.payload.get("reason") for s in t.remember(stops) if s.connection.user == stop.user]
    if len(mine) > asked.count(stop.reason):  # also by those of whom nobody knows what they were answered
        yield Finding(
            "a dashboard is told twice of one emergency stop", mine[1], "", expected, len(mine), (stop.where,)
        )


def stops_all(dashboard: Socket, reason: str | None = None) -> Frame:
    """EMERGENCY_STOP from a dashboard."""
    return dashboard.sends("EMERGENCY_STOP", {} if reason is None else {"reason": reason})


def tells_of_it(s: Scene, dashboard: Socket, reason: str | None = None, agents: int = 1, commands: int = 1) -> Frame:
    """EMERGENCY_STOP to a dashboard."""
    counted = {"agentsStopped": agents, "commandsCancelled": commands, "timestamp": s.now}
    return dashboard.gets("EMERGENCY_STOP", {"triggeredBy": "alice", "reason": reason, **counted})


def before_it(s: Scene, *executing: dict[str, Any]) -> tuple[Socket, Socket, Socket]:
    """Alice with an agent, a command and a dashboard, bob with a dashboard; and what her lists say."""
    agent, dashboard, bobs = s.agent("a1"), s.dashboard(), s.dashboard(user="bob")
    asks(dashboard)
    takes(agent)
    rows: dict[str, list[dict[str, Any]]] = {
        "ONLINE": [s.row("a1")],
        "QUEUED": [resource(ONE)],
        "EXECUTING": list(executing),
    }
    for status in TOTALS:
        path, found = "/agents" if status in TOTALS[:2] else "/commands", rows.get(status, [])
        page = {"total": len(found), "limit": 100, "offset": 0}
        query = {"status": status, "limit": "100"}
        s.rest("GET", path, 200, {"success": True, "data": found, "pagination": page}, query=query)
    return agent, dashboard, bobs


def all_stopped(s: Scene) -> None:
    agent, dashboard, _ = before_it(s)
    accepts(dashboard, stops_all(dashboard, "Fire"))
    agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": "Fire"})
    told(dashboard, "CANCELLED")
    tells_of_it(s, dashboard, "Fire")
    s.wait(2)


def all_stopped_over_rest(s: Scene) -> None:
    agent, dashboard, _ = before_it(s)
    done = {"agentsStopped": 1, "commandsCancelled": 1, "timestamp": s.born}
    s.rest("POST", "/system/emergency-stop", 200, {"success": True, "data": done})
    agent.gets("AGENT_CONTROL", {"action": "STOP"})
    told(dashboard, "CANCELLED")
    tells_of_it(s, dashboard)
    s.wait(2)


def stopped_by_one_who_does_not_read(s: Scene) -> None:
    stalled, dashboard = s.dashboard(), s.dashboard()
    s.note("stalled", connection=stalled.name)
    for _ in range(2):
        stops_all(stalled, "Smoke")
    accepts(dashboard, stops_all(dashboard, "Smoke"))
    for _ in range(3):
        tells_of_it(s, dashboard, "Smoke", 0, 0)
    s.wait(2)


def one_leaves_before_the_second_stop_is_told(s: Scene) -> None:
    leaving, dashboard = s.dashboard(), s.dashboard()
    accepts(dashboard, stops_all(dashboard, "Fire"))
    accepts(dashboard, stops_all(dashboard, "Smoke"))
    tells_of_it(s, leaving, "Fire", 0, 0)
    leaving.closes()
    for reason in ("Fire", "Smoke"):
        tells_of_it(s, dashboard, reason, 0, 0)
    s.wait(2)


def button_refused(s: Scene) -> None:
    _, dashboard, _ = before_it(s)
    refuses(dashboard, stops_all(dashboard), "UNKNOWN_MESSAGE_TYPE")


def agent_goes_on(s: Scene) -> None:
    _, dashboard, _ = before_it(s)
    accepts(dashboard, stops_all(dashboard))
    told(dashboard, "CANCELLED")
    tells_of_it(s, dashboard)
    s.wait(2)


def everyone_stopped(s: Scene) -> None:
    other = s.agent("b1", user="bob")
    agent, dashboard, bobs = before_it(s)
    accepts(dashboard, stops_all(dashboard))
    for one in (agent, other):
        one.gets("AGENT_CONTROL", {"action": "STOP"})
    for one in (dashboard, bobs):
        tells_of_it(s, one)
    s.wait(2)


def nobody_told(s: Scene) -> None:
    agent, dashboard, _ = before_it(s)
    accepts(dashboard, stops_all(dashboard))
    agent.gets("AGENT_CONTROL", {"action": "STOP"})
    s.wait(2)


def somebody_did_it(s: Scene) -> None:
    _, dashboard, _ = before_it(s)
    s.socket("dashboard").sends("DASHBOARD_INIT", {"userId": "u-1"})
    accepts(dashboard, stops_all(dashboard))
    tells_of_it(s, dashboard)


def told_twice(s: Scene) -> None:
    _, dashboard, _ = before_it(s)
    accepts(dashboard, stops_all(dashboard))
    tells_of_it(s, dashboard)
    tells_of_it(s, dashboard)
    s.wait(2)


def commands_go_on(s: Scene) -> None:
    agent, dashboard, _ = before_it(s)
    accepts(dashboard, stops_all(dashboard))
    agent.gets("AGENT_CONTROL", {"action": "STOP"})
    tells_of_it(s, dashboard)
    s.wait(3)


def cancelled_before_the_ack(s: Scene) -> None:
    agent, dashboard, _ = before_it(s)
    sent = stops_all(dashboard)
    told(dashboard, "CANCELLED", ONE)
    agent.gets("AGENT_CONTROL", {"action": "STOP"})
    tells_of_it(s, dashboard)
    accepts(dashboard, sent)
    s.wait(2)


@provocation(needs="destructive second-user commands", alone=True)
async def the_red_button(world: World) -> None:
    """Two agents with commands in each state; a dashboard stops all, then REST; a second user has an agent too."""
    user, other = world.user(), world.user(1)
    dashboard, second, bobs = await user.dashboard(), await user.dashboard(), await other.dashboard()
    foreign = await other.agent()
    theirs = await bobs.request(foreign)
    await foreign.takes(theirs)
    for way in ("socket", "rest"):
        agents = [await user.agent(), await user.agent()]
        running, waiting, done = [await dashboard.request(agents[0]) for _ in range(3)]
        for command in (running, done):
            await agents[0].takes(command)
            await agents[0].ack(command)
        await agents[0].complete(done)
        await dashboard.sees_command(done, "COMPLETED")
        await world.quiet()
        for status in TOTALS:
            path = "/agents" if status in TOTALS[:2] else "/commands"
            await user.rest.get(path, query={"status": status, "limit": "100"})
        before = user.last
        if way == "socket":
            await dashboard.emergency_stop(reason="Smoke in the server room")
        else:
            await user.rest.post("/system/emergency-stop", {"reason": "Fire in the server room"})
        for agent in agents:
            await agent.is_told("AGENT_CONTROL", since=before, action="STOP")
        for watching in (dashboard, second):
            await watching.link.until("EMERGENCY_STOP", since=before)
            for command in (running, waiting):
                await watching.sees_command(command, "CANCELLED", since=before)
        await world.quiet()
        for command in (running, waiting, done):
            await user.rest.get(f"/commands/{command}")
    await other.rest.get(f"/commands/{theirs}")
    await foreign.ack(theirs)
    await foreign.complete(theirs)
    await dashboard.link.until(since=user.last, within=WITHIN + 0.4, expected=False, where=lambda _: False)


RULES = (
    Rule(
        id="emergency-stop.stops-agents",
        clauses=("STP-1",),
        judges="An emergency stop is accepted and tells every connected agent of the user, and nobody else's, to stop.",
        when=all_stops,
        check=stopped,
        good=(all_stopped, all_stopped_over_rest),
        bad=(button_refused, agent_goes_on, everyone_stopped),
        cases=(the_red_button,),
    ),
    Rule(
        id="emergency-stop.told",
        clauses=("STP-1",),
        judges="The user's dashboards, and nobody else's, get one EMERGENCY_STOP within a second.",
        when=words,
        check=dashboards_told,
        good=(
            all_stopped,
            all_stopped_over_rest,
            stopped_by_one_who_does_not_read,
            one_leaves_before_the_second_stop_is_told,
        ),
        bad=(nobody_told, told_twice, somebody_did_it, everyone_stopped),
        cases=(the_red_button,),
    ),
    Rule(
        id="emergency-stop.cancels-commands",
        clauses=("STP-1",),
        judges="After an emergency stop every unfinished command of the user is told as CANCELLED within a second.",
        when=announced("stop"),
        check=told_in_time,
        good=(all_stopped, all_stopped_over_rest, cancelled_before_the_ack),
        bad=(commands_go_on,),
        cases=(the_red_button,),
    ),
)
