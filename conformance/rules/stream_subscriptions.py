"""Subscriptions switch terminal output and traces on and off, whatever they say of agents (SUB-1, SUB-2, SUB-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.command_scene import ONE, asks, takes
from conformance.interest import SUBSCRIBE, UNSUBSCRIBE
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import carries, prints, traces
from conformance.stream_views import SWITCHES, Piece, Switch, carriage, pieces, shown, switches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.scene import Scene, Socket
    from conformance.timeline import Timeline
    from conformance.world.actors import Agent, Dashboard
    from conformance.world.world import World

WORDS = {"TERMINAL_STREAM": "terminal output", "TRACE_STREAM": "traces"}


class Heard(NamedTuple):
    """A piece that an agent sent while a dashboard's wish stood."""

    switch: Switch
    piece: Piece


def during(fits: Callable[[Switch], bool]) -> Callable[[Timeline], Iterator[Heard]]:
    """New pieces of the user's agents while a wish that fits stood, each watched for long enough to be judged."""

    def when(t: Timeline) -> Iterator[Heard]:
        """Each of them."""
        for switch in filter(fits, switches(t)):
            carried = carriage(t, switch.dashboard)
            for p in pieces(t):
                mine = p.kind == switch.kind and p.said.connection.user == switch.dashboard.user
                if not mine or p.nature != "new" or p.is_refused or not switch.holds_for(p.sent):
                    continue
                if p.sent.seq in carried or switch.watched(p.sent, t):
                    yield Heard(switch, p)

    return when


def as_wished(heard: Heard, t: Timeline) -> Iterator[Finding]:
    """On: it comes. Off: it does not."""
    switch, p = heard
    frames = carriage(t, switch.dashboard).get(p.sent.seq, [])
    what = WORDS[switch.kind]
    how = "DASHBOARD_INIT" if switch.cause.type == "DASHBOARD_INIT" else f"its {switch.cause.type}"
    if switch.on and not frames:
        says = f"a dashboard that {how} subscribed to {what} is not told of it"
        yield Finding(says, p.sent, "", switch.kind, "nothing", (switch.cause, switch.since))
    during_ = [f for f in frames if switch.since.seq < f.seq < switch.before]
    if not switch.on and during_:
        says = f"a dashboard is told of {what} that it is not subscribed to since {how}"
        got = shown(during_[0].payload)
        yield Finding(says, during_[0], "/type", f"no {switch.kind}", got, (switch.cause, switch.since, p.sent))


def left_out(switch: Switch) -> bool:
    """SUB-1."""
    asked = switch.cause.payload.get("subscriptions") or {}
    return switch.cause.type == "DASHBOARD_INIT" and SWITCHES[switch.kind][1] not in asked


def said_so(switch: Switch) -> bool:
    """SUB-2."""
    return switch.cause.type == "DASHBOARD_INIT" and not left_out(switch)


def changed_later(switch: Switch) -> bool:
    """SUB-3."""
    return switch.cause.type in {SUBSCRIBE, UNSUBSCRIBE}


def _watch(s: Scene, subscriptions: object = ...) -> Socket:
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {} if subscriptions is ... else {"subscriptions": subscriptions})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    socket.snapshot(s.item("a1"))
    return socket


def _changes(s: Scene, socket: Socket, kind: str, what: str, **more: object) -> None:
    sent = socket.sends(kind, {"type": what, **more})
    result = {"agents": "all", "commands": "all", "terminals": kind == SUBSCRIBE, "traces": True}
    socket.gets("ACK", {"messageId": sent.id, "success": True, "subscriptions": result})
    s.wait(0.1)


def _works(s: Scene, dashboard: Socket, agent: Socket, number: int, *heard: str) -> None:
    trace = f"{number}" * 8 + "-0000-4000-8000-000000000000"
    for sent in (prints(agent, f"line {number}", number), traces(agent, trace)):
        if sent.type in heard:
            carries(dashboard, sent)
    s.wait(2)


def _once(s: Scene, dashboard: Socket, agent: Socket, number: int, *heard: str) -> None:
    _works(s, dashboard, agent, number, *heard)
    dashboard.closes()


def _agent(s: Scene) -> Socket:
    agent = s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard, ONE)
    takes(agent, ONE)
    dashboard.closes()
    return agent


BOTH = ("TERMINAL_OUTPUT", "TRACE_EVENT")


def all_in_every_way(s: Scene) -> None:
    agent = _agent(s)
    for number, asked in enumerate((..., {}, {"agents": ["a9"]}, {"commands": {"all": True}})):
        _once(s, _watch(s, asked), agent, number, *BOTH)


def agents_narrow_terminals(s: Scene) -> None:
    _works(s, _watch(s, {"agents": ["a9"]}), _agent(s), 1)


