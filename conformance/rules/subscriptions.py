"""Subscriptions decide which agents a dashboard hears of (SUB-1, SUB-2, SUB-3, SUB-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.dialogue import Said, is_valid, said_as
from conformance.interest import SUBSCRIBE, UNSUBSCRIBE, Interest, interests
from conformance.rule import Finding, Rule
from conformance.views import Heartbeat, heartbeats, is_flood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.scene import Scene, Socket
    from conformance.timeline import Timeline
    from conformance.world.actors import Agent, Dashboard
    from conformance.world.world import World

EVENTS = ("AGENT_STATUS", "AGENT_CONNECTED", "AGENT_DISCONNECT", "AGENT_ERROR", "QUEUE_UPDATE")
WITHIN = 1.0


class Heard(NamedTuple):
    """A heartbeat during a stretch of a dashboard's interest, and whether it must be heard of."""

    interest: Interest
    beat: Heartbeat
    covered: bool


def during(fits: Callable[[Interest], bool]) -> Callable[[Timeline], Iterator[Heard]]:
    """Heartbeats of the user's agents during the stretches that fit, each watched for long enough to be judged."""

    def when(t: Timeline) -> Iterator[Heard]:
        """Each of them."""
        for dashboard in t.dashboards:
            for interest in interests(t, dashboard):
                if fits(interest):
                    yield from _beats(interest, t)

    return when


def _beats(interest: Interest, t: Timeline) -> Iterator[Heard]:
    dashboard = interest.dashboard
    for beat in heartbeats(t):
        covered = interest.covers(beat.agent_id)
        if covered is None or beat.agent.user != dashboard.user or is_flood(beat):
            continue
        if not interest.since.seq < beat.sent.seq < interest.before:
            continue
        told = dashboard.about(beat.agent_id, "AGENT_STATUS", after=beat.sent.seq)
        waited = min(interest.until, dashboard.until) >= t.bound(beat.sent.at, WITHIN)
        quiet = any(n.kind == "quiet" and beat.sent.seq < n.seq < interest.before for n in t.notes)
        if waited or (told if covered else quiet):
            yield Heard(interest, beat, covered)


def as_subscribed(heard: Heard, _t: Timeline) -> Iterator[Finding]:
    """What is subscribed to comes, what is not does not."""
    interest, beat, covered = heard
    how = "DASHBOARD_INIT" if interest.cause.type == "DASHBOARD_INIT" else f"its {interest.cause.type}"
    evidence = (interest.cause, interest.since, beat.sent)
    if covered and not interest.dashboard.about(beat.agent_id, "AGENT_STATUS", after=beat.sent.seq):
        says = f"a dashboard that {how} subscribed to the agent is not told of its heartbeat: it shows old values"
        yield Finding(says, beat.sent, "", "AGENT_STATUS within 1 s", "nothing", evidence)
    if not covered:
        for frame in interest.dashboard.about(beat.agent_id, *EVENTS, after=interest.since.seq):
            if frame.seq < interest.before:
                says = f"a dashboard hears of an agent that it is not subscribed to since {how}"
                yield Finding(says, frame, "/payload/agentId", "no event about this agent", beat.agent_id, evidence)
                break


def askers(t: Timeline) -> Iterator[Said]:
    """Each valid DASHBOARD_INIT for its own user that leaves agents out or says all, and that had time to be served."""
    for s in said_as(t, "DASHBOARD_INIT"):
        if s.sent is not s.connection.init or not is_valid(s, t):
            continue
        asked = s.sent.payload.get("subscriptions")
        every = not asked or asked.get("agents", {"all": True}) == {"all": True}
        if every and (s.answers or s.connection.snapshots or s.connection.closed or s.unanswered(t)):
            yield s


def served(s: Said, _t: Timeline) -> Iterator[Finding]:
    """It is not refused, and not left without an answer."""
    asked = s.sent.payload.get("subscriptions", "no subscriptions")
    says = f"DASHBOARD_INIT with {asked} is not served: dashboards that want to see everything cannot connect"
    end = s.connection.closed
    if s.errors and s.errors[0].payload.get("code") != "FORBIDDEN":
        got = s.errors[0].payload.get("code", "ERROR")
        yield Finding(says, s.errors[0], "/payload/code", "DASHBOARD_READY", got, (s.sent,))
    elif not s.answers and not s.connection.snapshots and (end is None or end.by == "backend"):
        got = f"close {end.code}" if end else "nothing"
        yield Finding(says, end or s.sent, "", "DASHBOARD_READY", got, (s.sent,))


