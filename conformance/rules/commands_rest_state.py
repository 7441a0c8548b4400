"""What REST says of a command: along the machine, with its end, and the same as sockets (CMD-R2, CMD-R3, CNS-3)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_life import TERMINAL, Task, parts_of, tasks
from conformance.command_orders import Order, orders
from conformance.command_scene import ONE, TWO, accepts, acks, asks, completes, lists, resource, shows, takes, told
from conformance.command_views import Quiet, Reading, quiet, readings, resources
from conformance.command_views import told as told_of
from conformance.rest_views import same
from conformance.rule import Finding, Rule
from conformance.rules.commands_status import FORWARD, commands_while_dashboards_watch
from conformance.scene import BORN
from conformance.views import watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Event, Timeline
    from conformance.world.world import World

REACHED = {
    "PENDING": {"QUEUED", "EXECUTING", *TERMINAL},
    "QUEUED": {"EXECUTING", *TERMINAL},
    "EXECUTING": TERMINAL,
}
"""From each status those that the machine can come to, with steps between two looks left out."""
assert all(FORWARD[k] <= REACHED[k] for k in FORWARD)  # noqa: S101 - two views of one machine


class Pair(NamedTuple):
    """Two looks at a command, or at one agent's part of it, one after the other."""

    first: Reading
    second: Reading


def looks(t: Timeline) -> Iterator[Pair]:
    """Each two that did not overlap in time; where `agents` is given, each part of it as well."""
    for order in orders(t).values():
        seen = readings(t, order)
        for first, second in pairwise(seen):
            if first.where.ended <= second.where.at:
                yield Pair(first, second)
        for agent_id in order.targets:
            parts = [p for r in seen for p in _parts(r) if p.value.get("agentId") == agent_id]
            yield from (Pair(a, b) for a, b in pairwise(parts) if a.where.ended <= b.where.at)


def _parts(r: Reading) -> Iterator[Reading]:
    agents = r.value.get("agents")
    for i, part in enumerate(agents if isinstance(agents, list) else ()):
        if isinstance(part, dict):
            yield Reading(r.where, f"{r.pointer}/agents/{i}", part)


def only_forward(pair: Pair, _t: Timeline) -> Iterator[Finding]:
    """The second look shows the same status or one that the machine can come to."""
    before, after = pair.first.status, pair.second.status
    if before != after and after not in REACHED.get(before or "", set()):
        says = "a command's status went against the machine in REST"
        allowed = ", ".join(sorted(REACHED.get(before or "", set()))) or "nothing else"
        pointer = f"{pair.second.pointer}/status"
        yield Finding(says, pair.second.where, pointer, f"{before}, or {allowed}", after, (pair.first.where,))


def all_looks(t: Timeline) -> Iterator[Reading]:
    """Each Command that REST showed, and each part of it."""
    for r in resources(t):
        yield r
        yield from _parts(r)


def ended_if_over(r: Reading, _t: Timeline) -> Iterator[Finding]:
    """CompletedAt is set if and only if the status is terminal."""
    over, ended = r.status in TERMINAL, r.value.get("completedAt")
    if over and ended is None:
        says = f"a command is {r.status} and has no completedAt"
        yield Finding(says, r.where, f"{r.pointer}/completedAt", "a time", ended)
    elif not over and ended is not None:
        says = f"a command is {r.status} and has a completedAt"
        yield Finding(says, r.where, f"{r.pointer}/completedAt", "null until it has ended", ended)


class Calm(NamedTuple):
    """A look at a command after a quiet moment, before anything else happened to it, and what it must show."""

    r: Reading
    task: Task
    status: str
    evidence: tuple[Event, ...]


def calm_looks(t: Timeline) -> Iterator[Calm]:
    """Each look at a command for one agent whose status is known."""
    for task in tasks(t):
        if not task.single:
            continue
        for r in readings(t, task.order):
            mark = _mark(t, r)
            now = task.status(r.where.at) if mark else None
            if mark and now and now == task.status(mark.since) == task.status(r.where.ended):
                causes = [s.cause for s in task.steps if s.settled <= mark.since]
                yield Calm(r, task, now, tuple(causes[-1:]))


def _mark(t: Timeline, r: Reading) -> Quiet | None:
    return next((m for m in reversed(quiet(t)) if m.at < r.where.at), None)


