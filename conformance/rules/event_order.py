"""Events have a cause each, once, in the order of causes (CNS-3, STA-5)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_scene import ONE
from conformance.rule import Finding, Rule
from conformance.views import Heartbeat, causes, heartbeats, is_flood, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World


AT_ONCE = 1.0
"""Seconds within which two things may have one cause."""


class Echo(NamedTuple):
    """A heartbeat unlike the one before it, a dashboard, and what that was told with just these metrics."""

    beat: Heartbeat
    dashboard: Connection
    told: list[Frame]


def beats(t: Timeline) -> Iterator[Echo]:
    """Each heartbeat with metrics of its own, not one of a flood, with nothing from before it still to be told.

    What came as news of a command came may have been told for its sake (STA-8).
    """
    for echo in _echoes(t):
        if not is_flood(echo.beat) and not _pending(echo, t):
            first, *more = echo.told
            news = _news(t, echo.beat.agent_id)
            yield echo._replace(told=[first, *(f for f in more if all(abs(at - f.at) > AT_ONCE for at in news))])


def _news(t: Timeline, agent_id: str) -> list[float]:
    """When any dashboard was told of a command of the agent: some end by themselves, long after they were asked to."""
    return [f.at for d in t.dashboards for f in d.about(agent_id, "COMMAND_STATUS")]


def _pending(echo: Echo, t: Timeline) -> bool:
    """Whether what an earlier cause brings may still be on its way, showing this heartbeat's metrics as the present."""
    sent = echo.beat.sent
    earlier = [
        e
        for e in causes(t, echo.beat.agent_id)
        if e.seq < sent.seq and t.bound(getattr(e, "ended", e.at), 1.0) > sent.at
    ]
    told = echo.dashboard.about(echo.beat.agent_id, "AGENT_STATUS")
    return bool(earlier) and not any(max(e.seq for e in earlier) < f.seq < sent.seq for f in told)


def _echoes(t: Timeline) -> Iterator[Echo]:
    """Each heartbeat with metrics of its own that was told, up to the next change of its agent of another kind."""
    for agent_id in {b.agent_id for b in heartbeats(t)}:
        own = [b for b in heartbeats(t) if b.agent_id == agent_id]
        sent = {b.sent.seq for b in own}
        others = [e for e in causes(t, agent_id) if e.seq not in sent]
        said = Counter(_numbers(b.metrics) for b in own)
        for beat in own:
            if said[_numbers(beat.metrics)] > 1:
                continue
            end = min((e.at for e in others if e.seq > beat.sent.seq), default=float("inf"))
            for dashboard in watchers(t, beat.agent.user, beat.sent):
                told = dashboard.about(agent_id, "AGENT_STATUS", after=beat.sent.seq)
                fitting = [
                    f for f in told if f.at < end and reading.same_metrics(reading.metrics(f.payload), beat.metrics)
                ]
                if fitting:
                    yield Echo(beat, dashboard, [f for f in fitting if _work(f) == _work(fitting[0])])


