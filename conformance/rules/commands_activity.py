"""AGENT_STATUS follows an agent's commands: at start and end, and with its activity (STA-8, CMD-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import TERMINAL, Step, Task, tasks, tasks_of
from conformance.command_orders import unclear_since
from conformance.command_scene import ONE, TWO, acks, asks, completes, takes
from conformance.command_views import Quiet, quiet
from conformance.rule import Finding, Rule, provocation
from conformance.views import watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Event, Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0


class Moved(NamedTuple):
    """A command that an agent started or ended, and a dashboard that must hear of the agent."""

    task: Task
    step: Step
    dashboard: Connection
    told: list[Frame]


def moves(t: Timeline) -> Iterator[Moved]:
    """Each start and end that an agent told, for each dashboard that watched for long enough."""
    for task in tasks(t):
        for step in task.known:
            if step.by != "agent":
                continue
            for dashboard in watchers(t, task.order.user, step.cause):
                told = [f for f in dashboard.about(task.agent_id, "AGENT_STATUS") if f.at >= step.at]
                if told or dashboard.until > t.bound(step.settled, WITHIN):
                    yield Moved(task, step, dashboard, told)


def agent_told(moved: Moved, t: Timeline) -> Iterator[Finding]:
    """AGENT_STATUS within a second."""
    what = "started" if moved.step.status == "EXECUTING" else "ended"
    expected = f"AGENT_STATUS within {WITHIN:g} s"
    if not moved.told:
        says = f"a command {what} and no AGENT_STATUS tells of its agent"
        yield Finding(says, moved.step.cause, "", expected, "none", (moved.dashboard.opened,))
    elif moved.told[0].at > t.bound(moved.step.settled, WITHIN):
        late = f"{moved.told[0].at - moved.step.settled:.2f} s later"
        yield Finding("AGENT_STATUS came late", moved.told[0], "", expected, late, (moved.step.cause,))


class Shown(NamedTuple):
    """An AGENT_STATUS about an agent whose commands had settled, and what it must show."""

    frame: Frame
    activity: str
    evidence: tuple[Event, ...]


def shown(t: Timeline) -> Iterator[Shown]:
    """Each AGENT_STATUS between a quiet moment and the next thing that happens to the agent's commands."""
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("AGENT_STATUS"):
            mark = next((m for m in reversed(quiet(t)) if m.seq < frame.seq), None)
            mine = tasks_of(t, reading.agent_id(frame.payload), dashboard.user)
            known = any(a.agent_id == reading.agent_id(frame.payload) for a in t.agents)
            unclear = unclear_since(t, reading.agent_id(frame.payload)) < frame.at
            if mark is None or not known or unclear or reading.status(frame.payload) == "OFFLINE":
                continue
            if (wanted := _activity(mine, mark, frame)) is not None:
                yield Shown(frame, wanted, tuple(x.steps[-1].cause for x in mine[-1:]))


def _activity(mine: list[Task], mark: Quiet, frame: Frame) -> str | None:
    """What activityState must be; None where something happened since the quiet moment."""
    if any(mark.since < s.settled and s.at < frame.at for x in mine for s in x.steps):
        return None
    if any(mark.since < c[1] and c[0].at < frame.at for x in mine for c in x.cancels):
        return None
    now = [x.status(frame.at) for x in mine if x.order.cause.at < frame.at]
    if None in now:
        return None
    if "EXECUTING" in now:
        return "PROCESSING"
    return "QUEUED" if any(s and s not in TERMINAL for s in now) else "IDLE"


def activity_true(one: Shown, _t: Timeline) -> Iterator[Finding]:
    """It is sent, and says what the agent does."""
    got = one.frame.payload.get("activityState", "nothing")
    if got != one.activity:
        says = "activityState is not what the agent does: a busy agent looks idle, or an idle one busy"
        yield Finding(says, one.frame, "/payload/activityState", one.activity, got, one.evidence)


def starts(t: Timeline) -> Iterator[Moved]:
    """Each start that was followed by AGENT_STATUS before anything else happened to the command."""
    for moved in moves(t):
        later = [s.at for x in tasks_of(t, moved.task.agent_id, moved.task.order.user) for s in x.steps]
        ends = min((at for at in later if at > moved.step.at), default=t.end)
        told = [f for f in moved.told if f.at < min(ends, moved.task.unsure)]
        due = t.bound(moved.step.settled, WITHIN)
        busy = any(f.payload.get("activityState") == "PROCESSING" for f in told)
        if (
            moved.step.status == "EXECUTING"
            and told
            and (busy or min(ends, moved.task.unsure, moved.dashboard.until) > due)
        ):
            yield moved._replace(told=told)


def processing(moved: Moved, _t: Timeline) -> Iterator[Finding]:
    """One of them shows PROCESSING."""
    states = [f.payload.get("activityState", "nothing") for f in moved.told]
    if "PROCESSING" not in states:
        says = "a command started and its agent is not shown as PROCESSING"
        yield Finding(says, moved.told[0], "/payload/activityState", "PROCESSING", states[-1], (moved.step.cause,))


def _work(s: Scene, *states: str, beats: bool = True) -> None:
    """A command waits, executes and ends; at each stage the agent beats, and shows these states."""
    agent, dashboard = s.agent("a1"), s.dashboard(s.item("a1"))
    asks(dashboard)
    waiting, busy, idle = states
    takes(agent)
    for state, act in ((waiting, None), (busy, acks), (idle, completes)):
        if act is not None:
            act(agent)
            dashboard.told("a1", activityState=state)
        s.note("quiet")
        if beats:
            agent.heartbeats()
            dashboard.told("a1", metrics=s.metrics, activityState=state)
    s.wait(2)


