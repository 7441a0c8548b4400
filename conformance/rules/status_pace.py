"""How fast and how often AGENT_STATUS comes: soon at ten agents (STA-4), thinned but never stale in a flood (STA-6)."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule, provocation
from conformance.views import Heartbeat, heartbeats, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

AGENTS = 10
BUSY = 3
"""Causes within a second after which a backend may begin to hold AGENT_STATUS back."""
SAMPLES = 30
MEDIAN, ALWAYS = 0.2, 1.0
FLOOD_BEATS, FLOOD_SECONDS = 30, 3.0
MOST, WINDOW, LAST = 24, 2.0, 0.5


class Delays(NamedTuple):
    """How long a dashboard waited for what each heartbeat of ten agents caused."""

    dashboard: Connection
    delays: list[tuple[float, Frame]]


def ten_agents(t: Timeline) -> Iterator[Delays]:
    """Each dashboard that was told of at least thirty spaced heartbeats of ten agents."""
    beats = list(heartbeats(t))
    if not AGENTS <= len({b.agent_id for b in beats}) <= 2 * AGENTS:
        return
    for dashboard in t.dashboards:
        delays = [d for b in beats if b.agent.user == dashboard.user and (d := _delay(dashboard, b))]
        if len(delays) >= SAMPLES:
            yield Delays(dashboard, delays)


def _delay(dashboard: Connection, beat: Heartbeat) -> tuple[float, Frame] | None:
    for frame in dashboard.about(beat.agent_id, "AGENT_STATUS", after=beat.sent.seq):
        if reading.same_metrics(reading.metrics(frame.payload), beat.metrics):
            return frame.at - beat.sent.at, frame
    return None


def soon(d: Delays, t: Timeline) -> Iterator[Finding]:
    """The median is under 200 ms, none over a second."""
    middle = median(delay for delay, _ in d.delays)
    worst, frame = max(d.delays, key=lambda pair: pair[0])
    lag = t.lag(0, t.end)
    if middle > MEDIAN + lag:
        says = "half of the AGENT_STATUS come too late for a page that is to feel live"
        yield Finding(says, frame, "", f"a median of at most {MEDIAN * 1000:.0f} ms", f"{middle * 1000:.0f} ms")
    if worst > ALWAYS + t.terms.slack + lag:
        yield Finding("an AGENT_STATUS came late", frame, "", f"within {ALWAYS:g} s of its cause", f"{worst:.2f} s")


class Flood(NamedTuple):
    """Many heartbeats of one agent in a short time, and what a dashboard was told meanwhile and after."""

    beats: list[Heartbeat]
    dashboard: Connection
    told: list[Frame]


def floods(t: Timeline) -> Iterator[Flood]:
    """Each agent that sent over thirty heartbeats, more than ten a second, for each dashboard that watched the end."""
    for agent_id in {b.agent_id for b in heartbeats(t)}:
        beats = [b for b in heartbeats(t) if b.agent_id == agent_id]
        lasted = beats[-1].sent.at - beats[0].sent.at
        if len(beats) < FLOOD_BEATS or lasted > len(beats) / 12:
            continue
        for dashboard in watchers(t, beats[0].agent.user, beats[0].sent):
            told = dashboard.about(agent_id, "AGENT_STATUS", after=beats[0].sent.seq)
            if min(dashboard.until, beats[0].agent.until) > beats[-1].sent.at + LAST:
                yield Flood(beats, dashboard, told)


def thinned(flood: Flood, t: Timeline) -> Iterator[Finding]:
    """At most twelve a second over two seconds; the last heartbeat's metrics within 500 ms of the flood's end."""
    for index, first in enumerate(flood.told):
        within = [f for f in flood.told[index:] if f.at <= first.at + WINDOW]
        if len(within) > MOST + 1:
            says = "a flood of heartbeats is passed on to dashboards"
            yield Finding(says, first, "", f"at most {MOST} AGENT_STATUS in {WINDOW:g} s", len(within))
            break
    last = flood.beats[-1]
    final = [f for f in flood.told if reading.same_metrics(reading.metrics(f.payload), last.metrics)]
    expected = f"within {LAST * 1000:.0f} ms of the last heartbeat"
    if not final or final[0].at > t.bound(last.sent.at, LAST):
        got = f"{final[0].at - last.sent.at:.2f} s" if final else "never"
        says = "after a flood the last heartbeat's metrics do not arrive: the page shows stale numbers"
        yield Finding(says, last.sent, "/payload/healthMetrics", expected, got)


class Change(NamedTuple):
    """An agent's state changed while its dashboards were being told a lot about it."""

    sent: Frame
    dashboard: Connection
    told: list[Frame]


def changes(t: Timeline) -> Iterator[Change]:
    """Each AGENT_ERROR without recovery that came within a second of three other causes, for each dashboard."""
    for agent in t.agents:
        for sent in agent.sent:
            if sent.type != "AGENT_ERROR" or sent.payload.get("recoverable") is not False:
                continue
            near = [
                f for f in agent.sent if 0 < sent.at - f.at < ALWAYS and f.type in {"AGENT_HEARTBEAT", "AGENT_ERROR"}
            ]
            if len(near) < BUSY:
                continue
            for dashboard in watchers(t, agent.user, sent):
                if min(dashboard.until, agent.until) > sent.at + ALWAYS:
                    yield Change(sent, dashboard, dashboard.about(agent.agent_id or "", "AGENT_STATUS", after=sent.seq))


