"""Commands wait for an agent that is away, and for no more than there is room for (CMD-5)."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import NOTICED, Task, tasks
from conformance.command_orders import requests
from conformance.command_scene import TWO, accepts, acks, asks, completes, refuses, resource, shows, takes, told
from conformance.command_views import readings
from conformance.dialogue import Said
from conformance.rest_views import code, is_failure, judged
from conformance.rule import Finding, Rule, provocation
from conformance.rules.commands_delivery import Turn, once, turns
from conformance.timeline import Exchange
from conformance.views import Loss, losses, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.actors import Agent, Dashboard
    from conformance.world.world import World

ROOM = 1000
FULL = "QUEUE_FULL"
CONFLICT = 409
EACH, PACE = 40, 30
"""A dashboard sends that many commands to fill a queue, at that many a second: below every rate limit."""


class Waiting(NamedTuple):
    """A command whose agent was away when it was asked for, and what was said of it while the agent was."""

    task: Task
    where: Frame | Exchange
    pointer: str
    status: object


def _away(t: Timeline, task: Task) -> tuple[float, float] | None:
    """From when to when the agent was surely away, if it was when the command was asked for."""
    mine = [a for a in t.agents if a.agent_id == task.agent_id and a.user == task.order.user]
    gone = [x for x in t.remember(_losses) if x[0].agent_id == task.agent_id and x[0].agent.user == task.order.user]
    for loss, noticed in gone:
        if noticed < task.order.cause.at and task.order.settled < loss.back_at:
            return task.order.cause.at, min([a.opened.at for a in mine if a.opened.at > loss.closed.at] + [t.end])
    return None


def _noticed(t: Timeline, loss: Loss) -> float:
    """By when the backend surely knew of a loss: it said so, or had the time that the contract gives it."""
    end, agent = loss.closed.at, loss.agent
    told = [
        f.at for d in t.dashboards_of(agent.user) for f in d.about(loss.agent_id, "AGENT_DISCONNECT") if f.at >= end
    ]
    rows = (i for i in reads(t, agent) if isinstance(i.where, Exchange) and i.where.at >= end)
    told += [i.where.ended for i in rows if reading.status(i.value) == "OFFLINE"]  # type: ignore[union-attr]
    return min([*told, t.bound(end, NOTICED)])


def _losses(t: Timeline) -> list[tuple[Loss, float]]:
    return [(loss, _noticed(t, loss)) for loss in losses(t)]


def waiting(t: Timeline) -> Iterator[Waiting]:
    """What dashboards and REST were told of a command while its agent was away."""
    for task in tasks(t):
        away = _away(t, task) if task.single else None
        end = task.end
        until = min(away[1] if away else 0.0, task.unsure, end.at if end else t.end)
        if away is None:
            continue
        for r in readings(t, task.order):
            if away[0] <= r.where.at and r.where.ended < until:
                yield Waiting(task, r.where, f"{r.pointer}/status", r.status)
        for dashboard in t.dashboards_of(task.order.user):
            for frame in dashboard.of_kind("COMMAND_STATUS"):
                if frame.payload.get("commandId") == task.id and frame.at <= until:
                    yield Waiting(task, frame, "/payload/status", frame.payload.get("status"))


def queued(one: Waiting, _t: Timeline) -> Iterator[Finding]:
    """QUEUED (or PENDING before)."""
    if one.status not in {"QUEUED", "PENDING"}:
        says = "a command for an agent that is away does not wait as QUEUED"
        yield Finding(says, one.where, one.pointer, "QUEUED", one.status, (one.task.order.cause,))


def _was_delivered(task: Task) -> bool:
    return bool(task.deliveries)


def again(t: Timeline) -> Iterator[Turn]:
    """Each command that was delivered and not started, for each later connection of its agent."""
    for turn in turns(_was_delivered)(t):
        first = turn.task.deliveries[0][0]
        if turn.agent is not first and turn.agent.opened.at > first.opened.at:
            yield turn


class Full(NamedTuple):
    """A request for an agent that is away, and how many commands surely, and at most, wait for it."""

    by: Said | Exchange
    least: int
    most: int


def knocks(t: Timeline) -> Iterator[Full]:
    """Each request once an agent that is away has more than half of the room taken, and each that was refused so."""
    by_agent: dict[str, list[Said | Exchange]] = {}
    for s in requests(t):
        if s.answers:
            by_agent.setdefault(s.sent.payload["agentId"], []).append(s)
    for e in judged(t):
        targets = e.request.get("targetAgents") if isinstance(e.request, dict) else None
        if e.operation == "createCommand" and isinstance(targets, list) and len(targets) == 1:
            by_agent.setdefault(str(targets[0]), []).append(e)
    for agent_id, asked in by_agent.items():
        yield from _counted(t, agent_id, sorted(asked, key=_began))


def _counted(t: Timeline, agent_id: str, asked: list[Said | Exchange]) -> Iterator[Full]:
    mine = [x for x in tasks(t) if x.agent_id == agent_id]
    half = t.terms.queue_room // 2
    crowded = len(mine) > half
    from_half = mine[half].order.settled if crowded else float("inf")
    began = sorted(x.order.cause.at for x in mine)
    waiting = sorted(x.order.settled for x in mine if _away(t, x) is not None) if crowded else []
    ended = sorted(x.end.at for x in mine if x.end is not None)
    lives = [(c.opened.at, c.until) for c in t.agents if c.agent_id == agent_id]
    for a in asked:
        at, settled = _began(a), _ended(a)
        if any(opened < settled and at < until for opened, until in lives) or (at < from_half and not _is_full(a)):
            continue
        least = bisect_left(waiting, at) - bisect_left(ended, settled)
        yield Full(a, least, bisect_left(began, settled) - int(not _is_full(a)))


def _cause(a: Said | Exchange) -> Frame | Exchange:
    return a.sent if isinstance(a, Said) else a


def _began(a: Said | Exchange | Frame) -> float:
    return a.sent.at if isinstance(a, Said) else a.at


def _ended(a: Said | Exchange | Frame) -> float:
    return a.ended if isinstance(a, Exchange) else a.answers[0].at if isinstance(a, Said) else a.at


def _is_full(a: Said | Exchange) -> bool:
    if isinstance(a, Exchange):
        return a.status == CONFLICT and code(a.value) == FULL
    return any(e.payload.get("code") == FULL for e in a.errors)


def room_kept(full: Full, t: Timeline) -> Iterator[Finding]:
    """Refused as QUEUE_FULL beyond a thousand, and not before."""
    a = full.by
    rest, room = isinstance(a, Exchange), t.terms.queue_room
    expected = f"{'409' if rest else 'ERROR'} {FULL} beyond {room} waiting commands, and not before"
    if full.least >= room and not _is_full(a):
        got = a.status if isinstance(a, Exchange) else a.answers[0].payload.get("code", a.answers[0].type)
        says = f"a command is not refused as {FULL} although {full.least} wait: the queue grows without bound"
        yield Finding(says, _cause(a), "", expected, got)
    elif full.most < room and _is_full(a):
        yield Finding(f"a command is refused as {FULL} although only {full.most} wait", _cause(a), "", expected, FULL)
    elif isinstance(a, Exchange) and _is_full(a) and not is_failure(a.value):
        yield Finding("the 409 has no failure body", a, "", "success false and error", a.text[:80])


def waits_and_comes(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    agent.closes()
    s.wait(2)
    asks(dashboard)
    told(dashboard, "QUEUED")
    shows(s)
    again = s.agent("a1")
    takes(again)
    acks(again, status="RECEIVED")
    again.closes()
    s.wait(0.5)
    third = s.agent("a1")
    takes(third)
    acks(third)
    completes(third)
    told(dashboard, "COMPLETED")


def dropped(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    agent.closes()
    s.wait(2)
    asks(dashboard)
    told(dashboard, "FAILED")


def not_delivered_again(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    agent.closes()
    s.agent("a1")
    s.wait(5)


def delivered_again_twice(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    agent.closes()
    again = s.agent("a1")
    takes(again)
    takes(again)


def never_comes(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    agent.closes()
    s.wait(2)
    asks(dashboard)
    s.agent("a1")
    s.wait(5)


def _fill(s: Scene, count: int, *refused: int) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    agent.closes()
    s.wait(2)
    for number in range(count):
        if number in refused:
            payload = {"agentId": "a1", "content": "x", "type": "PLAN"}
            refuses(dashboard, dashboard.sends("COMMAND_REQUEST", payload), FULL)
        else:
            asks(dashboard, f"{number:08x}-0000-4000-8000-000000000000")
            s.wait(0.02)


def comes_back_while_one_more_is_asked_for(s: Scene) -> None:
    _fill(s, ROOM + 1, ROOM)
    dashboard = s.dashboard()
    sent = dashboard.sends("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"})
    agent = s.agent("a1")
    takes(agent, f"{0:08x}-0000-4000-8000-000000000000")
    acks(agent, f"{0:08x}-0000-4000-8000-000000000000")
    accepts(dashboard, sent, commandId=TWO)


def full_after_a_thousand(s: Scene) -> None:
    _fill(s, ROOM + 1, ROOM)
    asked = {"content": "x", "type": "PLAN", "targetAgents": ["a1"]}
    s.rest("POST", "/commands", 409, {"success": False, "error": "Full", "code": FULL}, request=asked)


def never_full(s: Scene) -> None:
    _fill(s, ROOM + 1)


def full_too_early(s: Scene) -> None:
    _fill(s, 4, 3)


def never_full_over_rest(s: Scene) -> None:
    _fill(s, ROOM)
    asked = {"content": "x", "type": "PLAN", "targetAgents": ["a1"]}
    s.rest("POST", "/commands", 201, {"success": True, "data": resource(TWO)}, request=asked)


async def away_and_back(world: World) -> None:
    """Commands are asked for while an agent is away; it comes, leaves without starting them, and comes again."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    one, two = await dashboard.request(agent), await user.rest.command(agent.id)
    await dashboard.sees_command(two, "QUEUED")
    await world.quiet()
    for command in (one, two):
        await user.rest.get(f"/commands/{command}")
    await agent.connect()
    await agent.takes(one)
    await agent.ack(one, "RECEIVED")
    await world.quiet()
    before = await agent.crash()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    await world.quiet()
    for command in (one, two):
        await user.rest.get(f"/commands/{command}")
    await agent.connect()
    for command in (one, two):
        await agent.runs(command)
    await world.quiet()