def as_it_is(calm: Calm, t: Timeline) -> Iterator[Finding]:
    """It shows what the agent and the user made of it, and what dashboards were told last."""
    r = calm.r
    if r.status != calm.status:
        says = "REST does not show the status that the command has come to"
        yield Finding(says, r.where, f"{r.pointer}/status", calm.status, r.status, calm.evidence)
    for dashboard in watchers(t, calm.task.order.user, calm.task.order.cause):
        if dashboard.until < r.where.at:  # what came after it nobody could tell it
            continue
        frames = [f for f in told_of(t, dashboard, calm.task.id, calm.task.agent_id) if f.at < r.where.at]
        last = reading.status(frames[-1].payload) if frames else None
        if frames and last != r.status and not any(f.at > r.where.at for f in told_of(t, dashboard, *_key(calm))):
            says = "REST and the last COMMAND_STATUS disagree about a command"
            yield Finding(says, r.where, f"{r.pointer}/status", f"{last} as told", r.status, (frames[-1],))
            return
    end = calm.task.end
    if r.status == "FAILED" and end is not None and end.by == "agent":
        error = getattr(end.cause, "payload", {}).get("error")
        if isinstance(error, str) and r.value.get("error") != error:
            says = "REST does not show the error that the agent gave"
            yield Finding(says, r.where, f"{r.pointer}/error", repr(error), r.value.get("error"), calm.evidence)


def _key(calm: Calm) -> tuple[str, str]:
    return calm.task.id, calm.task.agent_id


class Twice(NamedTuple):
    """A command in a list and by itself, with nothing happening to it between."""

    listed: Reading
    single: Reading


def twice(t: Timeline) -> Iterator[Twice]:
    """Each, after one quiet moment."""
    for order in orders(t).values():
        seen = readings(t, order)
        for listed in (r for r in seen if r.where.operation == "listCommands"):
            mark = _mark(t, listed)
            singles = [r for r in seen if r.where.operation == "getCommand" and mark and _mark(t, r) is mark]
            if singles and _still(t, order, min(listed.where.at, singles[0].where.at), listed, singles[0]):
                yield Twice(listed, singles[0])


def _still(t: Timeline, order: Order, since: float, *looks: Reading) -> bool:
    until = max(r.where.ended for r in looks)
    mine = parts_of(t, order)
    return all((now := x.status(since)) is not None and now == x.status(until) for x in mine)


def alike(pair: Twice, _t: Timeline) -> Iterator[Finding]:
    """In every field."""
    left, right = pair.single.value, pair.listed.value
    for name in sorted(left.keys() & right.keys()):
        if not _same(name, left[name], right[name]):
            says = f"the list of commands and the single command disagree about {name}"
            pointer = f"{pair.listed.pointer}/{name}"
            yield Finding(says, pair.listed.where, pointer, f"{left[name]!r}", right[name], (pair.single.where,))


def _same(name: str, left: Any, right: Any) -> bool:
    return same(f"{name}_at" if name.endswith("At") else name, left, right)


def _life(s: Scene, *looks: str, **last: Any) -> None:
    """A command that is started and completed, with a look at each stage, the last one in the list as well."""
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    told(dashboard, "QUEUED")
    takes(agent)
    for look, act in zip(looks, (None, acks, completes), strict=True):
        if act is not None:
            act(agent)
            told(dashboard, "EXECUTING" if act is acks else "COMPLETED")
        s.note("quiet")
        shows(s, ONE, look)
    lists(s, resource(ONE, looks[-1], **last))


def each_stage(s: Scene) -> None:
    _life(s, "QUEUED", "EXECUTING", "COMPLETED", updatedAt="2025-10-09T08:00:00.000+00:00")


def with_its_parts(s: Scene) -> None:
    s.agent("a1")
    asks(s.dashboard())
    for status in ("QUEUED", "COMPLETED"):
        ended = BORN if status == "COMPLETED" else None
        part = {"agentId": "a1", "status": status, "startedAt": None, "completedAt": ended, "error": None}
        shows(s, ONE, status, agents=[part])


def cancelled_as_soon_as_it_was_asked_for(s: Scene) -> None:
    each_stage(s)
    agent, dashboard, other = s.agent("a2"), s.dashboard(), s.dashboard()
    cancel = other.sends("COMMAND_CANCEL", {"commandId": TWO})
    asks(dashboard, TWO, "a2")
    takes(agent, TWO)
    accepts(other, cancel)
    for one in (dashboard, other):
        told(one, "QUEUED", TWO, "a2")
        told(one, "CANCELLED", TWO, "a2")
    s.note("quiet")
    shows(s, TWO, "CANCELLED", targetAgents=["a2"])


