"""Events have a cause each, once, in the order of causes (CNS-3, STA-5)."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_scene import ONE
from conformance.rule import Finding, Rule
from conformance.rules.silence import interval_of
from conformance.views import Heartbeat, causes, heartbeats, is_flood, still_to_be_told, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World


AT_ONCE = 1.0
"""Seconds within which two things may have one cause."""
GIVEN_UP = 1008
"""The code that says no more than that the backend no longer wants the connection: no cause of its own."""


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


class Life(NamedTuple):
    """One connection of an agent, and what a dashboard was told while it lasted and nothing else happened to it."""

    agent: Connection
    dashboard: Connection
    told: list[Frame]


def lives(t: Timeline) -> Iterator[Life]:
    """Each connection of an agent that was told of at least once, for each dashboard that saw it begin."""
    for agent in t.agents:
        if agent.accepted is None or agent.init is None:
            continue
        for dashboard in watchers(t, agent.user, agent.init):
            begins = _begins(t, agent, dashboard)
            told = dashboard.about(agent.agent_id or "", "AGENT_STATUS", "AGENT_DISCONNECT", after=begins)
            during = [f for f in told if f.at < _surely_alive_until(agent)]
            live = [i for i, f in enumerate(during) if reading.status(f.payload) == "ONLINE"]
            if live:
                yield Life(agent, dashboard, during[live[0] :])


def _begins(t: Timeline, agent: Connection, dashboard: Connection) -> int:
    """The `seq` from which what a dashboard is told is about this connection.

    That is its AGENT_CONNECT, for dashboards may hear before the agent has its ACK; but only its ACK where an earlier
    end may still be on its way, and only what is told of that end where the agent is shown as back in time after it.
    Where it never is, though it stays, the end was told after the return: what came later came first.
    """
    assert agent.init is not None  # noqa: S101 - see lives
    assert agent.accepted is not None  # noqa: S101
    if not (earlier := still_to_be_told(t, dashboard, agent.agent_id, agent.init.at)):
        return agent.init.seq
    gone = dashboard.about(agent.agent_id or "", "AGENT_DISCONNECT", after=agent.init.seq)[:earlier]
    told = dashboard.about(agent.agent_id or "", "AGENT_STATUS", after=gone[-1].seq) if gone else []
    due = t.bound(agent.init.at, AT_ONCE)
    is_back = any(reading.status(f.payload) == "ONLINE" and f.at <= due for f in told)
    if is_back:
        return gone[-1].seq
    stays = min(_surely_alive_until(agent), dashboard.until) > due
    return agent.init.seq if gone and stays else agent.accepted.seq


def _surely_alive_until(agent: Connection) -> float:
    """When a backend ends a socket, dashboards may be told before the agent's side sees its end."""
    if agent.closed is None or agent.closed.by != "backend":
        return agent.until
    return agent.until + 1.0 if agent.closed.code == GIVEN_UP else agent.until - 1.0


def steady(life: Life, t: Timeline) -> Iterator[Finding]:
    """Once shown ONLINE it is not shown as gone while its connection lives and beats in time."""
    failed = any(f.type == "AGENT_ERROR" for f in life.agent.sent)
    beats = [f.at for f in life.agent.sent if f.type in {"AGENT_CONNECT", "AGENT_HEARTBEAT"}]
    for frame in life.told:
        gone = frame.kind == "AGENT_DISCONNECT" or reading.status(frame.payload) == "OFFLINE"
        silence = frame.at - max((at for at in beats if at < frame.at), default=life.agent.opened.at)
        if gone and not failed and silence < interval_of(life.agent, t):
            says = "a connected agent was shown as gone for a moment, without a cause"
            yield Finding(
                says,
                frame,
                "",
                "ONLINE while its socket lives",
                frame.payload.get("status", frame.type),
                (life.agent.opened,),
            )


def _beat(s: Scene, dashboard: object, agent: object, number: int, *, told: bool = True) -> None:
    agent.heartbeats(commandsProcessed=number)  # type: ignore[attr-defined]
    if told:
        dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": number})  # type: ignore[attr-defined]


@contextmanager
def _connecting(s: Scene) -> Iterator[None]:
    """Between an AGENT_CONNECT of a1 and its answer."""
    agent = s.socket("agent")
    payload = {"agentId": "a1", "agentType": "CLAUDE", "version": "1", "hostMachine": "h"}
    sent = agent.sends("AGENT_CONNECT", payload | {"name": "Ada", "capabilities": {}})
    yield
    agent.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a1"})