async def replaced_with_a_command(world: World) -> None:
    """An agent connects anew while it has a command that it has not started; it starts it on the new connection."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    old = agent.link
    await agent.connect()
    await old.ended(within=1.0)
    await agent.runs(command)
    later = await dashboard.request(agent)
    await agent.runs(later)
    await world.quiet()


@provocation(needs="short-queue commands")
async def a_full_queue(world: World) -> None:
    """As many commands as there is room for, for an agent that is away; then one more on each channel."""
    await _full(world)


@provocation(needs="load patience commands", alone=True, budget=90.0)
async def a_full_queue_of_a_thousand(world: World) -> None:
    """The same, where the target has the contract's own room."""
    if world.site.terms.queue_room >= ROOM:
        await _full(world)


async def _full(world: World) -> None:
    user = world.user()
    agent, other = await user.agent(), await user.agent()
    command = await user.rest.command(other.id)
    await agent.leave()
    await user.rest.shows(agent.id, status="OFFLINE")
    narrow = {"agents": [other.id], "commands": [command], "terminals": False, "traces": False}
    room = world.site.terms.queue_room
    senders = [await user.dashboard(subscriptions=narrow) for _ in range(-(-room // EACH))]
    counts = [min(EACH, room - EACH * n) for n in range(len(senders))]
    await asyncio.gather(*(_fill_up(d, agent, count) for d, count in zip(senders, counts, strict=True)))
    await senders[0].request(agent, "One too many")
    await user.rest.command(agent.id, content="One too many")
    await user.rest.delete(f"/agents/{agent.id}")


async def _fill_up(dashboard: Dashboard, agent: Agent, count: int) -> None:
    """Commands one after the other, without waiting for each answer, then for all."""
    clock = asyncio.get_running_loop().time
    start = clock()
    sent = None
    for number in range(count):
        payload = {"agentId": agent.id, "content": f"Number {number}", "type": "NATURAL"}
        sent = await dashboard.link.send("COMMAND_REQUEST", payload)
        await asyncio.sleep(max(0.0, start + number / PACE - clock()))
    if sent is not None:
        await dashboard.link.answer(sent, within=60.0 if count == EACH else 5.0)


RULES = (
    Rule(
        id="offline.waits-as-queued",
        clauses=("CMD-5",),
        judges="A command for an agent that is away waits as QUEUED.",
        when=waiting,
        check=queued,
        good=(waits_and_comes,),
        bad=(dropped,),
        cases=(away_and_back,),
    ),
    Rule(
        id="offline.delivered-again",
        clauses=("CMD-5",),
        judges="A command that was delivered and not started is delivered again, once, on the agent's next connection.",
        when=again,
        check=once,
        good=(waits_and_comes,),
        bad=(not_delivered_again, delivered_again_twice),
        cases=(away_and_back, replaced_with_a_command),
    ),
    Rule(
        id="offline.delivered-on-return",
        clauses=("CMD-5",),
        judges="A command that was asked for while its agent was away is delivered once when it comes.",
        when=lambda t: (turn for turn in turns(lambda _: True)(t) if _away(t, turn.task) is not None),
        check=once,
        good=(waits_and_comes,),
        bad=(never_comes,),
        cases=(away_and_back,),
    ),
    Rule(
        id="queue.full",
        clauses=("CMD-5", "CMD-R4"),
        judges="Beyond 1,000 waiting commands, and not before, the next is refused as QUEUE_FULL.",
        when=knocks,
        check=room_kept,
        good=(full_after_a_thousand, comes_back_while_one_more_is_asked_for),
        bad=(never_full, full_too_early, never_full_over_rest),
        cases=(a_full_queue, a_full_queue_of_a_thousand),
    ),
)
