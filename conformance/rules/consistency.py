"""All channels say the same: list, single, fresh snapshot, and snapshot plus events (CNS-1, DSH-4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.moments import EVENTS, disagreements, moments
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World


def early_events(t: Timeline) -> Iterator[tuple[Frame, list[Frame]]]:
    """Each dashboard's first snapshot, with what was said of agents before it."""
    for dashboard in t.dashboards:
        if dashboard.snapshots:
            yield dashboard.snapshots[0], dashboard.of_kind(*EVENTS, "AGENT_ERROR")


def none_before(occasion: tuple[Frame, list[Frame]], _t: Timeline) -> Iterator[Finding]:
    """No event about an agent comes before the snapshot."""
    snapshot, events = occasion
    for event in events:
        if event.seq < snapshot.seq:
            says = f"{event.type} comes before the snapshot: the dashboard knows no such agent yet"
            yield Finding(says, event, "", "dashboard:connected first", event.type, (snapshot,))


def agree(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics)
    s.note("quiet")
    row = s.row("a1", last_heartbeat="2025-10-09T08:53:20.123456+00:00", last_metrics=s.metrics)
    s.shows(row)
    s.lists(row)
    s.dashboard(s.item("a1", lastHeartbeat="2025-10-09T08:53:20.123Z"))
    s.wait(1)


