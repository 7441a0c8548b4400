"""A cancel ends what has not started and reaches the agent that has it (CMD-7, CMD-R5)."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import TERMINAL, task_of
from conformance.command_orders import accepted, orders
from conformance.command_scene import (
    CONTENT,
    ONE,
    TWO,
    accepts,
    acks,
    asks,
    cancels,
    cancels_over_rest,
    completes,
    creates,
    takes,
    told,
)
from conformance.command_views import stops
from conformance.dialogue import Said, is_valid, refusal, said_as
from conformance.resources import follows_schema
from conformance.rest_views import is_failure, judged
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import Exchange
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.actors import Dashboard
    from conformance.world.world import World

WITHIN = 1.0
NOT_FOUND, CONFLICT = 404, 409


def _cancels(t: Timeline) -> Iterator[Said]:
    """Each valid COMMAND_CANCEL of a dashboard."""
    for s in said_as(t, "COMMAND_CANCEL"):
        if s.connection.role == "dashboard" and s.ready and is_valid(s, t) and (s.answers or s.unanswered(t)):
            yield s


class Asked(NamedTuple):
    """A cancel of one of the user's commands, and the status that this had."""

    by: Said | Exchange
    now: str


def own_cancels(t: Timeline) -> Iterator[Asked]:
    """Each over the socket, where the command's status was known."""
    for s in _cancels(t):
        order = orders(t).get(reading.command_id(s.sent.payload) or "")
        if order and order.user == s.connection.user and (now := _whole(t, order.id, order.targets, s.sent, _end(s))):
            yield Asked(s, now)


def rest_cancels(t: Timeline) -> Iterator[Asked]:
    """Each over REST, where the command's status was known."""
    for e in judged(t):
        if e.operation != "cancelCommand" or not follows_schema(t, e):
            continue
        order = orders(t).get(e.path.lower().split("/")[2])
        if order and order.user == e.user and (now := _whole(t, order.id, order.targets, e, e.ended)):
            yield Asked(e, now)


def _end(s: Said) -> float:
    """Until when it may have taken effect."""
    return s.answers[0].at if s.answers else s.sent.at


def _whole(t: Timeline, command: str, targets: tuple[str, ...], asked: Frame | Exchange, end: float) -> str | None:
    """The status of a command for one agent while it is cancelled; of one for several only whether it is over."""
    found = [x.status_until(asked, end) for a in targets if (x := task_of(t, command, a))]
    if len(found) == 1 or None in found:
        return found[0] if found else None
    return found[0] if found and all(f in TERMINAL for f in found) else None


def cancel_answered(asked: Asked, t: Timeline) -> Iterator[Finding]:
    """ACK; INVALID_STATE once it has ended."""
    s = asked.by
    assert isinstance(s, Said)  # noqa: S101 - see own_cancels
    if asked.now in TERMINAL:
        yield from refusal(s, t, f"COMMAND_CANCEL of a command that is {asked.now}", "INVALID_STATE")
    elif not accepted(s):
        got = s.answers[0].payload.get("code", s.answers[0].type) if s.answers else "nothing"
        says = f"COMMAND_CANCEL of a command that is {asked.now} is not accepted"
        yield Finding(says, s.answers[0] if s.answers else s.sent, "", "ACK", got, (s.sent,))


def rest_cancel_answered(asked: Asked, _t: Timeline) -> Iterator[Finding]:
    """200 with the Command; 409 once it has ended."""
    e = asked.by
    assert isinstance(e, Exchange)  # noqa: S101 - see rest_cancels
    wanted = CONFLICT if asked.now in TERMINAL else OK
    if e.status != wanted:
        yield Finding(
            f"the cancel of a command that is {asked.now} is not answered {wanted}", e, "", f"{wanted}", e.status
        )
    elif wanted == CONFLICT and not is_failure(e.value):
        yield Finding("the 409 has no failure body", e, "", "success false and error", e.text[:80])
    elif wanted == OK:
        shown = reading.status(reading.one(e.value))
        if asked.now == "QUEUED" and shown != "CANCELLED":
            says = "a command that had not started is not CANCELLED at once"
            yield Finding(says, e, "/data/status", "CANCELLED", shown)


