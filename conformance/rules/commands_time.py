"""Commands that end when their time is over: a limit passes, a cancel is not heeded (CMD-7, CMD-9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_life import EARLY, GRACE_WITHIN, LIMIT_WITHIN, Step, Task, tasks
from conformance.command_orders import accepted
from conformance.command_scene import ONE, TWO, accepts, acks, asks, cancels, completes, takes, told
from conformance.command_views import about
from conformance.command_views import told as told_of
from conformance.rule import Finding, Rule, provocation
from conformance.views import connections_of, losses, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

LIMIT: dict[str, Any] = {"executionConstraints": {"timeLimitMs": 700}}


class Timed(NamedTuple):
    """A command that went on past a time, the connection of its agent, and a dashboard that watched."""

    task: Task
    began: Step
    seconds: float
    agent: Connection
    dashboard: Connection
    told: list[Frame]
    heard: list[Frame]


def limits(t: Timeline) -> Iterator[Timed]:
    """Each command with a limit whose agent started it and let it run on, for each dashboard that watched it."""
    for task in tasks(t):
        began, limit = task.started, task.order.limit
        if began is None or limit is None or task.cancels:
            continue
        due = t.bound(began.settled + limit, LIMIT_WITHIN)
        if _is_ended_otherwise(t, task, due):
            continue
        words = [s for s in about(t, task.id) if s.sent.type == "COMMAND_COMPLETE" and s.sent.at > began.at]
        if not any(accepted(s) or not s.answers for s in words if s.sent.at < due):
            yield from _watched(t, task, began, limit, due, "FAILED")


def grace(t: Timeline) -> Iterator[Timed]:
    """Each executing command that was cancelled and that its agent did not complete, for each dashboard."""
    for task in tasks(t):
        asked = next(((c, settled) for c, settled, now in task.cancels if now == "EXECUTING"), None)
        if asked is None or task.order.limit is not None:
            continue
        cause, settled = asked
        began = Step("", cause, cause.at, settled, "cancel")
        due = t.bound(settled + t.terms.cancel_grace, GRACE_WITHIN)
        if _is_ended_otherwise(t, task, due):
            continue
        words = [s for s in about(t, task.id) if s.sent.type == "COMMAND_COMPLETE" and s.sent.at > cause.at]
        if not any(accepted(s) or not s.answers for s in words if s.sent.at < due):
            yield from _watched(t, task, began, t.terms.cancel_grace, due, "CANCELLED")


def _is_ended_otherwise(t: Timeline, task: Task, due: float) -> bool:
    """Whether a lost agent, a stop or a deletion may have ended a command before its time was up."""
    lost = any(x.agent_id == task.agent_id and x.closed.at < due for x in losses(t))
    user = task.order.user
    stops = [f.at for d in t.dashboards_of(user) for f in d.sent if f.type == "EMERGENCY_STOP"]
    stops += [e.at for e in t.calls("emergencyStop") if e.user == user]
    stopped = any(task.order.cause.at < at < due for at in stops)  # of several at once nobody knows which ended it
    return lost or stopped or (task.end is not None and task.end.by in {"loss", "stop", "deletion"})


def _watched(t: Timeline, task: Task, began: Step, seconds: float, due: float, status: str) -> Iterator[Timed]:  # noqa: PLR0913, PLR0917 - the facts of a time-out
    agent = next((c for c, _ in reversed(task.deliveries)), None)
    for dashboard in watchers(t, task.order.user, task.order.cause):
        frames = told_of(t, dashboard, task.id, task.agent_id)
        frames = [f for f in frames if f.at >= began.at and reading.status(f.payload) == status]
        if agent is not None and (frames or min(dashboard.until, agent.until) > due):
            heard = [f for f in agent.of_kind("COMMAND_CANCEL") if reading.command_id(f.payload) == task.id]
            yield Timed(task, began, seconds, agent, dashboard, frames, heard)


def limit_kept(one: Timed, t: Timeline) -> Iterator[Finding]:
    """FAILED not before the limit and within two seconds after it, and COMMAND_CANCEL to the agent."""
    yield from _in_time(one, t, "FAILED", LIMIT_WITHIN, "its time limit")
    due = t.bound(one.began.settled + one.seconds, LIMIT_WITHIN)
    later = [a.opened.at for a in connections_of(t, one.agent.agent_id) if a.opened.at > one.agent.opened.at]
    if min([one.agent.until, *later]) > due and (not one.heard or one.heard[0].at > due):
        says = "the agent is not told to give up a command that has passed its time limit"
        got = f"{one.heard[0].at - due:.2f} s too late" if one.heard else "none"
        expected = f"COMMAND_CANCEL to {one.task.agent_id}"
        yield Finding(says, one.task.order.cause, "", expected, got, (one.began.cause,))


def grace_kept(one: Timed, t: Timeline) -> Iterator[Finding]:
    """CANCELLED once the time has passed, not before."""
    yield from _in_time(one, t, "CANCELLED", GRACE_WITHIN, "the time for its cancel")


def _in_time(one: Timed, t: Timeline, status: str, within: float, what: str) -> Iterator[Finding]:
    latest = t.bound(one.began.settled + one.seconds, within)
    expected = f"COMMAND_STATUS {status} {one.seconds:g} to {one.seconds + within:g} s later"
    evidence = (one.task.order.cause, one.dashboard.opened)
    if not one.told:
        says = f"a command goes on after {what}: it is not told as {status}"
        yield Finding(says, one.began.cause, "", expected, "none", evidence)
        return
    passed = one.told[0].at - one.began.at
    if passed < one.seconds - EARLY or one.told[0].at > latest:
        says = f"a command ended too early or too late for {what}"
        yield Finding(says, one.told[0], "", expected, f"{passed:.2f} s later", (one.began.cause, *evidence))


def stopped_twice_at_once(s: Scene) -> None:
    cancelled_after_its_time(s)
    s.wait(9)
    agent, dashboard = s.agent("a3"), s.dashboard()
    asks(dashboard, TWO, "a3")
    takes(agent, TWO)
    acks(agent, TWO)
    cancels(dashboard, TWO)
    began = s.seconds
    sent = dashboard.sends("EMERGENCY_STOP", {})
    told(dashboard, "CANCELLED", TWO, "a3")
    accepts(dashboard, sent)
    s.rest("POST", "/system/emergency-stop", 200, {"success": True, "data": {}}, at=began)
    s.wait(9)


def lost_on_another_connection(s: Scene) -> None:
    _runs_on(s, 2.5)
    agent, dashboard = s.agent("a2"), s.dashboard()
    asks(dashboard, TWO, "a2", executionConstraints={"timeLimitMs": 600_000})
    takes(agent, TWO, executionConstraints={"timeLimitMs": 600_000})
    acks(agent, TWO)
    newer = s.agent("a2")
    agent.closes("backend", 4008)
    newer.closes()
    told(dashboard, "FAILED", TWO, "a2")
    s.wait(2)


def told_to_give_up_on_another_connection(s: Scene) -> None:
    _runs_on(s, 2.5)
    agent, dashboard = s.agent("a2", "bob"), s.dashboard(user="bob")
    asks(dashboard, TWO, "a2", executionConstraints={"timeLimitMs": 700})
    takes(agent, TWO, executionConstraints={"timeLimitMs": 700})
    acks(agent, TWO)
    s.wait(2.5)
    newer = s.agent("a2", "bob")
    newer.gets("COMMAND_CANCEL", {"commandId": TWO, "reason": "Time is up"})
    told(dashboard, "FAILED", TWO, "a2", error="Time limit exceeded")
    s.wait(0.9)
    agent.closes("backend", 4008)
    s.wait(5)


def _runs_on(s: Scene, seconds: float, *, heard: bool = True, ends: bool = True) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, **LIMIT)
    takes(agent, **LIMIT)
    acks(agent)
    s.wait(seconds)
    if heard:
        agent.gets("COMMAND_CANCEL", {"commandId": ONE, "reason": "Time is up"})
    if ends:
        told(dashboard, "FAILED", error="Time limit exceeded")
    completes(agent, code="INVALID_STATE" if ends else "")
    s.wait(6)


def ended_at_its_limit(s: Scene) -> None:
    _runs_on(s, 1.2)


def ended_before_its_limit(s: Scene) -> None:
    _runs_on(s, 0.2)


def ended_long_after_its_limit(s: Scene) -> None:
    _runs_on(s, 4)


def agent_runs_on(s: Scene) -> None:
    _runs_on(s, 1, heard=False)


def never_ended(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, **LIMIT)
    takes(agent, **LIMIT)
    acks(agent)
    s.wait(6)


def _ignored(s: Scene, seconds: float) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent)
    cancels(dashboard)
    agent.gets("COMMAND_CANCEL", {"commandId": ONE})
    s.wait(seconds)
    if seconds < 60:  # noqa: PLR2004 - for ever
        told(dashboard, "CANCELLED")
    s.wait(3)


def cancelled_after_its_time(s: Scene) -> None:
    _ignored(s, 31)


def cancelled_too_early(s: Scene) -> None:
    _ignored(s, 2)


def never_cancelled(s: Scene) -> None:
    _ignored(s, 70)


async def past_its_limit(world: World) -> None:
    """A command runs past its limit of 700 ms; another is done in time, and a third only waits that long."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    late, early, idle = [await dashboard.request(agent, **LIMIT) for _ in range(3)]
    await agent.runs(early)
    await agent.takes(late)
    await agent.ack(late)
    await asyncio.gather(
        dashboard.sees_command(late, "FAILED", within=0.7 + LIMIT_WITHIN),
        agent.link.until(
            "COMMAND_CANCEL", within=0.7 + LIMIT_WITHIN, where=lambda f: f.payload.get("commandId") == late
        ),
    )
    await agent.complete(late)
    await world.quiet()
    for command in (late, early, idle):
        await user.rest.get(f"/commands/{command}")


