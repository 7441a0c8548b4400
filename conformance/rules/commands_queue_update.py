"""QUEUE_UPDATE tells an agent's queue as it is, after each change of it (CMD-4)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_life import Step, Task, task_of, tasks
from conformance.command_scene import ONE, THREE, TWO, acks, asks, cancels, completes, creates, queue, takes
from conformance.rule import Finding, Rule
from conformance.rules.commands_queue import outranks
from conformance.views import watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0


class Change(NamedTuple):
    """A change of an agent's queue, a dashboard that watches, and the queue as it is afterwards."""

    task: Task
    step: Step
    dashboard: Connection
    until: float
    """When it changes again."""
    executing: frozenset[str]
    queued: frozenset[str]


def changes(t: Timeline) -> Iterator[Change]:
    """Each change that is known for sure, with what holds after it, told or waited for long enough."""
    queues: dict[tuple[str, str], list[Task]] = {}
    for task in tasks(t):
        queues.setdefault((task.order.user, task.agent_id), []).append(task)
    for queue_of in queues.values():
        steps = sorted(((s, x) for x in queue_of for s in x.known), key=lambda pair: pair[0].at)
        doubt = min([x.unsure for x in queue_of] + [t.end])
        nexts = [s.at for s, _ in steps[1:]] + [t.end]
        for (step, task), following in zip(steps, nexts, strict=bool(steps)):
            until = min(following, doubt)
            if until > step.settled and step.by not in {"deletion", "stop"}:
                yield from _watched(t, queue_of, task, step, until)


def _watched(t: Timeline, queue_of: list[Task], task: Task, step: Step, until: float) -> Iterator[Change]:
    due = t.bound(step.settled, WITHIN)
    told = any(d.about(task.agent_id, "QUEUE_UPDATE", after=step.cause.seq) for d in t.dashboards_of(task.order.user))
    if not told and until <= due:
        return
    now = {x.id: x.status(step.settled) for x in queue_of}
    if None in now.values():
        return
    executing = frozenset(i for i, status in now.items() if status == "EXECUTING")
    queued = frozenset(i for i, status in now.items() if status in {"PENDING", "QUEUED"})
    for dashboard in watchers(t, task.order.user, step.cause):
        change = Change(task, step, dashboard, until, executing, queued)
        frames = _after(change)
        if any(_fits(change, f, t) for f in frames) or (until > due and dashboard.until > due):
            yield change


def _after(change: Change) -> list[Frame]:
    frames = change.dashboard.about(change.task.agent_id, "QUEUE_UPDATE")
    return [f for f in frames if change.step.at <= f.at]


def _fits(change: Change, frame: Frame, t: Timeline) -> bool:
    known = change.executing | change.queued | {change.task.id}
    executing, queued = t.remember(_listed)[frame.seq]
    return executing & known == change.executing and queued & known == change.queued


def _listed(t: Timeline) -> dict[int, tuple[set[str], set[str]]]:
    """The ids of the commands that each QUEUE_UPDATE lists as executing, and as queued, by its `seq`."""
    return {f.seq: (_ids(f, "executing"), _ids(f, "queued")) for f in updates(t)}


def _ids(frame: Frame, name: str) -> set[str]:
    return {reading.command_id(row) or "" for _, row in rows(frame, name)}


def rows(frame: Frame, name: str) -> list[tuple[int, dict[str, Any]]]:
    """The commands that a QUEUE_UPDATE lists under a name, with their place in that list."""
    found = frame.payload.get(name)
    return [(i, r) for i, r in enumerate(found if isinstance(found, list) else ()) if isinstance(r, dict)]