def cancels_of_nothing(t: Timeline) -> Iterator[Said]:
    """Each cancel of a command that does not exist, over the socket."""
    unknown = {n.data["command"] for n in t.notes if n.kind == "unknown-command"}
    return (s for s in _cancels(t) if s.sent.payload["commandId"] in unknown)


def cancels_of_others(t: Timeline) -> Iterator[Said]:
    """Each cancel of another user's command, over the socket."""
    for s in _cancels(t):
        order = orders(t).get(reading.command_id(s.sent.payload) or "")
        if order is not None and order.user != s.connection.user and order.settled < s.sent.at:
            yield s


def nothing_to_cancel(s: Said, t: Timeline) -> Iterator[Finding]:
    """NOT_FOUND, and no agent hears of it."""
    what = "COMMAND_CANCEL of a command that is none of the user's"
    yield from refusal(s, t, what, "NOT_FOUND")
    command = s.sent.payload["commandId"]
    order = orders(t).get(command)
    if order and any(c for a in order.targets if (x := task_of(t, command, a)) for c in x.cancels):
        return  # its owner cancelled it too
    own = min((at for at, user in _asked_for(t, command) if order and user == order.user), default=math.inf)
    for agent in t.agents:
        for frame in agent.of_kind("COMMAND_CANCEL", after=s.sent.seq):
            if frame.payload.get("commandId") == command and frame.at < own and not (order and order.limit):
                yield Finding(f"{what} reached an agent", frame, "", "no COMMAND_CANCEL", "COMMAND_CANCEL", (s.sent,))
                return


def _asked_for(t: Timeline, command: str) -> Iterator[tuple[float, str]]:
    """When a command's cancel, or that of all, was asked for, and by whom, whatever came of it."""
    yield from ((s.sent.at, s.connection.user) for s in _cancels(t) if s.sent.payload["commandId"] == command)
    yield from ((e.at, e.user) for e in t.calls("cancelCommand") if command in e.path)
    yield from ((s.sent.at, s.connection.user) for s in t.remember(stops))
    yield from ((e.at, e.user) for e in t.calls("emergencyStop"))


def cancelled_by_both_at_once(s: Scene) -> None:
    agent, dashboard, stranger = s.agent("a1"), s.dashboard(), s.dashboard(user="bob")
    asks(dashboard)
    takes(agent)
    cancels(stranger, code="NOT_FOUND")
    started = agent.sends("COMMAND_ACK", {"commandId": ONE, "agentId": "a1", "status": "EXECUTING"})
    sent = dashboard.sends("COMMAND_CANCEL", {"commandId": ONE})
    accepts(agent, started)
    agent.gets("COMMAND_CANCEL", {"commandId": ONE, "reason": None})
    accepts(dashboard, sent)


def cancelled_by_a_stranger_then_stopped(s: Scene) -> None:
    agent, dashboard, stranger = s.agent("a1"), s.dashboard(), s.dashboard(user="bob")
    asks(dashboard)
    takes(agent)
    cancels(stranger, code="NOT_FOUND")
    accepts(dashboard, dashboard.sends("EMERGENCY_STOP", {}))
    agent.gets("COMMAND_CANCEL", {"commandId": ONE, "reason": None})


def cancelled_by_both_at_once_over_rest(s: Scene) -> None:
    agent, dashboard, stranger = s.agent("a1"), s.dashboard(), s.dashboard(user="bob")
    asks(dashboard)
    takes(agent)
    cancels(stranger, code="NOT_FOUND")
    began = s.seconds
    agent.gets("COMMAND_CANCEL", {"commandId": ONE, "reason": None})
    s.rest("POST", f"/commands/{ONE}/cancel", 0, at=began, failure="the connection broke")