def _numbers(metrics: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(map(metrics.get, reading.NUMBERS))


def _work(told: Frame) -> tuple[str, ...]:
    """What an AGENT_STATUS says of the agent's work: another one of these is told for a command's sake (STA-8)."""
    return tuple(repr(told.payload.get(name)) for name in ("activityState", "currentCommand", "queuedCommands"))


def once(echo: Echo, _t: Timeline) -> Iterator[Finding]:
    """Told once."""
    if len(echo.told) > 1:
        says = "one heartbeat brought several AGENT_STATUS to one dashboard"
        yield Finding(
            says,
            echo.told[1],
            "",
            "one AGENT_STATUS for each heartbeat",
            len(echo.told),
            (echo.beat.sent, echo.told[0]),
        )


class Sequence(NamedTuple):
    """What one dashboard was told of one agent's heartbeats, each with metrics of its own."""

    dashboard: Connection
    order: list[tuple[int, Frame]]


def sequences(t: Timeline) -> Iterator[Sequence]:
    """Each dashboard that was told of at least two different heartbeats of an agent."""
    echoes = list(_echoes(t))
    for dashboard in {e.dashboard.id: e.dashboard for e in echoes}.values():
        for agent_id in {e.beat.agent_id for e in echoes if e.dashboard is dashboard}:
            mine = [e for e in echoes if e.dashboard is dashboard and e.beat.agent_id == agent_id]
            order = sorted(((e.beat.sent.seq, e.told[0]) for e in mine), key=lambda pair: pair[1].seq)
            if len(order) > 1:
                yield Sequence(dashboard, order)


def in_order(sequence: Sequence, _t: Timeline) -> Iterator[Finding]:
    """In the order in which they were sent."""
    for (earlier, first), (later, second) in zip(sequence.order, sequence.order[1:], strict=False):
        if later < earlier:
            says = "AGENT_STATUS of an older heartbeat came after that of a newer one"
            yield Finding(
                says, second, "/payload/metrics", "the order of the heartbeats", "the other way round", (first,)
            )


def heard_beat(s: Scene, dashboard: object, agent: object, number: int, *, told: bool = True) -> None:
    """A heartbeat with a number of its own, and what a dashboard is told of it."""
    agent.heartbeats(commandsProcessed=number)  # type: ignore[attr-defined]
    if told:
        dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": number})  # type: ignore[attr-defined]


def one_each(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    for number in (11, 12, 13):
        s.wait(1)
        heard_beat(s, dashboard, agent, number)
    agent.closes()
    dashboard.told("a1", status="OFFLINE", metrics=s.metrics | {"commandsExecuted": 13})
    dashboard.told_gone("a1")


def told_late_of_the_connect(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    heard_beat(s, dashboard, agent, 11)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(1.5)
    heard_beat(s, dashboard, agent, 12)
    s.wait(1)


def told_of_a_slow_rename_as_well(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    asked = s.seconds
    s.wait(1.5)
    s.rest("PATCH", "/agents/a1", 200, {"success": True, "data": s.row("a1")}, at=asked)
    heard_beat(s, dashboard, agent, 11)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(2)
    heard_beat(s, dashboard, agent, 12)
    s.wait(1)


def told_of_a_command_as_well(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1", activityState="IDLE", queuedCommands=0)
    s.wait(2)
    agent.heartbeats()
    for waiting in (0, 1):
        dashboard.told("a1", metrics=s.metrics, activityState="QUEUED" if waiting else "IDLE", queuedCommands=waiting)
    s.wait(2)


def told_of_a_command_given_up(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(2)
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics)
    s.wait(2)
    dashboard.told("a1", metrics=s.metrics)
    dashboard.gets("COMMAND_STATUS", {"commandId": ONE, "agentId": "a1", "status": "CANCELLED"})
    s.wait(2)


def told_of_one_that_never_got_its_ack(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(2)
    heard_beat(s, dashboard, agent, 11)
    s.wait(2)
    s.socket("agent").sends("AGENT_CONNECT", {"agentId": "a1"})
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})


def three_each(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(1)
    heard_beat(s, dashboard, agent, 11)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(1)


def overtaken(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    heard_beat(s, dashboard, agent, 11, told=False)
    s.wait(0.5)
    heard_beat(s, dashboard, agent, 12)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(1)


def overtaken_in_a_breath(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    for number in (1, 2, 3):
        agent.heartbeats(commandsProcessed=number)
    for number in (1, 3, 2):
        dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": number})


async def spaced_heartbeats(world: World) -> None:
    """An agent sends heartbeats, each with its own numbers, each after the one before was told."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for step in range(4):
        beat = await agent.heartbeat(commandsProcessed=50 + step)
        await dashboard.sees_beat(agent, beat)
        await world.quiet()


async def beats_at_once(world: World) -> None:
    """An agent sends three heartbeats in one breath, then rests, three times."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for step in (10, 20, 30):
        for number in range(3):
            beat = await agent.say_heartbeat(commandsProcessed=step + number)
        await agent.link.answer(beat, "SERVER_HEARTBEAT")
        await dashboard.sees_beat(agent, beat)
        await world.quiet()


RULES = (
    Rule(
        id="events.one-for-each-heartbeat",
        clauses=("CNS-3",),
        judges="One heartbeat brings one AGENT_STATUS to each dashboard.",
        when=beats,
        check=once,
        good=(
            one_each,
            told_late_of_the_connect,
            told_of_a_command_as_well,
            told_of_a_command_given_up,
            told_of_a_slow_rename_as_well,
            told_of_one_that_never_got_its_ack,
        ),
        bad=(three_each,),
        cases=(spaced_heartbeats,),
    ),
    Rule(
        id="events.in-order-of-causes",
        clauses=("STA-5",),
        judges="The AGENT_STATUS of one agent come in the order of its heartbeats.",
        when=sequences,
        check=in_order,
        good=(one_each,),
        bad=(overtaken, overtaken_in_a_breath),
        cases=(spaced_heartbeats, beats_at_once),
    ),
)