def asked_for_again_when_nobody_knew(s: Scene) -> None:
    each_stage(s)
    agent, first = s.agent("a2"), s.dashboard()
    same = {"commandId": TWO, "agentId": "a2", "content": "x", "type": "PLAN"}
    first.sends("COMMAND_REQUEST", same)
    first.closes()
    acks(agent, TWO)
    again = s.dashboard()
    accepts(again, again.sends("COMMAND_REQUEST", same), commandId=TWO)
    s.wait(2)
    s.note("quiet")
    shows(s, TWO, "EXECUTING")


def nobody_there_to_be_told(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    told(dashboard, "QUEUED")
    takes(agent)
    dashboard.closes()
    completes(agent)
    s.note("quiet")
    shows(s, ONE, "COMPLETED")


def stands_still(s: Scene) -> None:
    _life(s, "QUEUED", "QUEUED", "COMPLETED")


def completed_as_failed(s: Scene) -> None:
    _life(s, "QUEUED", "EXECUTING", "FAILED")


def told_otherwise(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    told(dashboard, "QUEUED")
    takes(agent)
    completes(agent)
    told(dashboard, "FAILED")
    s.note("quiet")
    shows(s, ONE, "COMPLETED")


def error_forgotten(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    completes(agent, status="FAILED", error="No disk")
    s.note("quiet")
    shows(s, ONE, "FAILED")


def back_to_life(s: Scene) -> None:
    s.agent("a1")
    asks(s.dashboard())
    shows(s, ONE, "COMPLETED")
    shows(s, ONE, "EXECUTING")


def part_back_to_life(s: Scene) -> None:
    s.agent("a1")
    asks(s.dashboard())
    for status in ("FAILED", "QUEUED"):
        part = {"agentId": "a1", "status": status, "startedAt": None, "completedAt": None, "error": None}
        shows(s, ONE, "FAILED", agents=[part])


def over_without_a_time(s: Scene) -> None:
    shows(s, ONE, "CANCELLED", completedAt=None)


def a_time_before_its_end(s: Scene) -> None:
    lists(s, resource(ONE, "EXECUTING", completedAt=BORN))


def listed_otherwise(s: Scene) -> None:
    _life(s, "QUEUED", "EXECUTING", "COMPLETED", content="Say he…")


async def looked_at_all_along(world: World) -> None:
    """Commands go their ways while they are read, by themselves and in the list, at each stage and all the time."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    one, two = await dashboard.request(agent), await user.rest.command(agent.id)

    async def look() -> None:
        await world.quiet()
        for command in (one, two):
            await user.rest.get(f"/commands/{command}")
        await user.rest.get("/commands", query={"agentId": agent.id})

    await agent.takes(one)
    await look()
    await agent.ack(one)
    await look()
    await agent.complete(one, "FAILED", error="No network")
    await user.rest.post(f"/commands/{two}/cancel")
    await dashboard.sees_command(two, "CANCELLED")
    await look()


RULES = (
    Rule(
        id="rest-command.only-forward",
        clauses=("CMD-R2",),
        judges="The status that REST shows of a command, and of each agent's part, only moves along the machine.",
        when=looks,
        check=only_forward,
        good=(each_stage, with_its_parts),
        bad=(back_to_life, part_back_to_life),
        cases=(looked_at_all_along,),
    ),
    Rule(
        id="rest-command.ended-if-over",
        clauses=("CMD-R3",),
        judges="completedAt is set if and only if the command, or an agent's part of it, is over.",
        when=all_looks,
        check=ended_if_over,
        good=(each_stage, with_its_parts),
        bad=(over_without_a_time, a_time_before_its_end),
        cases=(looked_at_all_along,),
    ),
    Rule(
        id="rest-command.as-it-is",
        clauses=("CMD-2", "CMD-R5", "CNS-3"),
        judges="REST shows a command as the agent and the user left it, and as dashboards were told last.",
        when=calm_looks,
        check=as_it_is,
        good=(
            asked_for_again_when_nobody_knew,
            cancelled_as_soon_as_it_was_asked_for,
            each_stage,
            nobody_there_to_be_told,
        ),
        bad=(stands_still, completed_as_failed, told_otherwise, error_forgotten),
        cases=(looked_at_all_along, commands_while_dashboards_watch),
    ),
    Rule(
        id="rest-command.list-and-single-agree",
        clauses=("CMD-R5",),
        judges="A command is the same in the list and by itself.",
        when=twice,
        check=alike,
        good=(each_stage,),
        bad=(listed_otherwise,),
        cases=(looked_at_all_along,),
    ),
)
