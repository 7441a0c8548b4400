"""The life of each command on each agent: what the contract makes of what the tester did and the backend accepted.

Where two causes overlap, or a cause got no answer, nothing is said of what follows (`unsure`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_orders import Order, accepted, orders
from conformance.command_views import about, deliveries, stops, told
from conformance.timeline import Frame
from conformance.views import RESTART, Loss, losses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.timeline import Event, Timeline

TERMINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
STATUS = "to-dashboard.COMMAND_STATUS"
NOTICED = 1.0
"""DIS-1: within which the backend knows that an agent is gone; seconds."""
LIMIT_WITHIN = 2.0
"""CMD-9: how long after the limit a command must have ended; seconds."""
GRACE_WITHIN = 5.0
"""CMD-7 names no bound after the 30 seconds: a backend may look now and then. Seconds."""
EARLY = 0.1
"""How much earlier than asked a clock may be read; seconds."""
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Step:
    """A change of a task's status."""

    status: str
    cause: Event
    at: float
    """From when it may hold."""
    settled: float
    """From when it must hold."""
    by: str
    """order, agent, cancel, loss, limit, grace, stop or deletion."""


@dataclass(slots=True)
class Task:
    """One command on one agent."""

    order: Order
    agent_id: str
    steps: list[Step] = field(default_factory=list)
    unsure: float = NEVER
    """From when its status is not known."""
    deliveries: list[tuple[Connection, Frame]] = field(default_factory=list)
    cancels: list[tuple[Event, float, str]] = field(default_factory=list)
    """Accepted cancels: the cause, when it was answered, and the status the command had."""

    @property
    def id(self) -> str:
        """The command's id."""
        return self.order.id

    @property
    def single(self) -> bool:
        """Whether the command is for this agent only: then its status is the command's."""
        return len(self.order.targets) == 1

    @property
    def known(self) -> list[Step]:
        """The steps of which there is no doubt."""
        return [s for s in self.steps if s.at < self.unsure]

    @property
    def end(self) -> Step | None:
        """Its last step, if that ended it."""
        return next((s for s in self.known if s.status in TERMINAL), None)

    @property
    def started(self) -> Step | None:
        """When the agent began to execute it."""
        return next((s for s in self.known if s.status == "EXECUTING"), None)

    def status(self, at: float) -> str | None:
        """Its status at a moment; an empty string before there was one, None where it is not known."""
        if at > self.unsure:
            return None
        now = ""
        for step in self.steps:
            if step.at < at < step.settled:
                return None
            if step.settled <= at:
                now = step.status
        return now

    def status_until(self, asked: Event, end: float) -> str | None:
        """Its status while something is asked of it; None where something else may have changed it meanwhile."""
        others = (step for step in self.steps if step.cause is not asked)
        if self.unsure < end or any(step.at < end and step.settled > asked.at for step in others):
            return None
        return self.status(asked.at)

    def delivered_on(self, connection: Connection) -> Frame | None:
        """Its first delivery on a connection."""
        return next((f for c, f in self.deliveries if c is connection), None)


def tasks(t: Timeline) -> list[Task]:
    """Every task of the timeline, in the order in which the commands were asked for."""
    return t.remember(_tasks)


def task_of(t: Timeline, command_id: str | None, agent_id: str | None) -> Task | None:
    """The task that is this command on this agent."""
    return t.remember(_by_id).get((command_id or "", agent_id or ""))


def _by_id(t: Timeline) -> dict[tuple[str, str], Task]:
    return {(x.id, x.agent_id): x for x in tasks(t)}


def parts_of(t: Timeline, order: Order) -> list[Task]:
    """A command's tasks: one for each agent that it is for."""
    return t.remember(_by_command).get(order.id, [])


def _by_command(t: Timeline) -> dict[str, list[Task]]:
    found: dict[str, list[Task]] = {}
    for task in tasks(t):
        found.setdefault(task.id, []).append(task)
    return found


def tasks_of(t: Timeline, agent_id: str | None, user: str) -> list[Task]:
    """The tasks of one agent."""
    return [x for x in tasks(t) if x.agent_id == agent_id and x.order.user == user]