def told(change: Change, t: Timeline) -> Iterator[Finding]:
    """Within a second one that shows the queue as it is then."""
    due = t.bound(change.step.settled, WITHIN)
    frames = _after(change)
    right = [f for f in frames if _fits(change, f, t)]
    if right and right[0].at <= due:
        return
    expected = (
        f"within {WITHIN:g} s QUEUE_UPDATE with executing {_said(change.executing)}, queued {_said(change.queued)}"
    )
    evidence = (change.task.order.cause, change.dashboard.opened)
    soon = [f for f in frames if f.at <= due]
    if right:
        late = f"{right[0].at - change.step.settled:.2f} s later"
        yield Finding("QUEUE_UPDATE came late", right[0], "", expected, late, (change.step.cause,))
    elif soon:
        got = f"executing {_said(_ids(soon[-1], 'executing'))}, queued {_said(_ids(soon[-1], 'queued'))}"
        says = f"QUEUE_UPDATE does not show the queue after a command became {change.step.status}"
        yield Finding(says, soon[-1], "/payload", expected, got, (change.step.cause, *evidence))
    else:
        says = f"a command became {change.step.status} and no QUEUE_UPDATE tells of the queue"
        yield Finding(says, change.step.cause, "", expected, "none", evidence)


def _said(ids: frozenset[str] | set[str]) -> str:
    return f"[{', '.join(sorted(ids))}]"


def updates(t: Timeline) -> Iterator[Frame]:
    """Each QUEUE_UPDATE that a dashboard got."""
    for dashboard in t.dashboards:
        yield from dashboard.of_kind("QUEUE_UPDATE")


def well_made(frame: Frame, t: Timeline) -> Iterator[Finding]:
    """QueueSize counts queued[], whose positions run from 0, the next one first; nothing is in both lists."""
    listed = rows(frame, "queued")
    size = frame.payload.get("queueSize")
    if size != len(listed):
        says = "queueSize is not the length of queued[]"
        yield Finding(says, frame, "/payload/queueSize", f"{len(listed)}", size)
    positions = [row.get("position") for _, row in listed]
    if sorted(positions, key=repr) != sorted(range(len(listed)), key=repr):
        says = "the positions in queued[] do not run from 0 without a gap"
        yield Finding(says, frame, "/payload/queued", f"{list(range(len(listed)))}", positions)
    ids = [reading.command_id(row) for name in ("queued", "executing") for _, row in rows(frame, name)]
    if len(set(ids)) < len(ids):
        says = "a command is twice in a QUEUE_UPDATE"
        yield Finding(says, frame, "/payload", "each command once, waiting or executing", ids)
    elif all(isinstance(p, int) for p in positions):
        yield from _in_order(frame, listed, t)


def _in_order(frame: Frame, listed: list[tuple[int, dict[str, Any]]], t: Timeline) -> Iterator[Finding]:
    """Those that surely waited for their first delivery stand in the order in which they will have it."""
    waiting = []
    for index, row in sorted(listed, key=lambda pair: pair[1]["position"]):
        task = task_of(t, reading.command_id(row), reading.agent_id(frame.payload))
        if task and not any(f.at <= frame.at + WITHIN for _, f in task.deliveries):
            waiting.append((index, task))
    for (_, first), (index, second) in pairwise(waiting):
        if outranks(second, first):
            says = "queued[] does not stand in the order in which commands are delivered"
            pointer = f"/payload/queued/{index}/position"
            yield Finding(says, frame, pointer, f"{second.id} before {first.id}", "after it", (first.order.cause,))


