"""Whatever raced, some order of what was asked explains what was answered and shown of a command (CMD-3, CNS-2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import command_scene as c
from conformance.command_orders import Order, accepted, orders
from conformance.command_views import about, readings, stops
from conformance.dialogue import is_valid
from conformance.explain import Act, maybe, unexplained
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import Exchange
from conformance.views import deletions, losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conformance.dialogue import Said
    from conformance.explain import State
    from conformance.scene import Scene
    from conformance.timeline import Event, Timeline
    from conformance.world.world import World

OPEN = ("QUEUED", "EXECUTING")
DONE = ("COMPLETED", "FAILED", "CANCELLED")
EVER = float("inf")
LOST_WITHIN = 2.0
"""Seconds before and after the end of a socket in which the backend may take the agent for lost (DIS-1, DIS-3)."""
OK, REFUSED, CONFLICT = 200, 400, 409


class Story(NamedTuple):
    """A command for one agent, and everything that was done with it."""

    order: Order
    acts: list[Act]


def stories(t: Timeline) -> Iterator[Story]:
    """Each command for one agent that was acted upon more than once, and shown."""
    for order in orders(t).values():
        if len(order.targets) != 1:
            continue
        acts = [*_by_agent(t, order), *_by_cancel(t, order), *_by_the_way(t, order), *_shown(t, order)]
        if len(acts) > 1 and any(isinstance(a.event, Exchange) for a in acts):
            yield Story(order, [act for act in acts if act.end >= order.cause.at])


def explained(story: Story, _t: Timeline) -> Iterator[Finding]:
    """There is an order."""
    act = unexplained(story.acts, "QUEUED")
    if act is not None:
        others = [a.event for a in story.acts if a.end <= act.end and a.event is not act.event]
        says = "no order of what was asked of this command explains what was answered and shown up to here"
        yield Finding(says, act.event, "", "what some order of the requests explains", _got(act), tuple(others[-6:]))


def _got(act: Act) -> str:
    event = act.event
    return f"{event.label} → {event.status}" if isinstance(event, Exchange) else getattr(event, "label", "an end")


def _to(*wanted: tuple[Iterable[str], str | None]) -> Callable[[State], list[State]]:
    """A step from any of some states to another one, or to itself where that is None."""
    table: dict[Any, Any] = {state: to or state for states, to in wanted for state in states}
    return lambda state: [table[state]] if state in table else []


def _by_agent(t: Timeline, order: Order) -> Iterator[Act]:
    for s in about(t, order.id):
        if s.connection.role != "agent" or s.connection.agent_id != order.targets[0] or not is_valid(s, t):
            continue
        status = s.sent.payload.get("status")
        if s.sent.type == "COMMAND_ACK" and status == "EXECUTING":
            yield from _asked(t, s, _to((OPEN, "EXECUTING")), _to((("EXECUTING", *DONE), None)))
        elif s.sent.type == "COMMAND_COMPLETE":
            yield from _asked(t, s, _to((OPEN, status)), _to((DONE, None)))


def _by_cancel(t: Timeline, order: Order) -> Iterator[Act]:
    cancel, refused = _to((("QUEUED",), "CANCELLED"), (("EXECUTING",), None)), _to((DONE, None))
    asked_at: list[float] = []
    for s in about(t, order.id):
        if s.sent.type == "COMMAND_CANCEL" and s.connection.user == order.user and is_valid(s, t):
            asked_at.append(s.sent.at)
            yield from _asked(t, s, cancel, refused)
    for e in t.calls("cancelCommand"):
        if f"/{order.id}/" in e.path and e.user == order.user:
            asked_at.append(e.at)
            step = cancel if e.status == OK else refused if e.status == CONFLICT else maybe(cancel)
            yield Act(e.at, e.ended if e.status else EVER, step, e)
    if asked_at:  # an executing one ends CANCELLED if its agent says nothing for long enough (CMD-7)
        yield Act(min(asked_at), EVER, maybe(_to((("EXECUTING",), "CANCELLED"))), order.cause)


def _asked(t: Timeline, s: Said, served: Callable[[State], Iterable[State]], refused: Any) -> Iterator[Act]:
    """A message that was served, or refused because of the state; of one without an answer nobody knows."""
    if accepted(s):
        yield Act(s.sent.at, s.answers[0].at, served, s.sent)
    elif s.errors and s.errors[0].payload.get("code") == "INVALID_STATE":
        yield Act(s.sent.at, s.errors[0].at, refused, s.sent)
    elif not s.answers:
        yield Act(s.sent.at, t.end, maybe(served), s.sent)


def _by_the_way(t: Timeline, order: Order) -> Iterator[Act]:
    """What ends a command without a word about it: a lost agent, a deletion, a stop, a time limit, a restart."""
    agent, user = order.targets[0], order.user
    failed, cancelled = maybe(_to((("EXECUTING",), "FAILED"))), maybe(_to((OPEN, "CANCELLED")))
    for loss in losses(t):
        if loss.agent_id == agent:
            yield Act(loss.closed.at - LOST_WITHIN, loss.closed.at + LOST_WITHIN, failed, loss.closed)
    for e in deletions(t, agent):
        yield Act(e.at, e.ended, cancelled, e)
    stopped = _to((OPEN, "CANCELLED"), (DONE, None))
    for event, answered in _stops(t, user):  # one that was asked for later leaves nothing out (STP-1)
        is_later = answered is not None and order.settled < event.at
        yield Act(event.at, answered if answered and is_later else EVER, stopped if is_later else cancelled, event)
    if order.limit is not None:
        yield Act(order.cause.at, EVER, failed, order.cause)
    for note in t.notes:
        if note.kind.startswith("restart"):
            yield Act(note.at, EVER, failed, note)


def _stops(t: Timeline, user: str) -> Iterator[tuple[Event, float | None]]:
    """Each emergency stop of a user, and when it was answered by a yes, if it was."""
    for s in stops(t):
        if s.connection.user == user and (not s.answers or accepted(s)):
            yield s.sent, s.answers[0].at if s.answers else None
    for e in t.calls("emergencyStop"):
        if e.user == user and e.status < REFUSED:
            yield e, e.ended if e.status else None


def _shown(t: Timeline, order: Order) -> Iterator[Act]:
    for r in readings(t, order):
        if r.where.operation == "getCommand" and r.status is not None:
            status = "QUEUED" if r.status == "PENDING" else r.status
            yield Act(r.where.at, r.where.ended, _to(((status,), None)), r.where)


def one_after_the_other(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    c.asks(dashboard)
    c.takes(agent)
    c.acks(agent)
    c.completes(agent)
    c.completes(agent, code="INVALID_STATE")
    c.cancels(dashboard, code="INVALID_STATE")
    c.shows(s, c.ONE, "COMPLETED")


def cancelled_while_it_started(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    c.asks(dashboard)
    started = agent.sends("COMMAND_ACK", {"commandId": c.ONE, "agentId": "a1", "status": "EXECUTING"})
    c.cancels(dashboard)
    c.refuses(agent, started, "INVALID_STATE")
    c.shows(s, c.ONE, "CANCELLED")


def cancelled_after_the_line_broke(s: Scene) -> None:
    s.agent("a1").closes()
    c.asks(s.dashboard())
    s.rest("POST", f"/commands/{c.ONE}/cancel", 0, failure="the connection broke")
    c.shows(s)
    c.shows(s, c.ONE, "CANCELLED")


def lost_while_executing(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    c.asks(dashboard)
    c.acks(agent)
    agent.closes()
    s.wait(1)
    c.shows(s, c.ONE, "FAILED")


def _stopped_while_it_started(s: Scene, code: str, status: str) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    c.asks(dashboard)
    started = agent.sends("COMMAND_ACK", {"commandId": c.ONE, "agentId": "a1", "status": "EXECUTING"})
    stop = dashboard.sends("EMERGENCY_STOP", {"reason": "Enough"})
    if code:
        c.refuses(agent, started, code)
    else:
        c.accepts(agent, started)
    c.accepts(dashboard, stop)
    c.shows(s, c.ONE, status)


def stopped_before_it_started(s: Scene) -> None:
    _stopped_while_it_started(s, "INVALID_STATE", "CANCELLED")


def stopped_after_it_started(s: Scene) -> None:
    _stopped_while_it_started(s, "", "CANCELLED")


def left_out_by_the_stop(s: Scene) -> None:
    _stopped_while_it_started(s, "", "EXECUTING")


def both_had_their_way(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    c.asks(dashboard)
    done = {"commandId": c.ONE, "agentId": "a1", "status": "COMPLETED", "executionTime": 1, "tokensUsed": 1}
    completed = agent.sends("COMMAND_COMPLETE", done)
    c.cancels(dashboard)
    c.accepts(agent, completed)
    c.shows(s, c.ONE, "CANCELLED")


def reopened(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    c.asks(dashboard)
    c.completes(agent)
    c.shows(s, c.ONE, "COMPLETED")
    c.shows(s, c.ONE, "EXECUTING")


def the_end_was_forgotten(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    c.asks(dashboard)
    c.acks(agent)
    c.completes(agent)
    c.shows(s, c.ONE, "EXECUTING")


@provocation(needs="commands")
async def cancels_race_with_agents(world: World) -> None:
    """Commands are cancelled in the same moment in which their agents start and complete them."""
    await asyncio.gather(*(_race(world, started) for started in (False, True, False, True)))


async def _race(world: World, started: bool) -> None:  # noqa: FBT001 - read where it is called
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    if started:
        await agent.ack(command)
    first = agent.complete(command) if started else agent.ack(command)
    cancel = user.rest.post(f"/commands/{command}/cancel", {"reason": "Never mind"})
    await asyncio.gather(first, dashboard.cancel(command), cancel)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")


RULE = Rule(
    id="commands.some-order-explains",
    clauses=("CMD-3", "CNS-2"),
    judges="What was answered and shown of a command is explained by some order of what was asked of it.",
    when=stories,
    check=explained,
    good=(
        one_after_the_other,
        cancelled_while_it_started,
        cancelled_after_the_line_broke,
        stopped_before_it_started,
        stopped_after_it_started,
        lost_while_executing,
    ),
    bad=(both_had_their_way, reopened, the_end_was_forgotten, left_out_by_the_stop),
    cases=(cancels_race_with_agents,),
)