class _Input(NamedTuple):
    """Something that may change a task: what it is, from when, until when, and the status it asks for."""

    at: float
    settled: float | None
    """None: nothing came back, so nobody knows."""
    by: str
    status: str
    cause: Event
    connection: str


def _tasks(t: Timeline) -> list[Task]:
    found = []
    for order in orders(t).values():
        for agent_id in order.targets:
            task = Task(order, agent_id, deliveries=deliveries(t, order.user, order.id, agent_id))
            _live(t, task)
            found.append(task)
    return found


def _live(t: Timeline, task: Task) -> None:
    """Works out the steps of a task from its inputs."""
    order = task.order
    task.steps.append(Step("QUEUED", order.cause, order.cause.at, order.settled, "order"))
    last = order.cause.at  # what is accepted of a command comes after it; what is said of all may come before
    same = ""
    asked_on = order.cause.connection if isinstance(order.cause, Frame) else ""
    due: list[Step] = []
    for i in _inputs(t, task):
        _pass(t, task, due, i.at)
        now = task.steps[-1].status
        if i.by in {"loss", "restart"} and now == "QUEUED":
            continue
        races = i.by in {"stop", "deletion"} and i.at < order.settled and i.connection != asked_on
        overlaps = races or (i.at < last and i.connection != same)
        if i.at >= task.unsure or (now in TERMINAL and not overlaps):
            break
        if i.settled is None or overlaps or _may_be_late(t, task, due, i):
            task.unsure = task.steps[-1].at if overlaps and i.settled is not None else i.at
            break
        if i.by == "agent" and (status := _moved(now, i.status)):
            _step(t, task, status, i)
            if status == "EXECUTING" and order.limit is not None:
                due.append(_timed(t, "FAILED", task.steps[-1], order.limit, LIMIT_WITHIN, "limit"))
        elif i.by == "cancel":
            task.cancels.append((i.cause, i.settled, now))
            if now == "QUEUED":
                _step(t, task, "CANCELLED", i)
            elif not any(d.by == "grace" for d in due):
                began = Step("", i.cause, i.at, i.settled, "")
                due.append(_timed(t, "CANCELLED", began, t.terms.cancel_grace, GRACE_WITHIN, "grace"))
        elif i.by in {"stop", "deletion", "loss"}:
            _step(t, task, i.status, i)
        last, same = max(last, min(i.settled, task.steps[-1].settled)), i.connection
    _pass(t, task, due, NEVER)


def _may_be_late(t: Timeline, task: Task, due: list[Step], i: _Input) -> bool:
    """Whether a time may have run out before what ends a command whatever its status was taken."""
    if i.by not in {"loss", "stop", "deletion"} or i.settled is None:
        return False
    taken = min(i.settled, _first_told(t, task, i.status, i.at))
    return any(step.at < taken for step in due)


def _moved(now: str, said_so: str) -> str:
    """The status that an agent's accepted word leads to; empty when it changes nothing."""
    if said_so in TERMINAL:
        return said_so
    return "EXECUTING" if said_so == "EXECUTING" and now == "QUEUED" else ""


def _step(t: Timeline, task: Task, status: str, i: _Input) -> None:
    shown = _first_told(t, task, status, i.at)
    settled = i.settled if i.settled is not None else NEVER
    task.steps.append(Step(status, i.cause, i.at, min(settled, shown), i.by))


def _timed(t: Timeline, status: str, began: Step, seconds: float, within: float, by: str) -> Step:  # noqa: PLR0913, PLR0917 - the facts of a time-out
    latest = t.bound(began.settled + seconds, within)
    return Step(status, began.cause, began.at + seconds - EARLY, latest, by)


def _pass(t: Timeline, task: Task, due: list[Step], at: float) -> None:
    """What the backend does by itself up to a moment: the first time-out that is due."""
    if task.steps[-1].status in TERMINAL or not due:
        return
    first = min(due, key=lambda d: d.at)
    if at < first.at:
        return
    shown = _first_told(t, task, first.status, first.at)
    if at < min(first.settled, shown):
        task.unsure = min(task.unsure, first.at)
        return
    task.steps.append(Step(first.status, first.cause, first.at, min(first.settled, shown), first.by))


