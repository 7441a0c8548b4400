"""COMMAND_STATUS: each transition is told once, in order, and none without a cause (CMD-1, CMD-2, CMD-R1, CNS-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import EARLY, NOTICED, TERMINAL, Step, Task, tasks
from conformance.command_orders import accepted
from conformance.command_scene import ONE, TWO, acks, asks, cancels, completes, creates, resource, takes, told
from conformance.command_views import about, stops
from conformance.command_views import told as told_of
from conformance.rule import Finding, Rule
from conformance.views import losses, watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Event, Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0
"""x-conformance: COMMAND_STATUS comes within a second of its cause."""
FORWARD = {
    "PENDING": {"QUEUED", "CANCELLED", "FAILED"},
    "QUEUED": {"EXECUTING", *TERMINAL},
    "EXECUTING": TERMINAL,
}


class Announced(NamedTuple):
    """A step of a command, and a dashboard that must be told of it."""

    task: Task
    step: Step
    dashboard: Connection
    frames: list[Frame]


def announced(*by: str, over_rest: bool | None = None) -> Callable[[Timeline], Iterator[Announced]]:
    """Occasions: the known steps with such causes, for each dashboard that watched for long enough."""

    def when(t: Timeline) -> Iterator[Announced]:
        """Each of them, of commands for one agent: of others the contract does not say whose status is told."""
        for task in tasks(t):
            if task.single and over_rest in {None, task.order.over_rest}:
                for step in task.known:
                    if step.by in by:
                        yield from _watched(t, task, step)

    return when


def _watched(t: Timeline, task: Task, step: Step) -> Iterator[Announced]:
    for dashboard in watchers(t, task.order.user, step.cause):
        frames = [
            f
            for f in told_of(t, dashboard, task.id, task.agent_id)
            if f.at >= step.at and reading.status(f.payload) == step.status
        ]
        ready = next(iter(dashboard.snapshots), dashboard.accepted)
        over = dashboard.until > t.bound(step.settled, WITHIN) or _passed_over(t, task, step, dashboard)
        if ready is not None and ready.at < step.at and (frames or over):
            yield Announced(task, step, dashboard, frames)


def _passed_over(t: Timeline, task: Task, step: Step, dashboard: Connection) -> bool:
    """Whether a later step was told already: they are told in order, so that this one will not be told any more."""
    later = {s.status for s in task.known if s.at > step.at}
    frames = told_of(t, dashboard, task.id, task.agent_id)
    return any(f.at >= step.at and reading.status(f.payload) in later for f in frames)


def told_in_time(a: Announced, t: Timeline) -> Iterator[Finding]:
    """Within a second, with the agent's error."""
    task, step, dashboard, frames = a
    expected = f"COMMAND_STATUS {step.status} within {WITHIN:g} s"
    evidence = (task.order.cause, dashboard.opened)
    if not frames:
        other = [f for f in told_of(t, dashboard, task.id, task.agent_id) if f.at >= step.at]
        got = reading.status(other[0].payload) if other else "none"
        says = f"a command became {step.status} and the dashboard is not told so"
        yield Finding(says, step.cause, "", expected, got, (*evidence, *other[:1]))
        return
    if frames[0].at > t.bound(step.settled, WITHIN):
        late = f"{frames[0].at - step.settled:.2f} s later"
        yield Finding("COMMAND_STATUS came late", frames[0], "", expected, late, (step.cause,))
    error, shown = getattr(step.cause, "payload", {}).get("error"), frames[0].payload.get("error")
    if step.by == "agent" and isinstance(error, str) and isinstance(shown, str) and shown != error:
        says = "COMMAND_STATUS tells another error than the agent did"
        yield Finding(says, frames[0], "/payload/error", error, shown, (step.cause,))


class Path(NamedTuple):
    """All that one dashboard was told of one command on one agent."""

    dashboard: Connection
    frames: list[Frame]


def paths(t: Timeline) -> Iterator[Path]:
    """Each of them."""
    for dashboard in t.dashboards:
        found: dict[tuple[object, object], list[Frame]] = {}
        for frame in dashboard.of_kind("COMMAND_STATUS"):
            key = (reading.command_id(frame.payload), frame.payload.get("agentId"))
            found.setdefault(key, []).append(frame)
        yield from (Path(dashboard, frames) for frames in found.values())


