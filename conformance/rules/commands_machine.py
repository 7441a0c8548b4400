"""What an agent says of a command moves it along its machine, and only along it (CMD-2, CMD-3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import TERMINAL, Task, task_of
from conformance.command_orders import accepted, orders
from conformance.command_scene import (
    ONE,
    TWO,
    acks,
    asks,
    cancels,
    comes_back_before_it_is_missed,
    completes,
    refuses,
    takes,
)
from conformance.dialogue import Said, is_valid, refusal, said_as
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.actors import Dashboard
    from conformance.world.world import World

SPOKEN = ("COMMAND_ACK", "COMMAND_COMPLETE")


def spoken(t: Timeline, *kinds: str) -> Iterator[Said]:
    """Each valid message of these kinds that an agent said in its own name, answered or waited for."""
    for s in said_as(t, *(kinds or SPOKEN)):
        c = s.connection
        names = {c.agent_id, c.init and c.init.payload.get("agentId")}
        is_word = c.role == "agent" and s.ready and is_valid(s, t) and s.sent.payload["agentId"] in names
        if is_word and (s.answers or s.unanswered(t)):
            yield s


class Word(NamedTuple):
    """What an agent said of a command of its own, and the status that this had."""

    s: Said
    task: Task
    now: str
    again: bool
    """Whether it, or its like, was said before: then it may be accepted or refused."""


def own_words(t: Timeline) -> Iterator[Word]:
    """Each word of an agent about a command that it had been given, whose status was known until the answer."""
    seen: dict[tuple[str, str], set[str]] = {}
    for s in spoken(t):
        status = reading.status(s.sent.payload) or ""
        task = task_of(t, reading.command_id(s.sent.payload), s.connection.agent_id)
        if task is None or task.order.user != s.connection.user:
            continue
        before = seen.setdefault((task.id, task.agent_id), set())
        again = s.sent.type == "COMMAND_ACK" and (status in before or (status != "EXECUTING" and bool(before)))
        if s.sent.type == "COMMAND_ACK":
            before.add(status)
        now = task.status_until(s.sent, s.answers[0].at if s.answers else s.sent.at)
        if now and any(f.at < s.sent.at for _, f in task.deliveries):
            yield Word(s, task, now, again)


def legal_words(t: Timeline) -> Iterator[Word]:
    """Those that the machine allows."""
    for w in own_words(t):
        allowed = w.now not in TERMINAL and (w.s.sent.type == "COMMAND_COMPLETE" or w.now == "QUEUED")
        if allowed and not w.again:
            yield w


def legal_accepted(w: Word, _t: Timeline) -> Iterator[Finding]:
    """By ACK."""
    kind, status = w.s.sent.type, reading.status(w.s.sent.payload)
    says = f"{kind} {status} of a command that is {w.now} is not accepted"
    if not w.s.answers:
        yield Finding(says, w.s.sent, "", "ACK", "nothing", (w.task.order.cause,))
    elif not accepted(w.s):
        got = w.s.answers[0].payload.get("code", w.s.answers[0].type)
        yield Finding(says, w.s.answers[0], "/payload", "ACK", got, (w.task.order.cause, w.s.sent))


def illegal_words(t: Timeline) -> Iterator[Word]:
    """Those that the machine forbids: back from EXECUTING, anything after the end, and words of another agent."""
    for w in own_words(t):
        back = w.s.sent.type == "COMMAND_ACK" and w.now == "EXECUTING" and not _starts(w.s)
        if w.now in TERMINAL or back:
            yield w
    for s in spoken(t):
        order = orders(t).get(reading.command_id(s.sent.payload) or "")
        mine = order is not None and order.user == s.connection.user
        if order and mine and s.connection.agent_id not in order.targets and order.settled < s.sent.at:
            task = task_of(t, order.id, order.targets[0]) if order.targets else None
            if task is not None:
                yield Word(s, task, "another agent's", again=False)


def _starts(s: Said) -> bool:
    return reading.status(s.sent.payload) == "EXECUTING"


def illegal_refused(w: Word, t: Timeline) -> Iterator[Finding]:
    """By INVALID_STATE."""
    what = f"{w.s.sent.type} {reading.status(w.s.sent.payload)} of a command that is {w.now}"
    yield from refusal(w.s, t, what, "INVALID_STATE")


def a_whole_life(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    acks(agent, status="RECEIVED")
    acks(agent, status="RECEIVED", code="INVALID_STATE")
    acks(agent, status="QUEUED", queuePosition=0)
    acks(agent)
    acks(agent)
    completes(agent, status="FAILED", error="Out of tokens")
    acks(agent, code="INVALID_STATE")
    completes(agent, code="INVALID_STATE")


def straight_from_queued(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    completes(agent)
    completes(agent, code="INVALID_STATE")


def overtaken_by_a_cancel(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    start = agent.sends("COMMAND_ACK", {"commandId": ONE, "agentId": "a1", "status": "EXECUTING"})
    cancels(dashboard)
    refuses(agent, start, "INVALID_STATE")
    completes(agent, code="INVALID_STATE")
    asks(dashboard, TWO)
    takes(agent, TWO)
    acks(agent, TWO)


def back_before_it_was_missed(s: Scene) -> None:
    a_whole_life(s)
    comes_back_before_it_is_missed(s, s.dashboard(), "a2")


def straight_from_queued_refused(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    completes(agent, code="INVALID_STATE")


def start_ignored(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    agent.sends("COMMAND_ACK", {"commandId": ONE, "agentId": "a1", "status": "EXECUTING"})
    s.wait(3)


def reopened(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    completes(agent)
    acks(agent)


def completed_twice(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    completes(agent)
    completes(agent, status="FAILED")


def back_to_the_queue(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    acks(agent)
    acks(agent, status="QUEUED")


def completed_after_its_cancel(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    cancels(dashboard)
    completes(agent)


def by_another_agent(s: Scene, code: str = "") -> None:
    agent, other = s.agent("a1"), s.agent("a2")
    asks(s.dashboard())
    takes(agent)
    acks(other, code=code)
    completes(other, code=code)


def by_another_agent_refused(s: Scene) -> None:
    by_another_agent(s, "INVALID_STATE")


def for_another_reason(s: Scene) -> None:
    by_another_agent(s, "NOT_FOUND")


async def every_way_through(world: World) -> None:
    """Commands go each legal way to each end; then agents say what they may not say any more."""
    dashboard = await world.user().dashboard()
    ways = (("COMPLETED",), ("RECEIVED", "FAILED"), ("EXECUTING", "CANCELLED"), ("EXECUTING", "COMPLETED"))
    longer = (("RECEIVED", "QUEUED", "EXECUTING", "FAILED"), ("QUEUED", "CANCELLED"))
    await asyncio.gather(*(_go(world, dashboard, *way) for way in (*ways, *longer)))


async def _go(world: World, dashboard: Dashboard, *way: str) -> None:
    """One command on an agent of its own, that says each word of its way twice."""
    *words, end = way
    user = world.user()
    agent = await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    for status in words:
        await agent.ack(command, status)
        await agent.ack(command, status)
    if "EXECUTING" in words:
        await agent.ack(command, "QUEUED")
        await agent.ack(command, "RECEIVED")
    await agent.complete(command, end, **({"error": "It broke"} if end == "FAILED" else {}))
    await dashboard.sees_command(command, end)
    await agent.ack(command)
    await agent.complete(command, "FAILED" if end == "COMPLETED" else "COMPLETED")
    await agent.complete(command, end)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")


async def another_agent_meddles(world: World) -> None:
    """A second agent acknowledges and completes the first one's command, as itself and in the other's name."""
    user = world.user()
    dashboard, agent, other = await user.dashboard(), await user.agent(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    for fields in ({}, {"agentId": agent.id}):
        await other.ack(command, **fields)
        await other.complete(command, "FAILED", **fields)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")
    await agent.ack(command)
    await other.complete(command)
    await agent.complete(command)
    await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()
    await user.rest.get(f"/commands/{command}")


RULES = (
    Rule(
        id="command.legal-words-accepted",
        clauses=("CMD-2",),
        judges="What an agent may say of its command is answered by ACK, completing it straight from QUEUED included.",
        when=legal_words,
        check=legal_accepted,
        good=(a_whole_life, straight_from_queued, overtaken_by_a_cancel),
        bad=(straight_from_queued_refused, start_ignored),
        cases=(every_way_through,),
    ),
    Rule(
        id="command.illegal-words-refused",
        clauses=("CMD-3",),
        judges="What the machine forbids, and what another agent says of a command, is refused as INVALID_STATE.",
        when=illegal_words,
        check=illegal_refused,
        good=(a_whole_life, by_another_agent_refused, back_before_it_was_missed),
        bad=(
            reopened,
            completed_twice,
            back_to_the_queue,
            completed_after_its_cancel,
            by_another_agent,
            for_another_reason,
        ),
        cases=(every_way_through, another_agent_meddles),
    ),
)