def cancelled_in_each_state(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    cancels(dashboard)
    told(dashboard, "CANCELLED")
    agent.gets("COMMAND_CANCEL", {"commandId": ONE})
    cancels(dashboard, code="INVALID_STATE")
    asks(dashboard, TWO)
    takes(agent, TWO)
    acks(agent, TWO)
    cancels(s.dashboard(), TWO, reason="Enough")
    agent.gets("COMMAND_CANCEL", {"commandId": TWO, "reason": "Enough"})
    completes(agent, TWO)
    told(dashboard, "COMPLETED", TWO)
    cancels(dashboard, TWO, code="INVALID_STATE")
    s.note("quiet")
    s.wait(2)


def over_rest(s: Scene) -> None:
    agent = s.agent("a1")
    dashboard = s.dashboard()
    creates(s)
    takes(agent)
    cancels_over_rest(s)
    agent.gets("COMMAND_CANCEL", {"commandId": ONE, "reason": None})
    told(dashboard, "CANCELLED")
    cancels_over_rest(s, status=409)
    asks(dashboard, TWO)
    takes(agent, TWO)
    acks(agent, TWO)
    cancels_over_rest(s, TWO, "EXECUTING")
    agent.gets("COMMAND_CANCEL", {"commandId": TWO})
    s.wait(2)


def while_it_waits(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    agent.closes()
    asks(dashboard)
    cancels(dashboard)
    told(dashboard, "CANCELLED")
    s.agent("a1")
    s.wait(2)


def refused_just_before_a_restart(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    completes(agent)
    cancels(dashboard, code="INVALID_STATE")
    s.note("restarting", how="killed")
    dashboard.closes(by="backend", code=None)
    s.note("restarted")


def asked_for_while_all_is_stopped(s: Scene) -> None:
    s.agent("a1")
    asking, stopping = s.dashboard(), s.dashboard()
    request = {"commandId": ONE, "agentId": "a1", "content": CONTENT, "type": "NATURAL"}
    sent = asking.sends("COMMAND_REQUEST", request)
    accepts(stopping, stopping.sends("EMERGENCY_STOP", {}))
    accepts(asking, sent, commandId=ONE)
    asks(asking, TWO)
    for command in (ONE, TWO):
        cancels(asking, command)
        told(asking, "CANCELLED", command)
    s.wait(2)


def cancel_refused(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard)
    cancels(dashboard, code="INVALID_STATE")


def cancelled_after_the_end(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    completes(agent)
    cancels(dashboard)


def still_queued(s: Scene) -> None:
    s.agent("a1")
    creates(s)
    cancels_over_rest(s, shown="QUEUED")


def cancelled_after_the_end_over_rest(s: Scene) -> None:
    agent = s.agent("a1")
    creates(s)
    takes(agent)
    completes(agent)
    cancels_over_rest(s)


def of_nothing(s: Scene, code: str = "NOT_FOUND") -> None:
    s.note("unknown-command", command=TWO)
    s.agent("a1")
    cancels(s.dashboard(), TWO, code=code)


def of_nothing_accepted(s: Scene) -> None:
    of_nothing(s, "")


def by_bob(s: Scene, code: str = "NOT_FOUND") -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    cancels(s.dashboard(user="bob"), code=code)


def by_bob_accepted(s: Scene) -> None:
    by_bob(s, "")


def by_bob_passed_on(s: Scene) -> None:
    agent = s.agent("a1")
    asks(s.dashboard())
    takes(agent)
    cancels(s.dashboard(user="bob"), code="NOT_FOUND")
    agent.gets("COMMAND_CANCEL", {"commandId": ONE})


async def cancelled_at_each_stage(world: World) -> None:
    """Commands are cancelled by another dashboard and over REST: delivered, acknowledged, executing, and ended."""
    user = world.user()
    dashboard, other = await user.dashboard(), await user.dashboard()
    stages = ("", "RECEIVED", "EXECUTING")
    await asyncio.gather(*(_stage(world, dashboard, by, stage) for by in (other, None) for stage in stages))
    await dashboard.link.until(since=user.last, within=WITHIN + 0.3, expected=False, where=lambda _: False)


async def _stage(world: World, dashboard: Dashboard, by: Dashboard | None, stage: str) -> None:
    """One command that is cancelled at a stage, by a dashboard or over REST, and again when it has ended."""
    user = world.user()
    agent = await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    if stage:
        await agent.ack(command, stage)

    async def cancel() -> None:
        if by is not None:
            await by.cancel(command, reason="Never mind")
        else:
            await user.rest.post(f"/commands/{command}/cancel", {"reason": "Never mind"})

    await cancel()
    await agent.is_told("COMMAND_CANCEL", commandId=command)
    if stage == "EXECUTING":
        await agent.complete(command, "CANCELLED" if by else "COMPLETED")
    else:
        await dashboard.sees_command(command, "CANCELLED")
        await agent.ack(command)
    await cancel()
    await world.quiet()
    await user.rest.get(f"/commands/{command}")


async def nothing_there_to_cancel(world: World) -> None:
    """A dashboard cancels a command that does not exist, and one that does."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await dashboard.cancel(world.unknown_command())
    await dashboard.cancel(command)
    await dashboard.sees_command(command, "CANCELLED")


@provocation(needs="second-user commands")
async def a_stranger_cancels(world: World) -> None:
    """A second user's dashboard cancels a command, which then runs to its end."""
    user, other = world.user(), world.user(1)
    dashboard, stranger, agent = await user.dashboard(), await other.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    await stranger.cancel(command)
    await agent.ack(command)
    await stranger.cancel(command)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")
    await agent.complete(command)
    await dashboard.sees_command(command, "COMPLETED")


RULES = (
    Rule(
        id="cancel.answered",
        clauses=("CMD-7",),
        judges="COMMAND_CANCEL is answered by ACK, and by INVALID_STATE once the command has ended.",
        when=own_cancels,
        check=cancel_answered,
        good=(cancelled_in_each_state, while_it_waits, refused_just_before_a_restart, asked_for_while_all_is_stopped),
        bad=(cancel_refused, cancelled_after_the_end),
        cases=(cancelled_at_each_stage,),
    ),
    Rule(
        id="cancel.answered-over-rest",
        clauses=("CMD-R5", "CMD-7"),
        judges="A cancel over REST is answered 200, CANCELLED if it had not started, and 409 once it has ended.",
        when=rest_cancels,
        check=rest_cancel_answered,
        good=(over_rest,),
        bad=(still_queued, cancelled_after_the_end_over_rest),
        cases=(cancelled_at_each_stage,),
    ),
    Rule(
        id="cancel.of-unknown-refused",
        clauses=("CMD-7",),
        judges="COMMAND_CANCEL of a command that does not exist is refused as NOT_FOUND.",
        when=cancels_of_nothing,
        check=nothing_to_cancel,
        good=(of_nothing,),
        bad=(of_nothing_accepted,),
        cases=(nothing_there_to_cancel,),
    ),
    Rule(
        id="cancel.of-foreign-refused",
        clauses=("ISO-1",),
        judges="COMMAND_CANCEL of another user's command is refused as of an unknown one, and reaches nobody.",
        when=cancels_of_others,
        check=nothing_to_cancel,
        good=(
            by_bob,
            cancelled_by_both_at_once,
            cancelled_by_both_at_once_over_rest,
            cancelled_by_a_stranger_then_stopped,
        ),
        bad=(by_bob_accepted, by_bob_passed_on),
        cases=(a_stranger_cancels,),
    ),
)