def true_at_each_stage(s: Scene) -> None:
    _work(s, "QUEUED", "PROCESSING", "IDLE")


def busy_with_what_nobody_knows_of(s: Scene) -> None:
    agent, dashboard, other = s.agent("a1"), s.dashboard(s.item("a1")), s.dashboard(s.item("a1"))
    s.note("quiet")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics, activityState="IDLE")
    other.sends("COMMAND_REQUEST", {"commandId": ONE, "agentId": "a1", "content": "Say hello", "type": "NATURAL"})
    s.wait(2)
    s.note("quiet")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics, activityState="QUEUED")


def starts_and_is_gone(s: Scene) -> None:
    true_at_each_stage(s)
    agent, dashboard = s.agent("a2"), s.dashboard(s.item("a1"), s.item("a2"))
    asks(dashboard, TWO, "a2")
    takes(agent, TWO)
    agent.heartbeats()
    acks(agent, TWO)
    dashboard.told("a2", metrics=s.metrics, activityState="QUEUED")
    done = {"commandId": TWO, "agentId": "a2", "status": "COMPLETED", "executionTime": 1, "tokensUsed": 1}
    agent.sends("COMMAND_COMPLETE", done)
    dashboard.told("a2", metrics=s.metrics, activityState="PROCESSING")
    agent.closes(by="fault", code=None)
    s.wait(3)


def busy_with_what_broke_off(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard(s.item("a1"))
    s.note("quiet")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics, activityState="IDLE")
    asked = {"content": "Say hello", "type": "NATURAL", "broadcast": True}
    s.rest("POST", "/commands", 0, request=asked, failure="the connection broke")
    s.note("quiet")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics, activityState="QUEUED")


def one_id_asked_for_twice_at_once(s: Scene) -> None:
    true_at_each_stage(s)
    agent, one, other = s.agent("a2"), s.dashboard(s.item("a2")), s.dashboard(s.item("a2"))
    asked = {"commandId": TWO, "agentId": "a2", "type": "PLAN"}
    first = one.sends("COMMAND_REQUEST", asked | {"content": "first"})
    second = other.sends("COMMAND_REQUEST", asked | {"content": "second"})
    for dashboard, sent in ((one, first), (other, second)):
        dashboard.gets("ACK", {"messageId": sent.id, "success": True, "commandId": TWO})
    s.wait(2)
    s.note("quiet")
    agent.heartbeats()
    one.told("a2", metrics=s.metrics, activityState="QUEUED")


def always_idle(s: Scene) -> None:
    _work(s, "IDLE", "IDLE", "IDLE")


def idle_while_waiting(s: Scene) -> None:
    _work(s, "IDLE", "PROCESSING", "IDLE")


def busy_for_ever(s: Scene) -> None:
    _work(s, "QUEUED", "PROCESSING", "PROCESSING")


def idle_at_its_start(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent)
    dashboard.told("a1", activityState="IDLE")
    s.wait(2)


def activity_left_out(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard(s.item("a1"))
    s.note("quiet")
    agent.heartbeats()
    dashboard.told("a1", metrics=s.metrics)


def nothing_told_of_the_agent(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent)
    s.wait(2)


def end_untold(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, TWO)
    takes(agent, TWO)
    completes(agent, TWO)
    s.wait(2)


def one_for_both(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, ONE)
    takes(agent, ONE)
    acks(agent, ONE)
    s.wait(0.5)
    completes(agent, ONE)
    dashboard.told("a1", activityState="IDLE")
    s.wait(2)


@provocation(needs="commands")
async def an_agent_at_work(world: World) -> None:
    """An agent beats while it is idle, while commands wait, while one executes, and when all are done."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()

    async def beats(count: int) -> None:
        await world.quiet()
        beat = await agent.heartbeat(commandsProcessed=count)
        await dashboard.sees_beat(agent, beat)

    await beats(1)
    one, two = await dashboard.request(agent), await dashboard.request(agent)
    await agent.takes(one)
    await beats(2)
    for number, command in enumerate((one, two)):
        await agent.takes(command)
        sent = await agent.ack(command)
        await dashboard.sees("AGENT_STATUS", agent, since=sent.seq, activityState="PROCESSING")
        await beats(10 * number + 3)
        sent = await agent.complete(command)
        await dashboard.sees("AGENT_STATUS", agent, since=sent.seq)
        await beats(10 * number + 4)
    one = await dashboard.request(agent)
    await agent.takes(one)
    await beats(50)
    await dashboard.cancel(one)
    await beats(51)


RULES = (
    Rule(
        id="status.at-commands",
        clauses=("STA-8",),
        judges="AGENT_STATUS comes within a second when a command starts or ends on the agent.",
        when=moves,
        check=agent_told,
        good=(true_at_each_stage, one_for_both),
        bad=(nothing_told_of_the_agent, end_untold),
        cases=(an_agent_at_work,),
    ),
    Rule(
        id="activity.true",
        clauses=("CMD-10",),
        judges="activityState in AGENT_STATUS is PROCESSING, QUEUED or IDLE as the agent's commands are.",
        when=shown,
        check=activity_true,
        good=(
            true_at_each_stage,
            busy_with_what_nobody_knows_of,
            busy_with_what_broke_off,
            one_id_asked_for_twice_at_once,
        ),
        bad=(always_idle, idle_while_waiting, busy_for_ever, activity_left_out),
        cases=(an_agent_at_work,),
    ),
    Rule(
        id="activity.processing-at-start",
        clauses=("CMD-10",),
        judges="When a command starts, AGENT_STATUS shows its agent as PROCESSING within a second.",
        when=starts,
        check=processing,
        good=(true_at_each_stage, starts_and_is_gone),
        bad=(idle_at_its_start,),
        cases=(an_agent_at_work,),
    ),
)
