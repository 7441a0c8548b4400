"""Each agent's queue: higher priority first, then first come, and at most five at a time (CMD-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.command_life import Task, tasks_of
from conformance.command_scene import ONE, THREE, TWO, accepts, acks, asks, cancels, completes, takes
from conformance.command_views import about, quiet, stops
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

MOST = 5
"""Commands an agent may have that are delivered and unfinished."""
IDS = tuple(f"{n:08x}-0000-4000-8000-000000000000" for n in range(1, 9))


class Choice(NamedTuple):
    """A delivery, and the commands that waited beside it."""

    agent: Connection
    task: Task
    frame: Frame
    waiting: list[Task]


def choices(t: Timeline) -> Iterator[Choice]:
    """Each delivery of a command that had waited, beside others, at a quiet moment."""
    marks = quiet(t)
    for agent in t.agents:
        tasks = tasks_of(t, agent.agent_id, agent.user)
        for task in tasks:
            frame = task.delivered_on(agent)
            mark = next((m for m in reversed(marks) if frame and m.at < frame.at), None)
            if frame is None or mark is None or not _waits(task, agent, mark.since):
                continue
            waiting = [
                o for o in tasks if o is not task and _waits(o, agent, mark.since) and _waits(o, agent, frame.at)
            ]
            if waiting:
                yield Choice(agent, task, frame, waiting)


def _waits(task: Task, agent: Connection, at: float) -> bool:
    frame = task.delivered_on(agent)
    return task.order.settled < at and task.status(at) == "QUEUED" and (frame is None or frame.at >= at)


def outranks(one: Task, other: Task) -> bool:
    """Whether one command surely goes before another."""
    if one.order.priority != other.order.priority:
        return bool(one.order.priority > other.order.priority)
    return one.order.settled < other.order.cause.at


def highest_first(choice: Choice, _t: Timeline) -> Iterator[Finding]:
    """None that waited outranks the one delivered."""
    for other in choice.waiting:
        if outranks(other, choice.task):
            mine, theirs = choice.task.order, other.order
            what = f"priority {theirs.priority}, asked for {'before' if theirs.settled < mine.cause.at else 'after'}"
            says = f"a command of priority {mine.priority} was delivered while one of {what} waited"
            yield Finding(says, choice.frame, "", f"{other.id} first", mine.id, (mine.cause, theirs.cause))
            return


class Load(NamedTuple):
    """A connection of an agent that had more commands than it may be given at once."""

    agent: Connection
    tasks: list[Task]


def loads(t: Timeline) -> Iterator[Load]:
    """Each of them."""
    for agent in t.agents:
        tasks = [x for x in tasks_of(t, agent.agent_id, agent.user) if x.order.cause.at < agent.until]
        if len(tasks) > MOST and sum(x.delivered_on(agent) is not None for x in tasks):
            yield Load(agent, tasks)


def five_at_most(load: Load, t: Timeline) -> Iterator[Finding]:
    """At each delivery at most five that nobody had ended."""
    given = sorted((f.at, x.id, f, x) for x in load.tasks if (f := x.delivered_on(load.agent)))
    for at, _, frame, _ in given:
        held = [x for since, _, _, x in given if since <= at and not _let_go(t, x, at)]
        if len(held) > MOST:
            says = f"an agent was given more than {MOST} commands at once"
            evidence = tuple(x.order.cause for x in held)
            yield Finding(says, frame, "", f"at most {MOST} delivered and unfinished", len(held), evidence)
            return


def _let_go(t: Timeline, task: Task, at: float) -> bool:
    """Whether anything had been said or done by then that may have ended it."""
    ending = ("COMMAND_COMPLETE", "COMMAND_CANCEL")
    said_so = any(s.sent.type in ending and s.sent.at < at for s in about(t, task.id))
    over_rest = any(e.method != "GET" and e.at < at and task.id in e.path.lower() for e in t.exchanges)
    user = task.order.user
    stopped = any(s.sent.at < at and s.connection.user == user for s in t.remember(stops))
    stopped = stopped or any(e.at < at and e.user == user for e in t.calls("emergencyStop"))
    return said_so or over_rest or stopped or task.order.limit is not None


def _three(s: Scene, *order: str, wait: bool = True) -> None:
    """An agent with one command, and three that wait: low, high, and high again; they come in this order."""
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, IDS[0])
    takes(agent, IDS[0])
    acks(agent, IDS[0])
    for command, priority in ((ONE, 10), (TWO, 90), (THREE, 90)):
        asks(dashboard, command, priority=priority)
    if wait:
        s.note("quiet")
    completes(agent, IDS[0])
    for command in order:
        takes(agent, command)
        completes(agent, command)


def urgent_first(s: Scene) -> None:
    _three(s, TWO, THREE, ONE)


def urgent_last(s: Scene) -> None:
    _three(s, ONE, TWO, THREE)


def later_one_first(s: Scene) -> None:
    _three(s, THREE, TWO, ONE)


def first_but_cancelled(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, IDS[0])
    takes(agent, IDS[0])
    for command, priority in ((ONE, 10), (TWO, 90), (THREE, 5)):
        asks(dashboard, command, priority=priority)
    s.note("quiet")
    cancels(dashboard, TWO)
    completes(agent, IDS[0])
    takes(agent, ONE)


def _many(s: Scene, most: int) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    for command in IDS:
        asks(dashboard, command)
    for number, command in enumerate(IDS):
        if number >= most:
            completes(agent, IDS[number - most])
        takes(agent, command)


def five_then_one_by_one(s: Scene) -> None:
    _many(s, 5)


def one_at_a_time(s: Scene) -> None:
    _many(s, 1)


def stopped_while_one_is_asked_for(s: Scene) -> None:
    agent, dashboard, other = s.agent("a1"), s.dashboard(), s.dashboard()
    asked = {"commandId": IDS[0], "agentId": "a1", "content": "Say hello", "type": "NATURAL"}
    sent = dashboard.sends("COMMAND_REQUEST", asked)
    stop = other.sends("EMERGENCY_STOP", {})
    accepts(dashboard, sent, commandId=IDS[0])
    takes(agent, IDS[0])
    accepts(other, stop)
    for command in IDS[1:6]:
        asks(dashboard, command)
        takes(agent, command)


def all_at_once(s: Scene) -> None:
    _many(s, 6)


async def more_than_it_can_take(world: World) -> None:
    """Nine commands of mixed priority for one agent, from both channels; it completes whatever it is given."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    first = [await dashboard.request(agent, f"Early {n}") for n in range(MOST)]
    await agent.takes(first[0])
    await world.quiet()
    later = []
    for number, priority in enumerate((10, 50, 90, 50, 0, 100)):
        if number % 2:
            later.append(await user.rest.command(agent.id, content=f"Late {number}", priority=priority))
        else:
            later.append(await dashboard.request(agent, f"Late {number}", priority=priority))
    await world.quiet()
    done: set[str] = set()
    for _ in (*first, *later):
        command = await agent.next_command(done)
        if command is None:
            break
        done.add(command)
        await agent.ack(command)
        await agent.complete(command)


async def waiting_for_the_agent(world: World) -> None:
    """Commands of mixed priority are asked for while the agent is away; then it comes and completes them."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    commands = [await dashboard.request(agent, priority=p) for p in (20, 80, 50, 80, 100, 0, 60)]
    await world.quiet()
    await agent.connect()
    done: set[str] = set()
    for _ in commands:
        command = await agent.next_command(done)
        if command is None:
            break
        done.add(command)
        await agent.complete(command)


RULES = (
    Rule(
        id="queue.highest-first",
        clauses=("CMD-4",),
        judges="Of the commands that wait, the one of highest priority is delivered first, among equals the oldest.",
        when=choices,
        check=highest_first,
        good=(urgent_first, first_but_cancelled),
        bad=(urgent_last, later_one_first),
        cases=(more_than_it_can_take, waiting_for_the_agent),
    ),
    Rule(
        id="queue.five-at-most",
        clauses=("CMD-4",),
        judges="No agent has more than five commands that are delivered and unfinished.",
        when=loads,
        check=five_at_most,
        good=(five_then_one_by_one, one_at_a_time, stopped_while_one_is_asked_for),
        bad=(all_at_once,),
        cases=(more_than_it_can_take,),
    ),
)
