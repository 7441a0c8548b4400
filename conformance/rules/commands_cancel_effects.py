"""What follows a cancel: dashboards and the agent are told, and what has ended is not delivered (CMD-7, CMD-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import Task, tasks
from conformance.command_scene import ONE, acks, asks, cancels, takes
from conformance.command_views import quiet
from conformance.rule import Finding, Rule
from conformance.rules.commands_cancel import (
    WITHIN,
    cancelled_at_each_stage,
    cancelled_in_each_state,
    over_rest,
    while_it_waits,
)
from conformance.rules.commands_status import announced, told_in_time
from conformance.views import connections_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Event, Frame, Timeline
    from conformance.world.world import World


class Passed(NamedTuple):
    """An accepted cancel of an unfinished command, and what its agent was told."""

    task: Task
    cause: Event
    settled: float
    agent: Connection
    delivered: Frame | None
    frames: list[Frame]


def passed_on(t: Timeline) -> Iterator[Passed]:
    """Each of them, for the connection that the agent had then."""
    for task in tasks(t):
        for cause, settled, _ in task.cancels[:1]:
            for agent in t.agents:
                later = [a for a in t.agents if a.agent_id == agent.agent_id and agent.opened.at < a.opened.at]
                until = min([agent.until, *(a.opened.at for a in later)])
                mine = agent.agent_id == task.agent_id and agent.user == task.order.user
                there = agent.accepted is not None and agent.accepted.at < cause.at < until
                frames = [f for f in agent.of_kind("COMMAND_CANCEL") if reading.command_id(f.payload) == task.id]
                if mine and there and (frames or until > t.bound(settled, WITHIN)):
                    yield Passed(task, cause, settled, agent, task.delivered_on(agent), frames)


def agent_hears(p: Passed, t: Timeline) -> Iterator[Finding]:
    """COMMAND_CANCEL within a second if it has the command, else none."""
    expected = f"COMMAND_CANCEL to {p.agent.agent_id} within {WITHIN:g} s"
    after = [f for f in p.frames if f.at >= p.cause.at]
    if p.delivered is None and p.frames and not p.task.deliveries and not _may_have_had_it(p, t):
        says = "an agent is told to cancel a command that it never got"
        yield Finding(says, p.frames[0], "", "no COMMAND_CANCEL", "COMMAND_CANCEL", (p.cause,))
    elif p.delivered is None or p.delivered.at > p.cause.at:
        return
    elif not after:
        yield Finding("the agent is not told of the cancel: it runs on", p.cause, "", expected, "none", (p.delivered,))
    elif after[0].at > t.bound(p.settled, WITHIN):
        late = f"{after[0].at - p.settled:.2f} s later"
        yield Finding("COMMAND_CANCEL came late", after[0], "", expected, late, (p.cause,))


def _may_have_had_it(p: Passed, t: Timeline) -> bool:
    """Whether the agent had an earlier connection on which it may have got the command and not read it any more."""
    asked = p.task.order.cause.at
    earlier = (a for a in connections_of(t, p.agent.agent_id) if a.opened.at < p.agent.opened.at)
    return any(a.closed is not None and a.closed.at > asked for a in earlier)


class Over(NamedTuple):
    """A command that has ended, and a connection of its agent afterwards."""

    task: Task
    agent: Connection
    after: float


def ended_ones(t: Timeline) -> Iterator[Over]:
    """Each, for every connection of its agent that began afterwards, or went on after a quiet moment."""
    for task in tasks(t):
        end = task.end
        if end is None:
            continue
        for agent in t.agents:
            if agent.agent_id == task.agent_id and agent.user == task.order.user:
                calm = [m.at for m in quiet(t) if end.settled < m.since and m.at < agent.until]
                if agent.opened.at > end.settled or calm:
                    yield Over(task, agent, agent.opened.at if agent.opened.at > end.settled else calm[0])


def no_more_deliveries(over: Over, _t: Timeline) -> Iterator[Finding]:
    """It is not delivered any more."""
    end = over.task.end
    for connection, frame in over.task.deliveries:
        if connection is over.agent and frame.at > over.after and end is not None:
            says = f"a command was delivered although it is {end.status}"
            yield Finding(says, frame, "", "no COMMAND_REQUEST", "COMMAND_REQUEST", (end.cause,))
            return


def delivered_and_never_read(s: Scene) -> None:
    first, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    first.closes(by="fault", code=None)
    agent = s.agent("a1")
    cancels(dashboard)
    agent.gets("COMMAND_CANCEL", {"commandId": ONE})


def agent_not_told(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent)
    cancels(dashboard)
    s.wait(2)


def told_of_what_it_never_got(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    cancels(dashboard)
    agent.gets("COMMAND_CANCEL", {"commandId": ONE})


def cancel_not_told(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    cancels(dashboard)
    s.wait(2)


def delivered_after_its_cancel(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    agent.closes()
    asks(dashboard)
    cancels(dashboard)
    takes(s.agent("a1"))


async def cancelled_while_it_waits(world: World) -> None:
    """Commands are cancelled while their agent is away, and behind another; then the agent comes."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    one, two, three = [await dashboard.request(agent) for _ in range(3)]
    await dashboard.cancel(one)
    await user.rest.post(f"/commands/{two}/cancel")
    await world.quiet()
    await agent.connect()
    await agent.runs(three)
    await world.quiet()


RULES = (
    Rule(
        id="cancel.told",
        clauses=("CMD-7",),
        judges="The cancel of a command that has not started is told to dashboards as CANCELLED within a second.",
        when=announced("cancel"),
        check=told_in_time,
        good=(cancelled_in_each_state, over_rest, while_it_waits),
        bad=(cancel_not_told,),
        cases=(cancelled_at_each_stage,),
    ),
    Rule(
        id="cancel.reaches-the-agent",
        clauses=("CMD-7",),
        judges="The agent that has a command is told of its cancel within a second, and no agent that never got it.",
        when=passed_on,
        check=agent_hears,
        good=(cancelled_in_each_state, over_rest, delivered_and_never_read),
        bad=(agent_not_told, told_of_what_it_never_got),
        cases=(cancelled_at_each_stage,),
    ),
    Rule(
        id="command.ended-not-delivered",
        clauses=("CMD-5", "CMD-7"),
        judges="A command that has ended is not delivered any more.",
        when=ended_ones,
        check=no_more_deliveries,
        good=(cancelled_in_each_state, while_it_waits),
        bad=(delivered_after_its_cancel,),
        cases=(cancelled_while_it_waits,),
    ),
)
