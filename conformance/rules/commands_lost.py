"""Commands whose agent is lost while it executes them have failed, and say why (CMD-8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import Task, tasks
from conformance.command_scene import (
    ONE,
    TWO,
    acks,
    asks,
    comes_back_before_it_is_missed,
    completes,
    shows,
    takes,
    told,
)
from conformance.command_views import readings
from conformance.command_views import told as told_of
from conformance.rule import Finding, Rule, provocation
from conformance.rules.commands_status import announced, told_in_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Event, Timeline
    from conformance.world.world import World

GONE = "Agent disconnected"


class Word(NamedTuple):
    """Where the error of a command that was lost with its agent is shown."""

    task: Task
    where: Event
    pointer: str
    error: object
    told: bool


def lost_ones(t: Timeline) -> Iterator[Word]:
    """Each reading and each COMMAND_STATUS of a command that failed because its agent was lost."""
    for task in tasks(t):
        end = task.end
        if end is None or end.by != "loss":
            continue
        for dashboard in t.dashboards_of(task.order.user):
            for frame in told_of(t, dashboard, task.id, task.agent_id):
                if reading.status(frame.payload) == "FAILED":
                    yield Word(task, frame, "/payload/error", frame.payload.get("error"), told=True)
        for r in readings(t, task.order):
            if task.single and r.where.at > end.settled and r.status == "FAILED":
                yield Word(task, r.where, f"{r.pointer}/error", r.value.get("error"), told=False)


def says_why(word: Word, _t: Timeline) -> Iterator[Finding]:
    """The error is "Agent disconnected"; COMMAND_STATUS may leave it out."""
    if word.error != GONE and not (word.told and word.error is None):
        says = "a command that was lost with its agent does not say so"
        yield Finding(says, word.where, word.pointer, f"{GONE!r}", word.error, (word.task.order.cause,))


def _lost(s: Scene, status: str = "FAILED", error: object = GONE) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard(s.item("a1"))
    asks(dashboard)
    told(dashboard, "QUEUED")
    takes(agent)
    acks(agent)
    told(dashboard, "EXECUTING")
    agent.closes(by="fault", code=None)
    dashboard.told_gone("a1")
    if status:
        told(dashboard, status, error=error)
    s.wait(3)
    shows(s, ONE, status or "EXECUTING", error=error)


def failed_when_lost(s: Scene) -> None:
    _lost(s)


def failed_without_a_word(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent)
    agent.closes()
    dashboard.gets("COMMAND_STATUS", {"commandId": ONE, "agentId": "a1", "status": "FAILED"})
    shows(s, ONE, "FAILED", error=GONE)
    s.wait(3)


def lost_when_its_time_was_up(s: Scene) -> None:
    failed_when_lost(s)
    agent, dashboard = s.agent("a2"), s.dashboard()
    asks(dashboard, TWO, "a2", executionConstraints={"timeLimitMs": 500})
    takes(agent, TWO)
    acks(agent, TWO)
    s.wait(0.2)
    agent.closes(by="fault", code=None)
    s.wait(0.3)
    told(dashboard, "FAILED", TWO, "a2", error="Time limit exceeded")
    s.wait(3)
    shows(s, TWO, "FAILED", targetAgents=["a2"], error="Time limit exceeded")


def back_before_it_was_missed(s: Scene) -> None:
    failed_when_lost(s)
    dashboard = s.dashboard()
    comes_back_before_it_is_missed(s, dashboard, "a2")
    told(dashboard, "COMPLETED", TWO, "a2")
    s.wait(3)
    shows(s, TWO, "COMPLETED", targetAgents=["a2"])


def orphaned(s: Scene) -> None:
    _lost(s, status="", error=None)


def cancelled_when_lost(s: Scene) -> None:
    _lost(s, status="CANCELLED")


def another_reason(s: Scene) -> None:
    _lost(s, error="Timeout")


def replaced_and_carried_on(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent)
    again = s.agent("a1")
    agent.closes(by="backend", code=4008)
    completes(again)
    told(dashboard, "COMPLETED")
    other = s.agent("a2")
    asks(dashboard, TWO, "a2")
    takes(other, TWO)
    acks(other, TWO)
    other.closes()
    told(dashboard, "FAILED", TWO, "a2")
    s.wait(3)


async def lost_at_work(world: World) -> None:
    """Agents leave and crash while they execute commands, and while commands wait; then they come back."""
    user = world.user()
    dashboard = await user.dashboard()
    for ending in ("leave", "crash"):
        agent = await user.agent()
        running, waiting = await dashboard.request(agent), await dashboard.request(agent)
        await agent.takes(running)
        await agent.ack(running)
        before = await (agent.leave() if ending == "leave" else agent.crash())
        await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
        await dashboard.sees_command(running, "FAILED", within=2.0)
        await world.quiet()
        for command in (running, waiting):
            await user.rest.get(f"/commands/{command}")
        await agent.connect()
        await agent.runs(waiting)
        await agent.ack(running)
        await world.quiet()


async def replaced_at_work(world: World) -> None:
    """An agent connects anew while it executes a command, and completes it on the new connection."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    await agent.ack(command)
    old = agent.link
    await agent.connect()
    await old.ended(within=1.0)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")
    await agent.complete(command)
    await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()


@provocation(needs="short-heartbeat commands", budget=90.0)
async def silent_at_work(world: World) -> None:
    """An agent starts a command and says nothing more."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    await agent.ack(command)
    interval = world.site.terms.heartbeat_interval
    await dashboard.sees_command(command, "FAILED", within=4 * interval + 2.0)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")


RULES = (
    Rule(
        id="command.lost-with-its-agent",
        clauses=("CMD-8",),
        judges="A command that is EXECUTING when its agent is lost is told as FAILED, and no other one is.",
        when=announced("loss"),
        check=told_in_time,
        good=(failed_when_lost, failed_without_a_word, replaced_and_carried_on, back_before_it_was_missed),
        bad=(orphaned, cancelled_when_lost),
        cases=(lost_at_work, replaced_at_work, silent_at_work),
    ),
    Rule(
        id="command.lost-says-why",
        clauses=("CMD-8",),
        judges='The error of a command that was lost with its agent is "Agent disconnected".',
        when=lost_ones,
        check=says_why,
        good=(failed_when_lost, failed_without_a_word, lost_when_its_time_was_up),
        bad=(another_reason,),
        cases=(lost_at_work,),
    ),
)