@provocation(needs="short-cancel-grace")
async def cancelled_and_not_heeded(world: World) -> None:
    """A command that executes is cancelled, and its agent goes on; when time is over it completes it."""
    await _not_heeded(world)


@provocation(needs="patience", budget=60.0)
async def cancelled_and_not_heeded_for_long(world: World) -> None:
    """The same, with the time that the target has: half a minute, if nobody shortened it."""
    await _not_heeded(world)


async def _not_heeded(world: World) -> None:
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    await agent.ack(command)
    sent = await dashboard.cancel(command)
    await agent.is_told("COMMAND_CANCEL", since=sent.seq, commandId=command)
    grace = world.site.terms.cancel_grace
    ends = asyncio.create_task(dashboard.sees_command(command, "CANCELLED", within=grace + GRACE_WITHIN))
    while not ends.done():  # it is busy, not dead
        await asyncio.wait({ends}, timeout=world.site.terms.heartbeat_interval / 2)
        await agent.heartbeat()
    await agent.complete(command)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")


RULES = (
    Rule(
        id="command.limit-kept",
        clauses=("CMD-9",),
        judges="Past its limit, and not before, a command is FAILED within two seconds, and its agent told to cancel.",
        when=limits,
        check=limit_kept,
        good=(ended_at_its_limit, lost_on_another_connection, told_to_give_up_on_another_connection),
        bad=(ended_before_its_limit, ended_long_after_its_limit, agent_runs_on, never_ended),
        cases=(past_its_limit,),
    ),
    Rule(
        id="cancel.ends-in-time",
        clauses=("CMD-7",),
        judges="A cancelled command that its agent does not complete is CANCELLED when the time for that is over.",
        when=grace,
        check=grace_kept,
        good=(cancelled_after_its_time, stopped_twice_at_once),
        bad=(cancelled_too_early, never_cancelled),
        cases=(cancelled_and_not_heeded, cancelled_and_not_heeded_for_long),
    ),
)
