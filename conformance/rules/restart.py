"""After a restart of the server nobody is there until he comes back, all views agree, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import command_scene, reading
from conformance.moments import disagreements, moments
from conformance.rest_views import FIELDS, differences
from conformance.restarts import looks, restarts, survivors
from conformance.rule import Finding, Rule, provocation
from conformance.views import OK, RESTART, heartbeats, is_cut_short, rest_agents, snapshot_items, statuses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.moments import Moment
    from conformance.restarts import Survivor
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.views import Item
    from conformance.world.actors import Agent
    from conformance.world.user import User
    from conformance.world.world import World

REPORTED = frozenset({"last_heartbeat", "last_metrics"})
KEPT: Mapping[str, tuple[str, ...]] = {
    "getAgent": tuple(name for name in FIELDS if name not in {"status", "updated_at"}),
    "getCommand": ("id", "content", "type", "targetAgents", "priority", "createdAt"),
}
"""What a restart does not change of a resource: its status may be settled by it."""
ROWS = ("commandId", "agentId", "streamType", "content", "sequence")
HISTORIES = ("getCommandOutput", "getTerminalOutput")
DONE = ("COMPLETED", "FAILED", "CANCELLED")


class Sight(NamedTuple):
    """What a channel showed of an agent after a restart, before it was back."""

    survivor: Survivor
    item: Item


def sights(t: Timeline) -> Iterator[Sight]:
    """Each look of its user at an agent that is not back yet, over REST, in snapshots and in events."""
    owners = {c.id: c.user for c in t.connections}
    for survivor in survivors(t):
        for item in (*rest_agents(t), *snapshot_items(t), *statuses(t)):
            user = owners.get(getattr(item.where, "connection", ""), getattr(item.where, "user", ""))
            seen = survivor.restart.done.seq < item.where.seq < survivor.back and (
                item.where.at > survivor.restart.done.at
            )
            if seen and item.agent_id == survivor.agent_id and user == survivor.user:
                yield Sight(survivor, item)


def not_online(sight: Sight, _t: Timeline) -> Iterator[Finding]:
    """It is not ONLINE."""
    status = reading.status(sight.item.value)
    if status == "ONLINE":
        says = "an agent is ONLINE after a restart of the server, though it has not connected again"
        init = sight.survivor.last.init
        evidence = (*((init,) if init else ()), sight.survivor.restart.begun, sight.survivor.restart.done)
        where, pointer = sight.item.where, f"{sight.item.pointer}/status"
        yield Finding(says, where, pointer, "OFFLINE until it connects again", status, evidence)


def after_restarts(t: Timeline) -> Iterator[Moment]:
    """Each quiet moment after the first restart."""
    if first := next(iter(restarts(t)), None):
        yield from (m for m in moments(t) if m.since > first.done.at)


def _just_reported(t: Timeline, before: Exchange) -> bool:
    """Whether an agent had beaten so shortly before the backend was killed that this need not have been kept (HB-2)."""
    killed = any(n.kind == RESTART[0] and n.data.get("how") == "killed" and n.at >= before.ended for n in t.notes)
    mine = (b for b in heartbeats(t) if before.path.endswith(f"/{b.agent_id}") and b.sent.at < before.ended)
    return killed and any(is_cut_short(t, b) for b in mine)


def unchanged(pair: tuple[Exchange, Exchange], t: Timeline) -> Iterator[Finding]:
    """What was there before is there after, as it was."""
    before, after = pair
    if after.status != OK:
        says = f"{after.label} is answered {after.status} after a restart of the server"
        yield Finding(says, after, "", "what it showed before", after.status, (before,))
    elif before.operation in HISTORIES:
        lost = Counter(map(_row, reading.rows(before.value) or ())) - Counter(
            map(_row, reading.rows(after.value) or ())
        )
        if lost:
            says = f"{lost.total()} pieces of terminal output are gone after a restart of the server"
            yield Finding(says, after, "/data", "all that was shown before", "less", (before,))
    elif before.operation is not None:
        left, right = reading.one(before.value) or {}, reading.one(after.value) or {}
        names = KEPT[before.operation]
        if before.operation == "getCommand" and reading.status(left) in DONE:
            names = (*names, "status", "completedAt")
        if before.operation == "getAgent" and _just_reported(t, before):
            names = tuple(name for name in names if name not in REPORTED)
        for name in differences(left, right, names):
            says = f"a restart of the server changed {name} in {after.label}"
            yield Finding(says, after, f"/data/{name}", str(left.get(name)), right.get(name), (before,))


def kept(t: Timeline) -> Iterator[tuple[Exchange, Exchange]]:
    """Each pair of looks at something that is kept."""
    return (pair for pair in looks(t) if pair[0].operation in {*KEPT, *HISTORIES})


def _rows(e: Exchange) -> Counter[tuple[str, ...]]:
    return Counter(map(_row, reading.rows(e.value) or ()))


def _row(row: Any) -> tuple[str, ...]:
    return tuple(repr(row.get(name)) for name in ROWS) if isinstance(row, dict) else (repr(row),)


def _restart(s: Scene, how: str = "asked to") -> None:
    s.note("restarting", how=how)
    s.wait(1)
    s.note("restarted")


def comes_back(s: Scene) -> None:
    agent = s.agent("a1")
    agent.heartbeats()
    s.shows(s.row("a1", last_metrics=s.metrics))
    command_scene.shows(s, status="QUEUED")
    command_scene.shows(s, command_scene.TWO, "COMPLETED")
    _output(s, "one", "two")
    _restart(s)
    agent.closes(by="backend", code=1001)
    dashboard = s.dashboard(s.item("a1", status="OFFLINE"))
    s.shows(s.row("a1", status="OFFLINE", last_metrics=s.metrics))
    command_scene.shows(s, status="FAILED")
    command_scene.shows(s, command_scene.TWO, "COMPLETED")
    _output(s, "one", "two")
    s.agent("a1")
    dashboard.told("a1", metrics=s.metrics)
    s.note("quiet")
    s.shows(s.row("a1", last_metrics=s.metrics))
    s.wait(1)


def renamed_while_it_was_read(s: Scene) -> None:
    comes_back(s)
    s.agent("a2")
    asked = s.seconds
    s.shows(s.row("a2"))
    s.rest("PATCH", "/agents/a2", 200, {"success": True, "data": s.row("a2", name="Eve")}, at=asked)
    _restart(s)
    s.shows(s.row("a2", name="Eve", status="OFFLINE"))


def _output(s: Scene, *contents: str) -> None:
    rows = [
        {"commandId": command_scene.ONE, "agentId": "a1", "streamType": "STDOUT", "content": text, "sequence": n}
        for n, text in enumerate(contents)
    ]
    body = {"success": True, "data": rows, "pagination": {"total": len(rows), "limit": 1000, "offset": 0}}
    s.rest("GET", f"/commands/{command_scene.ONE}/output", 200, body)


def _beaten_just_before(s: Scene, how: str) -> None:
    agent = s.agent("a1")
    agent.heartbeats()
    s.wait(2)
    agent.heartbeats(cpuUsage=99)
    s.shows(s.row("a1", last_metrics=s.metrics | {"cpuUsage": 99}))
    _restart(s, how)
    s.shows(s.row("a1", status="OFFLINE", last_metrics=s.metrics))


def beaten_just_before_a_kill(s: Scene) -> None:
    _beaten_just_before(s, "killed")


def beaten_just_before_an_orderly_end(s: Scene) -> None:
    _beaten_just_before(s, "asked to")


def still_online(s: Scene) -> None:
    s.agent("a1")
    _restart(s)
    s.shows(s.row("a1"))


def online_in_snapshot(s: Scene) -> None:
    s.agent("a1")
    _restart(s)
    s.dashboard(s.item("a1"))


def online_by_event(s: Scene) -> None:
    s.agent("a1")
    _restart(s)
    s.dashboard(s.item("a1", status="OFFLINE")).told("a1")


def views_differ(s: Scene) -> None:
    agent = s.agent("a1")
    _restart(s)
    agent.closes(by="backend", code=1001)
    dashboard = s.dashboard(s.item("a1", status="OFFLINE"))
    s.agent("a1")
    dashboard.told("a1")
    s.note("quiet")
    s.shows(s.row("a1", status="OFFLINE"))
    s.wait(1)


def agent_forgotten(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1"))
    _restart(s)
    s.fails("GET", "/agents/a1", 404)


def metrics_forgotten(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.shows(s.row("a1", last_metrics=s.metrics))
    _restart(s)
    s.shows(s.row("a1", status="OFFLINE"))


def output_forgotten(s: Scene) -> None:
    _output(s, "one", "two")
    _restart(s)
    _output(s, "one")


def completed_again(s: Scene) -> None:
    command_scene.shows(s, status="COMPLETED")
    _restart(s)
    command_scene.shows(s, status="FAILED")


async def _gone_and_back(world: World, user: User, agents: list[Agent], paths: list[str], *, kill: bool) -> None:
    """All is read, the server restarted, all read again, then one agent comes back and beats before a dashboard."""
    paths = [*(f"/agents/{agent.id}" for agent in agents), *paths]
    await world.quiet()
    await asyncio.gather(*(user.rest.get(path) for path in paths))
    if not await world.restart(kill=kill):
        return
    await asyncio.gather(*(user.rest.get(path) for path in paths))
    await user.rest.all_agents()
    dashboard = await user.dashboard()
    back = agents[0]
    sent = await back.connect()
    await dashboard.sees("AGENT_STATUS", back, since=sent.seq, status="ONLINE")
    beat = await back.heartbeat(commandsProcessed=77, uptime=7)
    await dashboard.sees_beat(back, beat)
    await user.rest.shows(back.id, status="ONLINE", beat=beat)
    await world.quiet()
    await asyncio.gather(*(user.rest.get(path) for path in paths))
    await user.rest.all_agents()
    await user.dashboard()


@provocation(alone=True, needs="restart", budget=90.0)
async def asked_to_end(world: World) -> None:
    """Two agents are connected and one has left; the server is restarted; one agent comes back."""
    async with world.own() as node:
        if node is None:
            return
        user = world.user(0, node)
        watcher = await user.dashboard()
        agents = [await user.agent(agentType=kind) for kind in ("CLAUDE", "GEMINI", "CODEX")]
        for number, agent in enumerate(agents):
            beat = await agent.heartbeat(commandsProcessed=number, uptime=100 + number)
            await watcher.sees_beat(agent, beat)
        before = await agents[2].leave()
        await watcher.sees("AGENT_DISCONNECT", agents[2], since=before)
        await _gone_and_back(world, user, agents, [], kill=False)


@provocation(alone=True, needs="restart kill commands terminal", budget=90.0)
async def ended_at_once(world: World) -> None:
    """One command is done, one executes and one waits, with terminal output, when the server is killed."""
    async with world.own() as node:
        if node is None:
            return
        user = world.user(0, node)
        watcher, agent = await user.dashboard(), await user.agent()
        done = await watcher.request(agent, "Build it")
        await agent.takes(done)
        await agent.ack(done)
        for line in ("one\r\n", "", "\x1b[31mthree\x1b[0m"):
            await agent.prints(line, command=done)
        await agent.complete(done)
        await watcher.sees_command(done, "COMPLETED")
        executing = await watcher.request(agent, "Test it")
        await agent.takes(executing)
        await agent.ack(executing)
        await agent.prints("half of it", command=executing, stream="STDERR")
        absent = await user.agent()
        before = await absent.leave()
        await watcher.sees("AGENT_DISCONNECT", absent, since=before)
        waiting = await watcher.request(absent, "Wait for me")
        commands = [done, executing, waiting]
        paths = [f"/commands/{c}" for c in commands] + [f"/commands/{c}/output" for c in commands[:2]]
        await _gone_and_back(world, user, [agent, absent], paths, kill=True)


RULES = (
    Rule(
        id="restart.nobody-online",
        clauses=("CON-7",),
        judges="After a restart of the server no channel shows an agent as ONLINE before it has connected again.",
        when=sights,
        check=not_online,
        good=(comes_back,),
        bad=(still_online, online_in_snapshot, online_by_event),
        cases=(asked_to_end, ended_at_once),
    ),
    Rule(
        id="restart.views-agree",
        clauses=("CNS-4",),
        judges="At a quiet moment after a restart of the server the four views of each agent agree.",
        when=after_restarts,
        check=disagreements,
        good=(comes_back,),
        bad=(views_differ,),
        cases=(asked_to_end,),
    ),
    Rule(
        id="restart.nothing-lost",
        clauses=("CNS-4", "CON-3"),
        judges="Agents, commands and terminal output that REST showed before a restart are there after it.",
        when=kept,
        check=unchanged,
        good=(
            comes_back,
            beaten_just_before_a_kill,
            renamed_while_it_was_read,
        ),
        bad=(agent_forgotten, metrics_forgotten, output_forgotten, completed_again, beaten_just_before_an_orderly_end),
        cases=(asked_to_end, ended_at_once),
    ),
)