def agree_on_lost(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    s.note("quiet")
    s.shows(s.row("a1", status="OFFLINE"))
    s.wait(1)


def loss_noticed_while_it_is_read(s: Scene) -> None:
    agree(s)
    agent = s.agent("a2")
    agent.closes(by="fault", code=None)
    s.note("quiet")
    s.lists(s.row("a2"), query={"limit": "100", "offset": "0"})
    s.shows(s.row("a2", status="OFFLINE"))
    s.wait(1)


def list_differs(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.note("quiet")
    s.shows(s.row("a1", last_metrics=s.metrics))
    s.lists(s.row("a1", last_metrics=s.metrics | {"cpuUsage": 0}))
    s.wait(1)


def snapshot_forgets(s: Scene) -> None:
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.dashboard(s.item("a2"))
    s.wait(1)


def listed_twice(s: Scene) -> None:
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.lists(s.row("a1"), s.row("a1"), query={"limit": "100", "offset": "0"})
    s.wait(1)


def snapshot_stale(s: Scene) -> None:
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.dashboard(s.item("a1", status="OFFLINE"))
    s.wait(1)


def event_lost(s: Scene) -> None:
    s.dashboard(s.item("a1", status="OFFLINE"))
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.wait(1)


def older_event_after_snapshot(s: Scene) -> None:
    s.agent("a1").closes()
    dashboard = s.dashboard(s.item("a1", status="OFFLINE"))
    dashboard.told("a1", status="ONLINE")
    s.note("quiet")
    s.shows(s.row("a1", status="OFFLINE"))
    s.wait(1)


def mixed_case(s: Scene) -> None:
    s.dashboard().told("a1", status="online")
    s.agent("a1")
    s.note("quiet")
    s.shows(s.row("a1"))
    s.wait(1)


def event_first(s: Scene) -> None:
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.told("a1")
    dashboard.snapshot(s.item("a1"))


async def several_agents(world: World) -> None:
    """Agents of each type connect, beat and leave while a dashboard watches; then every channel is read."""
    user = world.user()
    early = await user.dashboard()
    agents = await asyncio.gather(*(user.agent(agentType=kind) for kind in ("CLAUDE", "GEMINI", "CODEX")))
    for step, agent in enumerate(agents):
        beat = await agent.heartbeat(
            commandsProcessed=step + 1, uptime=10 + step, memoryUsage=300 + step, cpuUsage=1.5 + step
        )
        await early.sees_beat(agent, beat)
        await user.rest.shows(agent.id, beat=beat)
    before = await agents[0].leave()
    await early.sees("AGENT_DISCONNECT", agents[0], since=before)
    await user.rest.shows(agents[0].id, status="OFFLINE")
    await world.quiet()
    await _read_all(world, [a.id for a in agents])


async def coming_and_going_while_dashboards_open(world: World) -> None:
    """Agents connect, beat and leave while dashboards ask for their snapshots, all at the same time."""
    user = world.user()
    agents = [user.new_agent() for _ in range(4)]

    async def live(number: int) -> Frame:
        agent = agents[number]
        await agent.connect()
        await agent.heartbeat(commandsProcessed=number, uptime=100 + number)
        beat = await agent.heartbeat(commandsProcessed=10 + number, uptime=200 + number)
        if number % 2:
            await agent.leave()
        return beat

    lives = asyncio.gather(*(live(n) for n in range(4)))
    await asyncio.gather(lives, *(user.dashboard() for _ in range(4)))
    for number, beat in enumerate(await lives):
        await user.rest.shows(agents[number].id, status="OFFLINE" if number % 2 else "ONLINE", beat=beat)
    await world.quiet()
    await _read_all(world, [a.id for a in agents])


async def dashboards_open_at_a_loss(world: World) -> None:
    """Agents beat and leave, and at each of these moments a dashboard asks for its snapshot; then all is read."""
    user = world.user()
    agents = []
    for number in range(3):
        agent = await user.agent()
        await agent.say_heartbeat(commandsProcessed=40 + number)
        opening = asyncio.gather(user.dashboard(), user.dashboard())
        await agent.leave()
        await opening
        await user.dashboard()
        agents.append(agent)
    for agent in agents:
        await user.rest.shows(agent.id, status="OFFLINE")
    await world.quiet()
    await _read_all(world, [a.id for a in agents])


async def changes_just_after_a_snapshot(world: World) -> None:
    """Each of several agents beats, for the last time, in the instant in which a dashboard asks for its snapshot.

    Both are with the backend before it looks at either, so that how busy this machine is decides nothing; then, in
    turn, in the instant in which the snapshot has come.
    """
    user = world.user()
    agents = await asyncio.gather(*(user.agent() for _ in range(8)))
    dashboards = await asyncio.gather(*(user.bare_dashboard() for _ in agents))
    beats = []
    for number, (agent, dashboard) in enumerate(zip(agents, dashboards, strict=True)):
        opening = dashboard.init(**user.wish())
        if number % 2:
            await opening
            beats.append(await agent.say_heartbeat(commandsProcessed=70 + number))
        else:
            _, beat = await asyncio.gather(opening, agent.say_heartbeat(commandsProcessed=70 + number))
            beats.append(beat)
    for agent, beat in zip(agents, beats, strict=True):
        await user.rest.shows(agent.id, status="ONLINE", beat=beat)
    await world.quiet()
    await _read_all(world, [a.id for a in agents])


async def _read_all(world: World, ids: list[str]) -> None:
    user = world.user()
    for agent_id in ids:
        await user.rest.get(f"/agents/{agent_id}")
    await user.rest.all_agents()
    await user.dashboard()


RULES = (
    Rule(
        id="consistency.channels-agree",
        clauses=("CNS-1",),
        judges="At a quiet moment list, single, fresh snapshot and snapshot plus events say the same of each agent.",
        when=moments,
        check=disagreements,
        good=(agree, agree_on_lost, loss_noticed_while_it_is_read),
        bad=(list_differs, snapshot_stale, snapshot_forgets, listed_twice, event_lost, mixed_case),
        cases=(several_agents,),
    ),
    Rule(
        id="consistency.nothing-lost-around-snapshot",
        clauses=("DSH-4", "CNS-2"),
        judges="A snapshot and the events after it give the present state, whatever happened while it was made.",
        when=moments,
        check=disagreements,
        good=(agree, agree_on_lost),
        bad=(event_lost, snapshot_stale, older_event_after_snapshot),
        cases=(
            coming_and_going_while_dashboards_open,
            dashboards_open_at_a_loss,
            changes_just_after_a_snapshot,
        ),
    ),
    Rule(
        id="consistency.no-event-before-snapshot",
        clauses=("DSH-4",),
        judges="No event about an agent reaches a dashboard before its snapshot.",
        when=early_events,
        check=none_before,
        good=(agree,),
        bad=(event_first,),
        cases=(coming_and_going_while_dashboards_open,),
    ),
)