def asked_for_all(i: Interest) -> bool:
    """SUB-1."""
    return i.cause.type == "DASHBOARD_INIT" and i.everything


def asked_for_some(i: Interest) -> bool:
    """SUB-2."""
    return i.cause.type == "DASHBOARD_INIT" and not i.everything


def changed_later(i: Interest) -> bool:
    """SUB-3."""
    return i.cause.type in {SUBSCRIBE, UNSUBSCRIBE} and not i.without


def took_one_out(i: Interest) -> bool:
    """SUB-5."""
    return i.cause.type == UNSUBSCRIBE and bool(i.without)


def _dashboard(s: Scene, *, subscriptions: object = None) -> Socket:
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {} if subscriptions is None else {"subscriptions": subscriptions})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    socket.snapshot(s.item("a1"), s.item("a2"))
    return socket


def _asks(s: Scene, socket: Socket, kind: str, **what: object) -> None:
    sent = socket.sends(kind, {"type": "agent", **what})
    result = {"agents": "all", "commands": "all", "terminals": True, "traces": True}
    socket.gets("ACK", {"messageId": sent.id, "success": True, "subscriptions": result})
    s.wait(0.1)


def _both_beat(s: Scene, one: Socket, two: Socket, dashboard: Socket, *heard: str) -> None:
    one.heartbeats()
    two.heartbeats()
    for agent_id in heard:
        dashboard.told(agent_id, metrics=s.metrics)
    s.wait(2)


def all_in_every_way(s: Scene) -> None:
    one = s.agent("a1")
    ways: tuple[object, ...] = (None, {}, {"terminals": False}, {"agents": {"all": True}})
    dashboards = [_dashboard(s, subscriptions=asked) for asked in ways]
    one.heartbeats()
    for dashboard in dashboards:
        dashboard.told("a1", metrics=s.metrics)