def _first_told(t: Timeline, task: Task, status: str, since: float) -> float:
    frames = (f for d in t.dashboards_of(task.order.user) for f in told(t, d, task.id, task.agent_id))
    return min((f.at for f in frames if f.at >= since and reading.status(f.payload) == status), default=NEVER)


def _inputs(t: Timeline, task: Task) -> list[_Input]:
    order = task.order
    everything = [*_by_socket(t, task), *_by_rest(t, task), *_by_user(t, order)]
    for loss in t.remember(_losses):
        if loss.agent_id == task.agent_id and loss.agent.user == order.user:
            early = NOTICED if loss.closed.by == "backend" else 0.0
            known = _known(t, loss)
            everything.append(_Input(loss.closed.at - early, known, "loss", "FAILED", loss.closed, loss.agent.id))
    restarts = (n for n in t.notes if n.kind in RESTART)  # what becomes of an executing one then is not said
    everything += [_Input(n.at, None, "restart", "", n, "") for n in restarts]
    return sorted((i for i in everything if _may_change(i, order)), key=lambda i: i.at)


def _known(t: Timeline, loss: Loss) -> float | None:
    """By when a backend knows of a loss; None where the agent came back before, so that it need not have missed it."""
    end, known = loss.closed.at, t.bound(loss.closed.at, NOTICED)
    about = (d.about(loss.agent_id, "AGENT_DISCONNECT") for d in t.dashboards_of(loss.agent.user))
    told = any(end - NOTICED <= f.at <= known for frames in about for f in frames)
    return known if told or loss.back_at > known or loss.closed.by == "backend" else None


def _may_change(i: _Input, order: Order) -> bool:
    """Whether something may have come after a command: what ends it may have been asked for before."""
    is_late = i.settled is None or i.settled > order.cause.at
    return i.at > order.cause.at or (i.by in {"stop", "deletion", "cancel"} and is_late)


def _losses(t: Timeline) -> list[Loss]:
    return list(losses(t))


def _by_socket(t: Timeline, task: Task) -> Iterator[_Input]:
    for s in about(t, task.id):
        kind, c = s.sent.type, s.connection
        settled = s.answers[0].at if s.answers else None
        if c.user != task.order.user or (s.answers and not accepted(s)):
            continue
        if kind in {"COMMAND_ACK", "COMMAND_COMPLETE"} and c.role == "agent" and c.agent_id == task.agent_id:
            yield _Input(s.sent.at, settled, "agent", reading.status(s.sent.payload) or "", s.sent, c.id)
        elif kind == "COMMAND_CANCEL" and c.role == "dashboard":
            yield _Input(s.sent.at, settled, "cancel", "CANCELLED", s.sent, c.id)


def _by_rest(t: Timeline, task: Task) -> Iterator[_Input]:
    for e in t.exchanges:
        if e.user != task.order.user or e.method == "GET" or e.status >= 400:  # noqa: PLR2004 - refused
            continue
        settled = e.ended if e.status and not e.failure else None
        parts = e.path.lower().split("/")
        if e.operation == "cancelCommand" and task.id in parts:
            yield _Input(e.at, settled, "cancel", "CANCELLED", e, "rest")
        elif e.operation == "deleteAgent" and task.agent_id in e.path.split("/"):
            yield _Input(e.at, settled, "deletion", "CANCELLED", e, "rest")


def _by_user(t: Timeline, order: Order) -> Iterator[_Input]:
    """Emergency stops."""
    for s in t.remember(stops):
        if s.connection.user == order.user and (not s.answers or accepted(s)):
            settled = s.answers[0].at if s.answers else None
            yield _Input(s.sent.at, settled, "stop", "CANCELLED", s.sent, s.connection.id)
    for e in t.calls("emergencyStop"):
        if e.user == order.user and e.status < 400:  # noqa: PLR2004 - refused
            yield _Input(e.at, e.ended if e.status else None, "stop", "CANCELLED", e, "rest")
