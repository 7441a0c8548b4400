"""A command reaches its agent as it was asked for, once on each connection (CMD-1, CMD-5, CMD-11)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_life import NEVER, Task, tasks
from conformance.command_orders import Order, limits_in, orders
from conformance.command_scene import ONE, THREE, TWO, acks, asks, completes, creates, queue, resource, shows, takes
from conformance.command_views import readings
from conformance.rule import Finding, Rule
from conformance.rules.commands_queue_update import rows
from conformance.views import connections_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

SOON = 3.0
"""The contract sets no time for a delivery; an agent that has nothing else to do and waits longer waits in vain."""


class Delivery(NamedTuple):
    """A COMMAND_REQUEST that an agent got, for a command of the timeline."""

    agent: Connection
    frame: Frame
    order: Order


def deliveries(t: Timeline) -> Iterator[Delivery]:
    """Each of them."""
    for agent in t.agents:
        for frame in agent.of_kind("COMMAND_REQUEST"):
            order = orders(t).get(reading.command_id(frame.payload) or "")
            if order is not None:
                yield Delivery(agent, frame, order)


def as_asked(d: Delivery, _t: Timeline) -> Iterator[Finding]:
    """To its agent, with the content, type and limits that were asked for."""
    agent, frame, order = d
    if agent.user != order.user or agent.agent_id not in order.targets:
        says = "a command reached an agent that it is not for"
        yield Finding(says, frame, "", f"only to {', '.join(order.targets)}", agent.agent_id, (order.cause,))
        return
    for name in ("content", "type"):
        wanted, got = order.asked.get(name), frame.payload.get(name, "nothing")
        if got != wanted:
            says = f"the agent is not given the {name} that was asked for"
            yield Finding(says, frame, f"/payload/{name}", f"{wanted!r}", got, (order.cause,))
    wanted = limits_in(order.asked)
    shown = frame.payload.get("executionConstraints", "nothing")
    missing = [k for k, v in wanted.items() if not isinstance(shown, dict) or shown.get(k) != v]
    if missing or not (shown is None or isinstance(shown, dict)):
        says = "the agent is not given the limits that were asked for: it runs on past them"
        yield Finding(says, frame, "/payload/executionConstraints", f"{wanted or None}", shown, (order.cause,))


LIMITS = {"timeLimitMs": 60_000, "tokenBudget": 900, "maxRetries": 0}


def delivered_as_asked(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, executionConstraints=LIMITS)
    takes(agent, executionConstraints=LIMITS, agentId="a1")
    creates(s, TWO)
    takes(agent, TWO, executionConstraints={"timeLimitMs": None})


def one_id_asked_for_twice_at_once(s: Scene) -> None:
    delivered_as_asked(s)
    agent, one, other = s.agent("a1"), s.dashboard(), s.dashboard()
    asked = {"commandId": THREE, "agentId": "a1", "type": "PLAN"}
    first = one.sends("COMMAND_REQUEST", asked | {"content": "first"})
    second = other.sends("COMMAND_REQUEST", asked | {"content": "second"})
    for dashboard, sent in ((one, first), (other, second)):
        dashboard.gets("ACK", {"messageId": sent.id, "success": True, "commandId": THREE})
    takes(agent, THREE, content="second", type="PLAN")


def content_dropped(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent, content="")


def limits_dropped(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard(), executionConstraints=LIMITS)
    takes(agent)


def delivered_to_another(s: Scene) -> None:
    s.agent("a1")
    other = s.agent("a2")
    asks(s.dashboard())
    takes(other)


def kept(order: Order, t: Timeline) -> Iterator[Finding]:
    """The agent, REST and the queue show the priority that was set, 50 if none was."""
    shown = [(d.frame, "/payload/priority", d.frame.payload) for d in deliveries(t) if d.order is order]
    shown += [(r.where, f"{r.pointer}/priority", r.value) for r in readings(t, order)]  # type: ignore[misc]
    shown += [q for q in t.remember(_queued).get((order.user, order.id), ()) if q[0].seq > order.cause.seq]
    for where, pointer, value in shown:
        if value.get("priority") != order.priority:
            says = "the priority is not the one that was set: urgent is not urgent"
            got = value.get("priority", "nothing")
            yield Finding(says, where, pointer, f"{order.priority}", got, (order.cause,))


def _queued(t: Timeline) -> dict[tuple[str, str | None], list[tuple[Frame, str, dict[str, Any]]]]:
    """User and command → the places where a QUEUE_UPDATE lists it as queued."""
    found: dict[tuple[str, str | None], list[tuple[Frame, str, dict[str, Any]]]] = {}
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("QUEUE_UPDATE"):
            for i, row in rows(frame, "queued"):
                shown = (frame, f"/payload/queued/{i}/priority", row)
                found.setdefault((dashboard.user, reading.command_id(row)), []).append(shown)
    return found


def prioritised(t: Timeline) -> Iterator[Order]:
    """Each command that was delivered or shown."""
    delivered = {d.order.id for d in deliveries(t)}
    return (o for o in orders(t).values() if o.id in delivered or readings(t, o))


def priority_kept(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, priority=0)
    takes(agent, priority=0)
    shows(s, ONE, priority=0)
    creates(s, TWO)
    queue(s, dashboard, TWO)
    takes(agent, TWO)


def priority_dropped(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard, priority=90)
    takes(agent)


def priority_other_in_rest(s: Scene) -> None:
    asks(s.dashboard(), priority=90)
    shows(s, ONE, priority=10)


def priority_other_in_the_queue(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard, priority=90)
    shows(s, ONE, priority=90)
    queue(s, dashboard, ONE)


class Turn(NamedTuple):
    """A command and a connection of its agent: its deliveries there, or since when it was due in vain."""

    task: Task
    agent: Connection
    frames: list[Frame]
    since: float
    until: float


def turns(fits: Callable[[Task], bool]) -> Callable[[Timeline], Iterator[Turn]]:
    """Occasions: commands that were delivered on a connection, or for which their agent had nothing else to do."""

    def when(t: Timeline) -> Iterator[Turn]:
        """Each of them."""
        for agent in t.agents:
            busy = _busy(t, agent)
            for task in tasks(t):
                if task.agent_id == agent.agent_id and task.order.user == agent.user and fits(task):
                    yield from _turn(t, task, agent, busy)

    return when


def _turn(t: Timeline, task: Task, agent: Connection, busy: list[tuple[Task, float]]) -> Iterator[Turn]:
    frames = [f for c, f in task.deliveries if c is agent]
    if frames:
        yield Turn(task, agent, frames, 0.0, 0.0)
        return
    if agent.accepted is None or any(f.type == "AGENT_ERROR" for f in agent.sent):
        return
    if t.remember(_has_another, agent.agent_id):
        return
    free = max((end for other, end in busy if other is not task), default=0.0)
    since = max(agent.accepted.at, task.order.settled, free)
    later = [a.opened.at for a in t.agents if a.agent_id == agent.agent_id and a.opened.at > agent.opened.at]
    steps = [s.at for s in task.steps[1:]]
    until = min([agent.until, task.unsure, *later, *steps, *(c[0].at for c in task.cancels)])
    if t.bound(since, SOON) < until:
        yield Turn(task, agent, [], since, until)


def _has_another(t: Timeline, agent_id: str | None) -> bool:
    """Whether the agent was given a command of which nobody knows when it was asked for: it may be busy with it."""
    given = (f for a in connections_of(t, agent_id) for f in a.of_kind("COMMAND_REQUEST"))
    return any((reading.command_id(f.payload) or "") not in orders(t) for f in given)


def _busy(t: Timeline, agent: Connection) -> list[tuple[Task, float]]:
    """The commands that the agent had on a connection, and when each let go of it."""
    found = []
    for task in tasks(t):
        if task.agent_id != agent.agent_id or task.order.user != agent.user:
            continue
        if task.delivered_on(agent) or task.started:
            end = task.end
            found.append((task, end.settled if end else NEVER))
    return found


def once(turn: Turn, _t: Timeline) -> Iterator[Finding]:
    """Delivered, and only once."""
    task, agent, frames, since, until = turn
    if not frames:
        says = "an accepted command is not delivered although its agent is there and has nothing to do"
        got = f"nothing in {until - since:.1f} s"
        yield Finding(says, task.order.cause, "", f"COMMAND_REQUEST to {agent.agent_id}", got, (agent.opened,))
    elif len(frames) > 1:
        says = "a command was delivered twice on one connection: it runs twice"
        yield Finding(says, frames[1], "", "one COMMAND_REQUEST on each connection", len(frames), (frames[0],))


def one_after_the_other(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    asks(dashboard, TWO)
    takes(agent)
    s.wait(4)
    acks(agent)
    completes(agent)
    takes(agent, TWO)
    creates(s, "44444444-0000-4000-8000-000000000000")
    s.wait(4)


def behind_one_that_nobody_knows_of(s: Scene) -> None:
    agent, dashboard, other = s.agent("a1"), s.dashboard(), s.dashboard()
    asks(dashboard)
    takes(agent)
    completes(agent)
    asked = {"commandId": THREE, "agentId": "a1", "content": "Say hello", "type": "NATURAL"}
    other.sends("COMMAND_REQUEST", asked)
    other.closes(by="fault", code=None)
    takes(agent, THREE)
    asks(dashboard, TWO)
    s.wait(5)


def never_delivered(s: Scene) -> None:
    s.agent("a1")
    asks(s.dashboard())
    s.wait(4)


def never_delivered_from_rest(s: Scene) -> None:
    s.agent("a1")
    creates(s)
    s.wait(4)


def stuck_behind_a_finished_one(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    asks(dashboard, TWO)
    takes(agent)
    acks(agent)
    completes(agent)
    s.wait(4)


def delivered_twice(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    takes(agent)


def delivered_twice_from_rest(s: Scene) -> None:
    agent = s.agent("a1")
    creates(s)
    takes(agent)
    takes(agent)


def from_rest_in_time(s: Scene) -> None:
    agent = s.agent("a1")
    body = {"success": True, "data": resource()}
    takes(agent)
    asked = {"content": "Say hello", "type": "NATURAL", "targetAgents": ["a1", "a1"]}
    s.rest("POST", "/commands", 201, body, request=asked, at=0.03)
    s.wait(4)


async def all_that_can_be_asked(world: World) -> None:
    """Commands with every field at its bounds, over the socket and over REST; two agents, each gets its own."""
    user = world.user()
    dashboard = await user.dashboard()
    agent, other = await user.agent(), await user.agent()

    async def ask(fields: dict[str, Any]) -> None:
        asked = {"content": "One of each", "type": "REVIEW"} | fields
        one = await dashboard.request(agent, **asked)
        two = await user.rest.command(other.id, **asked)
        await asyncio.gather(agent.runs(one), other.runs(two))
        await asyncio.gather(*(user.rest.get(f"/commands/{command}") for command in (one, two)))

    await asyncio.gather(
        ask({}),
        ask({"priority": 0}),
        ask({"priority": 100, "executionConstraints": {"timeLimitMs": 600_000, "tokenBudget": 1, "maxRetries": 0}}),
        ask({"content": 'é\u2028"\\ 🤖 </script>\ttail  '}),
        ask({"content": "x" * 10_000, "executionConstraints": {"maxRetries": 3}}),
    )
    await world.quiet()


RULES = (
    Rule(
        id="command.delivered-as-asked",
        clauses=("CMD-1", "CMD-R1"),
        judges="An agent gets its own commands only, with the content, type and limits that were asked for.",
        when=deliveries,
        check=as_asked,
        good=(delivered_as_asked, one_id_asked_for_twice_at_once),
        bad=(content_dropped, limits_dropped, delivered_to_another),
        cases=(all_that_can_be_asked,),
    ),
    Rule(
        id="command.priority-kept",
        clauses=("CMD-11",),
        judges="The agent, REST and QUEUE_UPDATE show the priority that was set, 50 if none was.",
        when=prioritised,
        check=kept,
        good=(priority_kept,),
        bad=(priority_dropped, priority_other_in_rest, priority_other_in_the_queue),
        cases=(all_that_can_be_asked,),
    ),
    Rule(
        id="command.delivered-once",
        clauses=("CMD-1", "CMD-5"),
        judges="A command from a dashboard is delivered to its agent when that is free, and once on each connection.",
        when=turns(lambda task: not task.order.over_rest),
        check=once,
        good=(one_after_the_other, behind_one_that_nobody_knows_of),
        bad=(never_delivered, stuck_behind_a_finished_one, delivered_twice),
        cases=(all_that_can_be_asked,),
    ),
    Rule(
        id="command.delivered-from-rest",
        clauses=("CMD-R1", "CMD-5"),
        judges="A command from REST is delivered to its agent when that is free, and once on each connection.",
        when=turns(lambda task: task.order.over_rest),
        check=once,
        good=(from_rest_in_time,),
        bad=(never_delivered_from_rest, delivered_twice_from_rest),
        cases=(all_that_can_be_asked,),
    ),
)