def as_switched(s: Scene) -> None:
    agent = _agent(s)
    _once(s, _watch(s, {"terminals": False, "traces": True}), agent, 1, BOTH[1])
    _once(s, _watch(s, {"terminals": True, "traces": False}), agent, 2, BOTH[0])


def switched_off_in_vain(s: Scene) -> None:
    _works(s, _watch(s, {"terminals": False}), _agent(s), 1, *BOTH)


def traces_off_in_vain(s: Scene) -> None:
    _works(s, _watch(s, {"traces": False}), _agent(s), 1, *BOTH)


def switched_on_in_vain(s: Scene) -> None:
    _works(s, _watch(s, {"terminals": True, "traces": True}), _agent(s), 1, BOTH[0])


def on_and_off(s: Scene) -> None:
    agent, socket = _agent(s), _watch(s)
    _changes(s, socket, UNSUBSCRIBE, "terminal", all=True)
    _works(s, socket, agent, 1, BOTH[1])
    _changes(s, socket, UNSUBSCRIBE, "trace", id="whatever")
    _works(s, socket, agent, 2)
    _changes(s, socket, SUBSCRIBE, "terminal")
    _works(s, socket, agent, 3, BOTH[0])


def off_in_vain(s: Scene) -> None:
    agent, socket = _agent(s), _watch(s)
    _changes(s, socket, UNSUBSCRIBE, "terminal", all=True)
    _works(s, socket, agent, 1, *BOTH)


def on_in_vain(s: Scene) -> None:
    agent, socket = _agent(s), _watch(s, {"traces": False})
    _changes(s, socket, SUBSCRIBE, "trace", all=True)
    _works(s, socket, agent, 1, BOTH[0])


@provocation(needs="commands terminal traces")
async def switched_at_the_start(world: World) -> None:
    """Dashboards want terminals, traces, both, neither, or other agents; an agent prints and traces for all of them."""
    user = world.user()
    plain, agent = await user.dashboard(), await user.agent()
    command = await plain.request(agent)
    await agent.takes(command)
    wishes: tuple[dict[str, Any], ...] = (
        {"terminals": False, "traces": True},
        {"terminals": True, "traces": False},
        {"terminals": False, "traces": False},
        {"agents": [world.new_id()]},
        {},
    )
    dashboards = [plain, *[await user.dashboard(subscriptions=w) for w in wishes]]
    for sent in await _work(agent, command):
        for dashboard, wish in zip(dashboards, ({}, *wishes), strict=True):
            if wish.get(SWITCHES["TRACE_STREAM" if sent.type == "TRACE_EVENT" else "TERMINAL_STREAM"][1], True):
                await dashboard.sees_piece(sent)
    await world.quiet()


@provocation(needs="commands terminal traces")
async def switched_later(world: World) -> None:
    """A dashboard switches terminals and traces off and on again, with an id, all, or neither."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    for kind, what, heard in (
        (UNSUBSCRIBE, {"type": "terminal", "all": True}, {"TRACE_EVENT"}),
        (UNSUBSCRIBE, {"type": "trace", "id": command}, set()),
        (SUBSCRIBE, {"type": "terminal", "id": command}, {"TERMINAL_OUTPUT"}),
        (SUBSCRIBE, {"type": "trace", "all": True}, {"TERMINAL_OUTPUT", "TRACE_EVENT"}),
    ):
        await dashboard.link.ask(kind, what)
        await _told(dashboard, agent, command, heard)
        await world.quiet()


async def _work(agent: Agent, command: str) -> list[Any]:
    return [await agent.prints("line\n", command=command), await agent.traces(command)]


async def _told(dashboard: Dashboard, agent: Agent, command: str, heard: set[str]) -> None:
    for sent in await _work(agent, command):
        if sent.type in heard:
            await dashboard.sees_piece(sent)


RULES = (
    Rule(
        id="stream-subscriptions.left-out",
        clauses=("SUB-1",),
        judges="A dashboard that does not speak of terminals or traces is told of all of its user's.",
        when=during(left_out),
        check=as_wished,
        good=(all_in_every_way,),
        bad=(agents_narrow_terminals,),
        cases=(switched_at_the_start,),
    ),
    Rule(
        id="stream-subscriptions.switches",
        clauses=("SUB-2",),
        judges="`terminals` and `traces` in DASHBOARD_INIT switch TERMINAL_STREAM and TRACE_STREAM on and off.",
        when=during(said_so),
        check=as_wished,
        good=(as_switched,),
        bad=(switched_off_in_vain, traces_off_in_vain, switched_on_in_vain),
        cases=(switched_at_the_start,),
    ),
    Rule(
        id="stream-subscriptions.changed-later",
        clauses=("SUB-3",),
        judges="A change of what is subscribed to of terminals and traces holds for all that follows the ACK.",
        when=during(changed_later),
        check=as_wished,
        good=(on_and_off,),
        bad=(off_in_vain, on_in_vain),
        cases=(switched_later,),
    ),
)