def each_change(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    queue(s, dashboard, ONE)
    takes(agent)
    acks(agent)
    queue(s, dashboard, executing=(ONE,))
    asks(dashboard, TWO)
    queue(s, dashboard, TWO, executing=(ONE,))
    completes(agent)
    queue(s, dashboard, TWO)
    cancels(dashboard, TWO)
    queue(s, dashboard)
    s.wait(2)


def several_at_once(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    asks(dashboard, TWO)
    takes(agent)
    acks(agent)
    s.wait(0.9)
    queue(s, dashboard, TWO, executing=(ONE,))
    s.wait(2)


def watched_only_once_it_was_asked_for(s: Scene) -> None:
    s.agent("a1")
    asked = s.note("asked").at
    dashboard = s.dashboard()
    creates(s, at=asked)
    s.wait(2)
    asks(dashboard, TWO)
    queue(s, dashboard, ONE, TWO)
    s.wait(2)


def never_told(s: Scene) -> None:
    s.agent("a1")
    asks(s.dashboard())
    s.wait(2)


def start_not_told(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    queue(s, dashboard, ONE)
    takes(agent)
    acks(agent)
    queue(s, dashboard, ONE)
    s.wait(2)


def only_what_is_not_delivered(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    queue(s, dashboard)
    s.wait(2)


def told_too_late(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard)
    s.wait(1.5)
    queue(s, dashboard, ONE)
    s.wait(2)


def size_of_all(s: Scene) -> None:
    queue(s, s.dashboard(), TWO, executing=(ONE,), queueSize=2)


def from_one(s: Scene) -> None:
    row = {"commandId": ONE, "position": 1, "priority": 50}
    queue(s, s.dashboard(), queueSize=1, queued=[row])


def waiting_and_executing(s: Scene) -> None:
    queue(s, s.dashboard(), ONE, executing=(ONE,))


def urgent_at_the_end(s: Scene) -> None:
    dashboard = s.dashboard()
    asks(dashboard)
    asks(dashboard, TWO)
    asks(dashboard, THREE, priority=90)
    rows = [
        {"commandId": c, "position": i, "priority": p} for i, (c, p) in enumerate(((ONE, 50), (TWO, 50), (THREE, 90)))
    ]
    queue(s, dashboard, queueSize=3, queued=rows)


async def a_queue_that_changes(world: World) -> None:
    """Commands are asked for, started, completed and cancelled; each time the queue is waited for."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    one = await dashboard.request(agent)
    await dashboard.sees_queue(agent, {one})
    two = await user.rest.command(agent.id, priority=80)
    three = await dashboard.request(agent, priority=20)
    await dashboard.sees_queue(agent, {one, two, three})
    await agent.takes(one)
    await agent.ack(one)
    await dashboard.sees_queue(agent, {two, three}, {one})
    await dashboard.cancel(three)
    await dashboard.sees_queue(agent, {two}, {one})
    await agent.complete(one)
    await dashboard.sees_queue(agent, {two})
    await user.rest.post(f"/commands/{two}/cancel")
    await dashboard.sees_queue(agent, set())
    four = await dashboard.request(agent)
    await agent.takes(four)
    await agent.ack(four)
    await dashboard.sees_queue(agent, set(), {four})
    await agent.leave()
    await dashboard.sees_command(four, "FAILED", within=2.0)
    await dashboard.sees_queue(agent, set())


async def a_long_queue(world: World) -> None:
    """Commands of mixed priority wait for an agent that is away."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    commands = {await dashboard.request(agent, priority=p) for p in (20, 80, 50, 80, 50)}
    await dashboard.sees_queue(agent, commands)


RULES = (
    Rule(
        id="queue.told",
        clauses=("CMD-4",),
        judges="Within a second of each change of an agent's queue QUEUE_UPDATE shows what executes and what waits.",
        when=changes,
        check=told,
        good=(each_change, several_at_once, watched_only_once_it_was_asked_for),
        bad=(never_told, start_not_told, only_what_is_not_delivered, told_too_late),
        cases=(a_queue_that_changes,),
    ),
    Rule(
        id="queue.update-well-made",
        clauses=("CMD-4",),
        judges="In QUEUE_UPDATE queueSize counts queued[], whose positions run from 0 in the order of delivery.",
        when=updates,
        check=well_made,
        good=(each_change,),
        bad=(size_of_all, from_one, waiting_and_executing, urgent_at_the_end),
        cases=(a_queue_that_changes, a_long_queue),
    ),
)