def one_each(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    for number in (11, 12, 13):
        s.wait(1)
        _beat(s, dashboard, agent, number)
    agent.closes()
    dashboard.told("a1", status="OFFLINE", metrics=s.metrics | {"commandsExecuted": 13})
    dashboard.told_gone("a1")


def cut_by_the_backend(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(2)
    dashboard.told("a1", status="OFFLINE")
    dashboard.told_gone("a1")
    agent.closes(by="backend", code=1009)


def told_late_of_the_connect(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    _beat(s, dashboard, agent, 11)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(1.5)
    _beat(s, dashboard, agent, 12)
    s.wait(1)


def told_of_a_slow_rename_as_well(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    asked = s.seconds
    s.wait(1.5)
    s.rest("PATCH", "/agents/a1", 200, {"success": True, "data": s.row("a1")}, at=asked)
    _beat(s, dashboard, agent, 11)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(2)
    _beat(s, dashboard, agent, 12)
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


def told_late_of_the_loss_before(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.heartbeats()
    agent.closes()
    s.agent("a1")
    dashboard.told("a1", metrics=s.metrics)
    dashboard.told_gone("a1")
    dashboard.told("a1", metrics=s.metrics)
    s.wait(1)


def told_of_one_that_never_got_its_ack(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(2)
    _beat(s, dashboard, agent, 11)
    s.wait(2)
    s.socket("agent").sends("AGENT_CONNECT", {"agentId": "a1"})
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})


def three_each(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(1)
    _beat(s, dashboard, agent, 11)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(1)


def overtaken(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    _beat(s, dashboard, agent, 11, told=False)
    s.wait(0.5)
    _beat(s, dashboard, agent, 12)
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 11})
    s.wait(1)


def overtaken_in_a_breath(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    for number in (1, 2, 3):
        agent.heartbeats(commandsProcessed=number)
    for number in (1, 3, 2):
        dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": number})


def beating_yet_given_up(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    for number in range(4):
        _beat(s, dashboard, agent, number)
        s.wait(25)
    dashboard.told_gone("a1")
    s.wait(2)
    agent.closes()


def lost_again_after_a_deletion(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1").closes()
    dashboard.told_gone("a1")
    s.rest("DELETE", "/agents/a1", 204)
    dashboard.told_gone("a1", reason="deleted")
    agent = s.agent("a1")
    dashboard.told("a1")
    agent.closes(by="fault", code=None)
    with _connecting(s):
        dashboard.told("a1", queuedCommands=1)
        dashboard.told_gone("a1")
        dashboard.told("a1")
    s.wait(2)


def deleted_as_it_comes_back(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1").closes()
    dashboard.told_gone("a1")
    asked = s.seconds
    with _connecting(s):
        dashboard.told("a1")
    s.rest("DELETE", "/agents/a1", 204, at=asked)
    dashboard.told_gone("a1", reason="deleted")
    s.wait(2)


def flicker_before_the_answer(s: Scene) -> None:
    dashboard = s.dashboard()
    with _connecting(s):
        for status in ("ONLINE", "OFFLINE", "ONLINE"):
            dashboard.told("a1", status=status)
    s.wait(2)


def flicker(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    dashboard.told("a1", status="OFFLINE")
    dashboard.told("a1")
    s.wait(1)
    agent.closes()


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


async def reconnects(world: World) -> None:
    """An agent leaves and comes back twice while a dashboard watches."""
    user = world.user()
    dashboard, agent = await user.dashboard(), user.new_agent()
    for _ in range(3):
        sent = await agent.connect()
        await dashboard.sees("AGENT_STATUS", agent, since=sent.seq)
        await world.quiet()
        before = await agent.leave()
        await dashboard.sees("AGENT_DISCONNECT", agent, since=before)


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
    Rule(
        id="events.no-flicker",
        clauses=("STA-5",),
        judges="A connected agent that was shown ONLINE is not shown as gone while its socket lives.",
        when=lives,
        check=steady,
        good=(one_each, cut_by_the_backend, lost_again_after_a_deletion, told_late_of_the_loss_before),
        bad=(deleted_as_it_comes_back, flicker_before_the_answer, flicker, beating_yet_given_up),
        cases=(reconnects,),
    ),
)