def all_means_nothing(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    _both_beat(s, one, two, _dashboard(s, subscriptions={"agents": {"all": True}}))


def all_refused(s: Scene) -> None:
    socket = s.socket("dashboard")
    sent = socket.sends("DASHBOARD_INIT", {"subscriptions": {"agents": {"all": True}}})
    no = {"code": "INVALID_MESSAGE", "message": "No list", "recoverable": True, "originalMessageId": sent.id}
    socket.gets("ERROR", no)


def all_ignored(s: Scene) -> None:
    s.socket("dashboard").sends("DASHBOARD_INIT", {})
    s.wait(3)


def only_the_one(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s, subscriptions={"agents": ["a1"]})
    _both_beat(s, one, two, dashboard, "a1")
    dashboard.told("a3")


def the_other_too(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    _both_beat(s, one, two, _dashboard(s, subscriptions={"agents": ["a1"]}), "a1", "a2")


def end_of_the_other(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s, subscriptions={"agents": ["a1"]})
    _both_beat(s, one, two, dashboard, "a1")
    two.closes()
    dashboard.told_gone("a2")


def not_even_the_one(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    _both_beat(s, one, two, _dashboard(s, subscriptions={"agents": ["a1"]}))


def added_and_removed(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s, subscriptions={"agents": ["a1"]})
    _asks(s, dashboard, SUBSCRIBE, id="a2")
    _both_beat(s, one, two, dashboard, "a1", "a2")
    _asks(s, dashboard, UNSUBSCRIBE, id="a1")
    _both_beat(s, one, two, dashboard, "a2")
    _asks(s, dashboard, UNSUBSCRIBE, all=True)
    _both_beat(s, one, two, dashboard)
    _asks(s, dashboard, SUBSCRIBE, all=True)
    _both_beat(s, one, two, dashboard, "a2", "a1")


def added_in_vain(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s, subscriptions={"agents": ["a1"]})
    _asks(s, dashboard, SUBSCRIBE, id="a2")
    _both_beat(s, one, two, dashboard, "a1")


def removed_in_vain(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s)
    _asks(s, dashboard, UNSUBSCRIBE, all=True)
    _both_beat(s, one, two, dashboard, "a1")


def all_but_one(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s)
    _asks(s, dashboard, UNSUBSCRIBE, id="a1")
    _both_beat(s, one, two, dashboard, "a2")
    s.agent("later").heartbeats()
    s.wait(2)


def all_but_none(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s)
    _asks(s, dashboard, UNSUBSCRIBE, id="a1")
    _both_beat(s, one, two, dashboard, "a1", "a2")


def none_at_all(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    dashboard = _dashboard(s)
    _asks(s, dashboard, UNSUBSCRIBE, id="a1")
    _both_beat(s, one, two, dashboard)


async def everything_in_every_way(world: World) -> None:
    """Dashboards ask for everything: by leaving it out, by a key left out, by all: true."""
    user = world.user()
    agent = await user.agent()
    plain = await user.dashboard()
    others = [await user.dashboard(subscriptions=s) for s in ({}, {"terminals": False}, {"agents": {"all": True}})]
    beat = await agent.heartbeat()
    for dashboard in (plain, *others):
        await dashboard.sees_beat(agent, beat)


async def some_agents_only(world: World) -> None:
    """A dashboard asks for one agent of two; both report, fail and leave."""
    user = world.user()
    one, two = await user.agent(), await user.agent()
    await world.quiet()
    dashboard = await user.dashboard(subscriptions={"agents": [one.id]})
    await _beat(world, one, two, dashboard, one)
    fault = {"agentId": two.id, "errorType": "RESOURCE", "message": "Disk nearly full", "recoverable": True}
    await two.link.answer(await two.link.send("AGENT_ERROR", fault))
    await two.leave()
    await two.connect()
    beat = await one.heartbeat(commandsProcessed=9)
    await dashboard.sees_beat(one, beat)
    await world.quiet()


async def changing_interest(world: World) -> None:
    """A dashboard adds an agent, drops one, drops all, and asks for all again; both agents report each time."""
    user = world.user()
    one, two = await user.agent(), await user.agent()
    dashboard = await user.dashboard(subscriptions={"agents": [one.id]})
    for kind, what, heard in (
        (SUBSCRIBE, {"id": two.id}, (one, two)),
        (UNSUBSCRIBE, {"id": one.id}, (two,)),
        (UNSUBSCRIBE, {"all": True}, ()),
        (SUBSCRIBE, {"all": True}, (one, two)),
    ):
        sent = await dashboard.link.send(kind, {"type": "agent", **what})
        await dashboard.link.answer(sent, within=2.0)
        await _beat(world, one, two, dashboard, *heard)


async def all_without_one(world: World) -> None:
    """A dashboard that sees everything drops one agent, and takes it back."""
    user = world.user()
    one, two = await user.agent(), await user.agent()
    dashboard = await user.dashboard()
    await world.quiet()
    for kind, heard in ((UNSUBSCRIBE, (two,)), (SUBSCRIBE, (one, two))):
        sent = await dashboard.link.send(kind, {"type": "agent", "id": one.id})
        await dashboard.link.answer(sent, within=2.0)
        await _beat(world, one, two, dashboard, *heard)


async def _beat(world: World, one: Agent, two: Agent, dashboard: Dashboard, *heard: Agent) -> None:
    beats = {agent: await agent.heartbeat() for agent in (one, two)}
    for agent in heard:
        await dashboard.sees("AGENT_STATUS", agent, since=beats[agent].seq)
    await world.quiet()


RULES = (
    Rule(
        id="subscriptions.everything-is-served",
        clauses=("SUB-1",),
        judges="DASHBOARD_INIT without subscriptions, without some of them, or with all, is served.",
        when=askers,
        check=served,
        good=(all_in_every_way,),
        bad=(all_refused, all_ignored),
        cases=(everything_in_every_way,),
    ),
    Rule(
        id="subscriptions.everything",
        clauses=("SUB-1",),
        judges="A dashboard without subscriptions, or with agents left out or all, hears of every agent of its user.",
        when=during(asked_for_all),
        check=as_subscribed,
        good=(all_in_every_way,),
        bad=(all_means_nothing,),
        cases=(everything_in_every_way,),
    ),
    Rule(
        id="subscriptions.some-agents",
        clauses=("SUB-2",),
        judges="A dashboard that lists agents hears of those and of no other.",
        when=during(asked_for_some),
        check=as_subscribed,
        good=(only_the_one,),
        bad=(the_other_too, end_of_the_other, not_even_the_one),
        cases=(some_agents_only,),
    ),
    Rule(
        id="subscriptions.effective-after-answer",
        clauses=("SUB-3",),
        judges="What DASHBOARD_SUBSCRIBE and DASHBOARD_UNSUBSCRIBE change holds for all that follows the ACK.",
        when=during(changed_later),
        check=as_subscribed,
        good=(added_and_removed,),
        bad=(added_in_vain, removed_in_vain),
        cases=(changing_interest,),
    ),
    Rule(
        id="subscriptions.all-but-one",
        clauses=("SUB-5",),
        judges="Unsubscribing one agent after all takes away this one and leaves the others.",
        when=during(took_one_out),
        check=as_subscribed,
        good=(all_but_one,),
        bad=(all_but_none, none_at_all),
        cases=(all_without_one,),
    ),
)