def forward(path: Path, _t: Timeline) -> Iterator[Finding]:
    """Along the machine, each status once."""
    for first, second in zip(path.frames, path.frames[1:], strict=False):
        before, after = reading.status(first.payload), reading.status(second.payload)
        if before == after:
            says = f"COMMAND_STATUS {after} was told twice to one dashboard"
            yield Finding(says, second, "/payload/status", "each transition once", f"{after} again", (first,))
        elif after not in FORWARD.get(before or "", set()):
            says = "COMMAND_STATUS goes against the machine: a command springs back to life, or leaps"
            allowed = ", ".join(sorted(FORWARD.get(before or "", set()))) or "nothing more"
            yield Finding(says, second, "/payload/status", f"after {before}: {allowed}", after, (first,))


class Told(NamedTuple):
    """A status that a dashboard was told of a command, whose agent is on the timeline."""

    task: Task
    frame: Frame
    status: str


def told_ones(t: Timeline) -> Iterator[Told]:
    """Each of them, of commands for one agent."""
    for task in tasks(t):
        if task.single and any(a.agent_id == task.agent_id for a in t.agents):
            for dashboard in t.dashboards_of(task.order.user):
                for frame in told_of(t, dashboard, task.id, task.agent_id):
                    yield Told(task, frame, reading.status(frame.payload) or "")


def has_cause(one: Told, t: Timeline) -> Iterator[Finding]:
    """Somebody had said or done what leads to it."""
    task, frame, status = one
    if status in {"PENDING", "QUEUED"} or _by_agent(t, task, status, frame):
        return
    if status == "CANCELLED" and _cancelled(t, task, frame):
        return
    if status == "FAILED" and (task.order.asked.get("executionConstraints") or _lost(t, task, frame)):
        return
    says = f"COMMAND_STATUS {status} has no cause: nobody said or did what leads to it"
    yield Finding(says, frame, "/payload/status", "a status that something led to", status, (task.order.cause,))


def _by_agent(t: Timeline, task: Task, status: str, frame: Frame) -> bool:
    kind = "COMMAND_ACK" if status == "EXECUTING" else "COMMAND_COMPLETE"
    for s in about(t, task.id):
        c, payload = s.connection, s.sent.payload
        own = c.role == "agent" and c.agent_id == task.agent_id and c.user == task.order.user
        said_so = s.sent.type == kind and reading.status(payload) == status
        if own and said_so and s.sent.seq < frame.seq and not s.errors:
            return True
    return False


def _lost(t: Timeline, task: Task, frame: Frame) -> bool:
    return any(x.agent_id == task.agent_id and x.closed.at - NOTICED < frame.at for x in losses(t))


def _cancelled(t: Timeline, task: Task, frame: Frame) -> bool:
    asked: list[Event] = [s.sent for s in about(t, task.id) if s.sent.type == "COMMAND_CANCEL" and not s.errors]
    asked += [e for e in t.calls("cancelCommand") if task.id in e.path.lower() and e.status < 400]  # noqa: PLR2004
    asked = [e for e in asked if e.at < frame.at]
    started = task.started
    at_once = [e for e in asked if started is None or started.settled > e.at]
    waited = [e for e in asked if frame.at > e.at + t.terms.cancel_grace - EARLY]
    others = [s.sent.at for s in t.remember(stops) if accepted(s) or not s.answers]
    others += [e.at for e in t.exchanges if e.operation == "emergencyStop"]
    others += [e.at for e in t.exchanges if e.operation == "deleteAgent" and task.agent_id in e.path.split("/")]
    return bool(at_once or waited) or any(at < frame.at for at in others)


def _life(s: Scene, *statuses: str, first: tuple[str, ...] = ("QUEUED",)) -> None:
    """A command that is asked for, started and completed, and what the dashboard is told at the end of it all."""
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    for status in first:
        told(dashboard, status)
    takes(agent)
    acks(agent, status="RECEIVED")
    acks(agent)
    completes(agent)
    for status in statuses:
        told(dashboard, status)
    s.wait(3)


def each_once(s: Scene) -> None:
    _life(s, "EXECUTING", "COMPLETED", first=("PENDING", "QUEUED"))


