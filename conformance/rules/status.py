"""AGENT_STATUS: complete, sent at each cause, with the metrics last reported (STA-1, STA-2, STA-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.views import (
    Heartbeat,
    Item,
    beats_of,
    connections_of,
    heartbeats,
    is_flood,
    statuses,
    unknown_connections,
    watchers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

STATUS = "to-dashboard.AGENT_STATUS"


def complete(item: Item, t: Timeline) -> Iterator[Finding]:
    """The eight fields, each of its type (the words themselves are CASE-1's)."""
    for v in t.contract.violations("messages/to-dashboard/AGENT_STATUS.json", item.value):
        if v.keyword in {"enum", "const"}:
            continue
        name = v.pointer.rsplit("/", 1)[-1]
        says = f"AGENT_STATUS without {name}" if v.keyword == "required" else f"{name} in AGENT_STATUS is out of shape"
        yield Finding(
            f"{says}: dashboards cannot show the agent from it", item.where, item.pointer + v.pointer, v.expected, v.got
        )


class Told(NamedTuple):
    """A cause of an AGENT_STATUS, and a dashboard that must be told."""

    agent: Connection
    cause: Frame
    dashboard: Connection
    beat: Heartbeat | None
    within: float

    @property
    def after(self) -> list[Frame]:
        """What the dashboard was told of the agent after the cause."""
        return self.dashboard.about(self.agent.agent_id or "", "AGENT_STATUS", after=self.cause.seq)


def each_cause(t: Timeline) -> Iterator[Told]:
    """Each accepted AGENT_CONNECT and each accepted heartbeat, for each dashboard that watched long enough."""
    for told in _all_causes(t):
        if told.after or told.dashboard.until >= t.bound(told.cause.at, told.within):
            yield told


def _all_causes(t: Timeline) -> Iterator[Told]:
    within = t.contract.within("agent.connected", STATUS)
    for agent in t.agents:
        if agent.init is not None and agent.until > agent.init.at + within / 2:
            yield from (Told(agent, agent.init, d, None, within) for d in watchers(t, agent.user, agent.init))
    within = t.contract.within("agent.heartbeat", STATUS)
    for beat in heartbeats(t):
        if not is_flood(beat):
            for dashboard in watchers(t, beat.agent.user, beat.sent):
                yield Told(beat.agent, beat.sent, dashboard, beat, within)


def sent(told: Told, t: Timeline) -> Iterator[Finding]:
    """At least one AGENT_STATUS within a second."""
    expected = f"AGENT_STATUS within {told.within:g} s"
    if not told.after:
        yield Finding(f"{told.cause.type} brought no AGENT_STATUS to the dashboard", told.cause, "", expected, "none")
    elif told.after[0].at > t.bound(told.cause.at, told.within):
        late = f"{told.after[0].at - told.cause.at:.2f} s later"
        yield Finding("AGENT_STATUS came late", told.after[0], "", expected, late, (told.cause,))


def beats_told(t: Timeline) -> Iterator[Told]:
    """Each heartbeat that was followed by an AGENT_STATUS: its own, or another's up to the end of its time."""
    for told in each_cause(t):
        if told.beat is None or not told.after:
            continue
        own = any(reading.same_metrics(reading.metrics(f.payload), told.beat.metrics) for f in told.after)
        if own or told.dashboard.until >= t.bound(told.cause.at, told.within):
            yield told


def metrics_follow(told: Told, _t: Timeline) -> Iterator[Finding]:
    """One of the messages that follow carries just what the heartbeat reported."""
    assert told.beat is not None  # noqa: S101 - see beats_told
    wanted = told.beat.metrics
    nearest = min(told.after, key=lambda f: len(reading.differing(f.payload.get("metrics"), wanted)))
    shown = nearest.payload.get("metrics")
    for name in reading.differing(shown, wanted):
        says = f"{name} in AGENT_STATUS is not what the last heartbeat reported"
        got = shown.get(name, "nothing") if isinstance(shown, dict) else "nothing"
        yield Finding(says, nearest, f"/payload/metrics/{name}", f"{wanted[name]}", got, (told.cause,))


def before_first_beat(t: Timeline) -> Iterator[tuple[Connection, Frame]]:
    """Each AGENT_STATUS about an agent of ours that has not sent any heartbeat yet."""
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("AGENT_STATUS"):
            agent_id = reading.agent_id(frame.payload)
            mine = [a for a in connections_of(t, agent_id) if a.user == dashboard.user]
            beats = (beats_of(a)[:1] for a in (*mine, *unknown_connections(t, agent_id)))
            if mine and not any(f.seq < frame.seq for first in beats for f in first):
                yield mine[0], frame


def null_at_first(occasion: tuple[Connection, Frame], _t: Timeline) -> Iterator[Finding]:
    """Metrics are null before the first heartbeat."""
    agent, frame = occasion
    if reading.metrics(frame.payload) is not None:
        says = "AGENT_STATUS shows metrics although the agent never reported any"
        got = reading.metrics(frame.payload)
        yield Finding(says, frame, "/payload/metrics", "null before the first heartbeat", got, (agent.opened,))


def connect_and_beat(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics, activityState="IDLE", further=1)
    s.wait(2)


def status_before_answer(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(1)
    beat = agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    dashboard.told("a1", metrics=s.metrics | {"cpuUsage": 12.50})
    agent.gets("ACK", {"messageId": beat.id, "success": True})
    s.wait(2)


def without_name(s: Scene) -> None:
    s.dashboard().told("a1", name=...)


def without_timestamp(s: Scene) -> None:
    s.dashboard().told("a1", timestamp=...)


def health_metrics(s: Scene) -> None:
    s.dashboard().told("a1", metrics=..., healthMetrics=s.health)


def commands_processed(s: Scene) -> None:
    s.dashboard().told("a1", metrics=s.health)


def capabilities_as_flags(s: Scene) -> None:
    s.dashboard().told("a1", capabilities={"supportsTrace": True})


def silent_connect(s: Scene) -> None:
    s.dashboard()
    s.agent("a1")
    s.wait(2)


def silent_heartbeat(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(1)
    agent.heartbeats()
    s.wait(2)


def late_status(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1")
    s.wait(1.6)
    dashboard.told("a1")


def cpu_zero(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics | {"cpuUsage": 0})
    s.wait(2)


def processed_instead(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.health)
    s.wait(2)


def late_status_of_the_connect(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.heartbeats()
    dashboard.told("a1")
    s.wait(0.2)
    dashboard.told("a1", metrics=s.metrics)


def beaten_before_the_ack_was_read(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.closes()
    again = s.socket("agent")
    again.sends("AGENT_CONNECT", {"agentId": "a1"})
    again.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    dashboard.told("a1", metrics=s.metrics)


def zeros_at_first(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1")
    dashboard.told("a1", metrics=dict.fromkeys(s.metrics, 0))


async def connect_and_two_heartbeats(world: World) -> None:
    """Two dashboards watch an agent connect and send two different heartbeats."""
    user = world.user()
    watching = [await user.dashboard(), await user.dashboard()]
    agent = user.new_agent(agentType="CODEX", version="9.8.7")
    before = await agent.connect()
    for dashboard in watching:
        await dashboard.sees("AGENT_STATUS", agent, since=before.seq)
    for step in (1, 2):
        beat = await agent.heartbeat(
            commandsProcessed=step, uptime=60 * step, memoryUsage=100.5 * step, cpuUsage=33.3 * step
        )
        for dashboard in watching:
            await dashboard.sees_beat(agent, beat)
        await world.quiet()  # heartbeats in one breath may be told as one (STA-6)


RULES = (
    Rule(
        id="status.complete",
        clauses=("STA-1",),
        judges="Every AGENT_STATUS has the eight fields a dashboard needs, each of its type.",
        when=statuses,
        check=complete,
        good=(connect_and_beat,),
        bad=(without_name, without_timestamp, health_metrics, commands_processed, capabilities_as_flags),
        cases=(connect_and_two_heartbeats,),
    ),
    Rule(
        id="status.sent-at-each-cause",
        clauses=("STA-2",),
        judges="Each connect and each heartbeat of an agent brings its dashboards an AGENT_STATUS in time.",
        when=each_cause,
        check=sent,
        good=(connect_and_beat, status_before_answer),
        bad=(silent_connect, silent_heartbeat, late_status),
        cases=(connect_and_two_heartbeats,),
    ),
    Rule(
        id="status.metrics-follow-heartbeat",
        clauses=("STA-3",),
        judges="After a heartbeat an AGENT_STATUS carries just the four numbers that were reported.",
        when=beats_told,
        check=metrics_follow,
        good=(connect_and_beat, status_before_answer, late_status_of_the_connect),
        bad=(cpu_zero, processed_instead),
        cases=(connect_and_two_heartbeats,),
    ),
    Rule(
        id="status.metrics-null-at-first",
        clauses=("STA-3",),
        judges="Before the first heartbeat the metrics in AGENT_STATUS are null.",
        when=before_first_beat,
        check=null_at_first,
        good=(connect_and_beat, beaten_before_the_ack_was_read),
        bad=(zeros_at_first,),
        cases=(connect_and_two_heartbeats,),
    ),
)
