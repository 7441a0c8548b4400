"""Under load no event is lost, all come soon, and a long list still arrives (PRF-1, PRF-2, DSH-7).

The tester's clock is at both ends. Its own pauses are noted; a frame that was read in one or right after it may have
lain there since the pause began: only the time before is surely the backend's. Where that leaves a figure open, nothing
is said.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.handshakes import Handshake, handshakes
from conformance.room import open_files
from conformance.rule import Finding, Rule, provocation
from conformance.terms import SLACK
from conformance.views import items_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.actors import Agent
    from conformance.world.user import User
    from conformance.world.world import World

LOAD = "load"
"""The kind of note that says: now so many `agents` beat once a second for `seconds`, watched by `dashboards`."""
TEN, THOUSAND = 10, 1000
P99, WITHIN, SNAPSHOT = 0.2, 2.0, 2.0
"""Seconds: PRF-1's bound; after which an event counts as lost; DSH-7's bound."""
AFTER_A_PAUSE = 0.02
"""Seconds after a pause in which what had piled up is still being read."""
AT_ONCE, PATIENCE = 25, 60.0
"""Agents that connect at the same time, and seconds to wait for all."""
STILL, STEP, PATIENT = 0.2, 0.05, 10.0
"""Seconds without anything until it is looked whether all is there; how often to look; and when it is enough."""
SLOWER = 1.2
"""How much longer than meant the load may have taken to count as that load."""


class Load(NamedTuple):
    """Heartbeats at a pace, and what dashboards were told of them."""

    seconds: float
    """How long they were to take."""
    took: float
    delays: list[tuple[float, Frame, Frame]]
    """From each heartbeat to its AGENT_STATUS on each dashboard, with both."""
    lost: list[tuple[Frame, Connection]]
    expected: int


def loads(agents: int) -> Callable[[Timeline], Iterator[Load]]:
    """Each load of that many agents (up to the next size) that was watched to its end by ten dashboards."""

    def when(t: Timeline) -> Iterator[Load]:
        """Each of them."""
        for note in t.notes:
            meant = note.kind == LOAD and agents <= note.data["agents"] < 10 * agents
            load = _measured(t, note.seq, note.data["agents"], note.data["seconds"]) if meant else None
            if load is not None and note.data["dashboards"] >= TEN:
                yield load

    return when


def _measured(t: Timeline, since: int, agents: int, seconds: float) -> Load | None:
    beats = [(a, f) for a in t.agents for f in a.sent if f.seq > since and f.type == "AGENT_HEARTBEAT"]
    if len(beats) < agents:
        return None
    delays: list[tuple[float, Frame, Frame]] = []
    lost: list[tuple[Frame, Connection]] = []
    wanted = [reading.reported(beat.payload.get("healthMetrics")) for _, beat in beats]
    for dashboard in t.dashboards:
        told: dict[str | None, list[Frame]] = {}
        for frame in dashboard.of_kind("AGENT_STATUS", after=since):
            told.setdefault(reading.agent_id(frame.payload), []).append(frame)
        for (agent, beat), metrics in zip(beats, wanted, strict=True):
            mine = told.get(agent.agent_id, ()) if agent.user == dashboard.user else ()
            if (first := _first(mine, beat, metrics)) is not None:
                delays.append((first.at - beat.at, beat, first))
            elif dashboard.until > t.bound(beat.at, WITHIN):
                lost.append((beat, dashboard))
    times = [f.at for _, f in beats]
    return Load(seconds, max(times) - min(times), delays, lost, len(beats) * TEN)


def _first(told: Sequence[Frame], beat: Frame, wanted: dict[str, Any]) -> Frame | None:
    later = (f for f in told if f.seq > beat.seq)
    return next((f for f in later if reading.same_metrics(reading.metrics(f.payload), wanted)), None)


def none_lost_and_soon(load: Load, t: Timeline) -> Iterator[Finding]:
    """Each heartbeat is told to each dashboard, 99 of 100 in under 200 ms."""
    if load.lost:
        beat, dashboard = load.lost[0]
        says = "under load an event is lost: a page shows old values until the next one"
        got = f"{len(load.lost)} of {load.expected} lost, the first on {dashboard.id}"
        yield Finding(says, beat, "/payload/healthMetrics", "AGENT_STATUS on every dashboard", got)
    if not load.delays:
        return
    pauses = sorted((n.data["since"], n.at) for n in t.notes if n.kind == "pause")
    certain = sorted(((d - _unread(f.at, d, pauses), b, f) for d, b, f in load.delays), key=lambda c: c[0])
    known, beat, frame = certain[_rank(len(certain))]
    seen = sorted(delay for delay, _, _ in load.delays)[_rank(len(certain))]
    most = P99 + t.terms.slack - SLACK
    if known >= most:
        says = "under load events come too late for a page that is to feel live"
        expected = f"99 of 100 in under {most * 1000:.0f} ms"
        yield Finding(says, frame, "", expected, f"{known * 1000:.0f} ms, the tester's pauses taken out", (beat,))
    elif seen >= most:
        says = f"the tester paused meanwhile: it saw {seen * 1000:.0f} ms, of which {known * 1000:.0f} ms are sure"
        yield Finding(says, fault="harness", expected="a tester that reads at once")
    elif load.took > SLOWER * load.seconds and not load.lost:
        says = f"the tester could not keep the pace: what was to take {load.seconds:g} s took it {load.took:.1f} s"
        yield Finding(says, fault="harness", expected="the whole load")


def _rank(count: int) -> int:
    return math.ceil(0.99 * count) - 1


def _unread(at: float, delay: float, pauses: list[tuple[float, float]]) -> float:
    """For how long a frame may have waited for the tester to read it, at most."""
    index = bisect_right(pauses, (at, math.inf)) - 1
    start = at
    while index >= 0 and pauses[index][1] + AFTER_A_PAUSE >= start:
        start = min(start, pauses[index][0])
        index -= 1
    return min(at - start, delay)


class Long(NamedTuple):
    """A handshake of a dashboard whose user has a thousand connected agents."""

    handshake: Handshake
    agents: int


def long_lists(t: Timeline) -> Iterator[Long]:
    """Each of them."""
    if len(t.agents) < THOUSAND:
        return
    for h in handshakes(t):
        there = {
            a.agent_id
            for a in t.agents
            if a.user == h.dashboard.user and a.accepted and a.accepted.seq < h.init.seq and a.until > h.init.at
        }
        if len(there) >= THOUSAND:
            yield Long(h, len(there))


def still_arrives(long: Long, t: Timeline) -> Iterator[Finding]:
    """Within two seconds, with all of them."""
    h = long.handshake
    if h.snapshot is None or h.snapshot.at > t.bound(h.init.at, SNAPSHOT):
        says = f"with {long.agents} agents the list comes too late: the page is empty for as long"
        got = f"after {h.snapshot.at - h.init.at:.2f} s" if h.snapshot else "no list"
        yield Finding(says, h.init, "", f"dashboard:connected within {SNAPSHOT:g} s", got)
    elif (count := sum(1 for _ in items_of(h.snapshot))) < long.agents:
        says = f"with {long.agents} agents the list is cut"
        yield Finding(says, h.snapshot, "/payload/agents", f"at least {long.agents}", count, (h.init,))


def _beat_and_tell(s: Scene, agents: int, delay: Callable[[int], float], *, pause: float = 0.0, lose: int = -1) -> None:
    dashboards = [s.dashboard() for _ in range(TEN)]
    sockets = [s.agent(f"a{n}") for n in range(agents)]
    s.note(LOAD, agents=agents, dashboards=TEN, seconds=agents * 0.5)
    for number, agent in enumerate(sockets):
        agent.sends("AGENT_HEARTBEAT", {"agentId": agent.agent_id, "healthMetrics": s.health | {"uptime": number}})
        began = s.seconds
        s.wait(delay(number))
        s.wait(pause)
        for dashboard in dashboards[: TEN - (number == lose)]:
            dashboard.told(agent.agent_id, metrics=s.metrics | {"uptime": number})
        if pause:
            s.note("pause", since=began)
    s.wait(3)


def soon(s: Scene) -> None:
    _beat_and_tell(s, TEN, lambda _: 0.02)


def the_tester_slept(s: Scene) -> None:
    _beat_and_tell(s, TEN, lambda _: 0.0, pause=0.4)


def late(s: Scene) -> None:
    _beat_and_tell(s, TEN, lambda n: 0.3 if n == 3 else 0.02)  # noqa: PLR2004 - one agent in ten


def late_whatever_the_tester_did(s: Scene) -> None:
    _beat_and_tell(s, TEN, lambda n: 0.3 if n == 3 else 0.0)  # noqa: PLR2004
    s.note("pause", since=s.seconds)


def one_lost(s: Scene) -> None:
    _beat_and_tell(s, TEN, lambda _: 0.02, lose=4)


def _many(s: Scene, wait: float, shown: int = THOUSAND) -> None:
    for n in range(THOUSAND):
        s.agent(f"a{n}")
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {"dashboardId": "d1"})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": s.now})
    s.wait(wait)
    socket.snapshot(*(s.item(f"a{n}") for n in range(shown)))


def long_list_in_time(s: Scene) -> None:
    _many(s, 1.0)


def long_list_late(s: Scene) -> None:
    _many(s, 3.0)


def long_list_cut(s: Scene) -> None:
    _many(s, 0.1, 50)


def thousand_soon(s: Scene) -> None:
    _beat_and_tell(s, THOUSAND, lambda _: 0.02)


def thousand_late(s: Scene) -> None:
    _beat_and_tell(s, THOUSAND, lambda n: 0.4 if n % 50 == 0 else 0.02)


@provocation(timed=True, budget=25.0)
async def ten_by_ten(world: World) -> None:
    """Ten agents beat once a second for five seconds, one after the other; ten dashboards watch."""
    user = world.user()
    agents = await asyncio.gather(*(user.agent() for _ in range(TEN)))
    await _measure(world, user, agents, 5)


@provocation(needs="load", heavy=True, budget=90.0)
async def ten_by_a_thousand(world: World) -> None:
    """A thousand agents connect and beat; ten dashboards take the list; then all beat once within a second."""
    if open_files() < 2 * THOUSAND:
        world.recorder.note("unmet", waited_for="2,000 open files", connection="this machine (ulimit -n)")
        return
    user = world.user()
    agents: list[Agent] = []
    try:
        async with asyncio.timeout(PATIENCE):
            await _gather(world, user, agents)
    except TimeoutError:
        world.recorder.note("unmet", waited_for=f"{THOUSAND} agents to connect", connection="the backend")
        return
    await _measure(world, user, agents, 1)


async def _gather(world: World, user: User, agents: list[Agent]) -> None:
    """A thousand agents connect, a few at the same time; those that came first beat, so that none is given up."""
    clock = asyncio.get_running_loop().time
    beaten = clock()
    left = iter(range(THOUSAND))

    async def some() -> None:
        nonlocal beaten
        for _ in left:
            agents.append(await user.agent())
            if clock() - beaten > _interval(agents[0], world):
                beaten = clock()
                there = tuple(agents)
                for agent in there:
                    await agent.say_heartbeat()
                await asyncio.gather(*(agent.link.fence() for agent in there))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())


def _interval(agent: Agent, world: World) -> float:
    """Seconds between heartbeats, as advertised; after three of them an agent is given up."""
    told = [f.payload.get("heartbeatIntervalMs") for f in agent.link.frames if f.kind == "ACK"]
    said = next((ms for ms in told if isinstance(ms, int) and ms > 0), None)
    return said / 1000 if said else world.site.terms.heartbeat_interval


async def _measure(world: World, user: User, agents: list[Agent], seconds: int) -> None:
    dashboards = [await user.dashboard() for _ in range(TEN)]
    world.recorder.note(LOAD, agents=len(agents), dashboards=TEN, seconds=float(seconds))
    async with world.watched():
        await _beats(agents, seconds)
        await _all_told(world, len(agents))
    for dashboard in dashboards:
        await dashboard.link.close()


async def _all_told(world: World, agents: int) -> None:
    """Waits until every dashboard was told of every heartbeat; what is still missing when nothing comes is lost."""
    clock = asyncio.get_running_loop().time
    began = since = clock()
    last, is_whole = world.recorder.last, False
    while not is_whole and clock() - began < PATIENT:
        await asyncio.sleep(STEP)
        if world.recorder.last != last:
            last, since = world.recorder.last, clock()
        elif clock() - since >= STILL:
            told = all(len(load.delays) == load.expected for load in loads(agents)(world.timeline()))
            is_whole = told or clock() - began > WITHIN + world.site.terms.slack + STILL
            since = clock()


async def _beats(agents: list[Agent], seconds: int) -> None:
    """One heartbeat a second of each agent, all evenly spread."""
    clock = asyncio.get_running_loop().time
    start = clock()
    for number in range(seconds * len(agents)):
        due = start + number / len(agents)
        if (early := due - clock()) > 0:
            await asyncio.sleep(early)
        await agents[number % len(agents)].say_heartbeat(commandsProcessed=number, uptime=number)


RULES = (
    Rule(
        id="load.ten-by-ten",
        clauses=("PRF-1",),
        judges="With ten agents and ten dashboards no event is lost, and 99 of 100 come in under 200 ms.",
        when=loads(TEN),
        check=none_lost_and_soon,
        good=(soon, the_tester_slept),
        bad=(late, late_whatever_the_tester_did, one_lost),
        cases=(ten_by_ten,),
    ),
    Rule(
        id="load.ten-by-a-thousand",
        clauses=("PRF-2",),
        judges="With a thousand agents and ten dashboards no event is lost, and 99 of 100 come in under 200 ms.",
        when=loads(THOUSAND),
        check=none_lost_and_soon,
        good=(thousand_soon,),
        bad=(thousand_late,),
        cases=(ten_by_a_thousand,),
    ),
    Rule(
        id="load.long-list",
        clauses=("DSH-7",),
        judges="With a thousand agents the whole snapshot arrives within two seconds.",
        when=long_lists,
        check=still_arrives,
        good=(long_list_in_time,),
        bad=(long_list_late, long_list_cut),
        cases=(ten_by_a_thousand,),
    ),
)