def straight_to_the_end(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    told(dashboard, "QUEUED")
    asks(dashboard)
    takes(agent)
    completes(agent, status="FAILED", error="No tokens")
    told(dashboard, "FAILED", error="No tokens", startedAt=None, completedAt=s.now, progress=None)
    s.wait(2)


def told_before_the_ack(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    sent = dashboard.sends("COMMAND_REQUEST", {"commandId": ONE, "agentId": "a1", "content": "x", "type": "PLAN"})
    told(dashboard, "QUEUED")
    takes(agent, content="x", type="PLAN")
    dashboard.gets("ACK", {"messageId": sent.id, "success": True, "commandId": ONE})
    s.wait(2)


def no_status_at_all(s: Scene) -> None:
    _life(s, first=())


def end_not_told(s: Scene) -> None:
    _life(s, "EXECUTING")


def told_as_failed(s: Scene) -> None:
    _life(s, "EXECUTING", "FAILED")


def start_passed_over(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    told(dashboard, "QUEUED")
    takes(agent)
    acks(agent)
    completes(agent)
    told(dashboard, "COMPLETED")


def told_late(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    told(dashboard, "QUEUED")
    takes(agent)
    completes(agent)
    s.wait(2)
    told(dashboard, "COMPLETED")


def told_twice(s: Scene) -> None:
    _life(s, "EXECUTING", "EXECUTING", "COMPLETED")


def told_back(s: Scene) -> None:
    _life(s, "EXECUTING", "COMPLETED", "EXECUTING")


def told_too_early(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    told(dashboard, "QUEUED")
    told(dashboard, "EXECUTING")
    takes(agent)


def refused_yet_told(s: Scene) -> None:
    agent, other, dashboard = s.agent("a1"), s.agent("a2"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(other, code="INVALID_STATE")
    told(dashboard, "EXECUTING")


def cancelled_before_its_grace(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent)
    cancels(dashboard)
    told(dashboard, "CANCELLED")


def cancelled_in_the_queue(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    cancels(dashboard)
    told(dashboard, "CANCELLED")
    s.wait(2)


def queued_from_rest(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    told(dashboard, "QUEUED", TWO)
    body = {"success": True, "data": resource(TWO)}
    asked = {"content": "Say hello", "type": "NATURAL", "targetAgents": ["a1"]}
    s.rest("POST", "/commands", 201, body, request=asked, at=0.075)
    takes(agent, TWO)
    s.wait(3)


def silent_from_rest(s: Scene) -> None:
    s.agent("a1")
    s.dashboard()
    creates(s)
    s.wait(3)


async def commands_while_dashboards_watch(world: World) -> None:
    """Two dashboards watch a command from the socket and one from REST, each from its request to its end."""
    user = world.user()
    dashboard, other, agent = await user.dashboard(), await user.dashboard(), await user.agent()
    for command in (await dashboard.request(agent), await user.rest.command(agent.id)):
        for watching in (dashboard, other):
            await watching.sees_command(command, "QUEUED")
        await agent.takes(command)
        await agent.ack(command, "RECEIVED")
        await agent.ack(command)
        for watching in (dashboard, other):
            await watching.sees_command(command, "EXECUTING")
        await agent.complete(command, "FAILED", error="No disk left")
        for watching in (dashboard, other):
            await watching.sees_command(command, "FAILED")
        await world.quiet()
        await user.rest.get(f"/commands/{command}")


RULES = (
    Rule(
        id="command.queued-is-told",
        clauses=("CMD-1",),
        judges="A command from a dashboard is told to all dashboards of its user as QUEUED within a second.",
        when=announced("order", over_rest=False),
        check=told_in_time,
        good=(each_once, told_before_the_ack),
        bad=(no_status_at_all,),
        cases=(commands_while_dashboards_watch,),
    ),
    Rule(
        id="command.queued-from-rest-is-told",
        clauses=("CMD-R1",),
        judges="A command from REST is told to the dashboards of its user just as one from a dashboard.",
        when=announced("order", over_rest=True),
        check=told_in_time,
        good=(queued_from_rest,),
        bad=(silent_from_rest,),
        cases=(commands_while_dashboards_watch,),
    ),
    Rule(
        id="command.transition-is-told",
        clauses=("CMD-2", "CNS-3"),
        judges="What an agent says of its command is told to the dashboards of its user within a second.",
        when=announced("agent"),
        check=told_in_time,
        good=(each_once, straight_to_the_end),
        bad=(no_status_at_all, end_not_told, start_passed_over, told_as_failed, told_late),
        cases=(commands_while_dashboards_watch,),
    ),
    Rule(
        id="command.told-along-the-machine",
        clauses=("CMD-2", "CNS-3"),
        judges="What a dashboard is told of a command goes along its machine, each status once.",
        when=paths,
        check=forward,
        good=(each_once, straight_to_the_end, cancelled_in_the_queue),
        bad=(told_twice, told_back),
        cases=(commands_while_dashboards_watch,),
    ),
    Rule(
        id="command.told-with-a-cause",
        clauses=("CMD-3", "CNS-3"),
        judges="No COMMAND_STATUS tells what nothing led to, and none what was refused.",
        when=told_ones,
        check=has_cause,
        good=(each_once, straight_to_the_end, cancelled_in_the_queue),
        bad=(told_too_early, refused_yet_told, cancelled_before_its_grace, told_as_failed),
        cases=(commands_while_dashboards_watch,),
    ),
)