def always_told(change: Change, t: Timeline) -> Iterator[Finding]:
    """The changed status comes within a second, however much else there is to tell."""
    told = [f for f in change.told if reading.status(f.payload) == "ERROR"]
    if not told or told[0].at > t.bound(change.sent.at, ALWAYS):
        got = f"{told[0].at - change.sent.at:.2f} s later" if told else "never"
        says = "a changed status was swallowed in a flood of heartbeats: the page shows a failed agent as fine"
        yield Finding(says, change.sent, "", f"AGENT_STATUS ERROR within {ALWAYS:g} s", got)


def _fatal(s: Scene, *, told: bool) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    for step in range(4):
        agent.heartbeats(commandsProcessed=step)
        dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": step})
    agent.sends("AGENT_ERROR", {"agentId": "a1", "errorType": "RESOURCE", "message": "full", "recoverable": False})
    if told:
        s.wait(0.4)
        dashboard.told("a1", status="ERROR", metrics=s.metrics)
    s.wait(2)


def change_told(s: Scene) -> None:
    _fatal(s, told=True)


def change_swallowed(s: Scene) -> None:
    _fatal(s, told=False)


def _beats(s: Scene, delay: float) -> None:
    dashboard = s.dashboard()
    agents = [s.agent(f"a{n}") for n in range(AGENTS)]
    for step in range(4):
        for agent in agents:
            agent.heartbeats(commandsProcessed=step)
            s.wait(delay)
            dashboard.told(agent.agent_id, metrics=s.metrics | {"commandsExecuted": step})


def soon_enough(s: Scene) -> None:
    _beats(s, 0.1)


def sluggish(s: Scene) -> None:
    _beats(s, 0.4)


def _flood(s: Scene, every: int, *, last: bool) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    for step in range(60):
        agent.heartbeats(commandsProcessed=step)
        if step % every == 0 or (last and step == 59):  # noqa: PLR2004 - the last one
            dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": step})
    s.wait(1)


def thinned_out(s: Scene) -> None:
    _flood(s, 10, last=True)


def passed_on(s: Scene) -> None:
    _flood(s, 1, last=True)


def last_one_lost(s: Scene) -> None:
    _flood(s, 10, last=False)


@provocation(timed=True)
async def ten_at_once(world: World) -> None:
    """Ten agents beat together, four times, while a dashboard watches."""
    user = world.user()
    dashboard = await user.dashboard()
    agents = await asyncio.gather(*(user.agent() for _ in range(AGENTS)))
    for step in range(4):
        beats = await asyncio.gather(*(a.heartbeat(commandsProcessed=100 + step) for a in agents))
        for agent, beat in zip(agents, beats, strict=True):
            await dashboard.sees_beat(agent, beat)
    await world.quiet()


@provocation(needs="load", timed=True, budget=25.0)
async def flood(world: World) -> None:
    """An agent sends forty heartbeats a second for two and a half seconds; another beats as it should."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    clock = asyncio.get_running_loop().time
    start, number = clock(), 0
    while number < 100:  # noqa: PLR2004 - beats, at forty a second
        await agent.say_heartbeat(commandsProcessed=number, uptime=number)
        number += 1
        await asyncio.sleep(max(0.0, start + number / 40 - clock()))
    beat = await agent.heartbeat(commandsProcessed=7777, uptime=7777)
    wanted = reading.reported(beat.payload["healthMetrics"])
    await dashboard.link.until(
        "AGENT_STATUS",
        since=beat.seq,
        where=lambda f: reading.same_metrics(reading.metrics(f.payload), wanted),
    )
    await world.quiet()
    await dashboard.link.until(since=user.last, within=LAST, expected=False, where=lambda _: False)


@provocation(alone=True)
async def error_among_heartbeats(world: World) -> None:
    """An agent beats eight times in a breath and then reports that it cannot recover."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for number in range(8):
        await agent.say_heartbeat(commandsProcessed=number)
    error = {"agentId": agent.id, "errorType": "RESOURCE", "message": "disk full", "recoverable": False}
    sent = await agent.link.send("AGENT_ERROR", error)
    await dashboard.sees("AGENT_STATUS", agent, since=sent.seq, status="ERROR")
    await dashboard.link.until(since=user.last, within=ALWAYS, expected=False, where=lambda _: False)


RULES = (
    Rule(
        id="status.soon",
        clauses=("STA-4",),
        judges="With ten agents AGENT_STATUS follows its cause within 200 ms in the median, within a second always.",
        when=ten_agents,
        check=soon,
        good=(soon_enough,),
        bad=(sluggish,),
        cases=(ten_at_once,),
    ),
    Rule(
        id="status.flood-thinned",
        clauses=("STA-6",),
        judges="A flood of heartbeats is thinned for dashboards, and its last one always arrives.",
        when=floods,
        check=thinned,
        good=(thinned_out,),
        bad=(passed_on, last_one_lost),
        cases=(flood,),
    ),
    Rule(
        id="status.change-always-told",
        clauses=("STA-6",),
        judges="A changed status is told within a second, however much else there is to tell.",
        when=changes,
        check=always_told,
        good=(change_told,),
        bad=(change_swallowed,),
        cases=(error_among_heartbeats,),
    ),
)
