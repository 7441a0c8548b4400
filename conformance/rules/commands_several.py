"""Commands for several agents, and for all: each gets it, and the whole follows its parts (CMD-R1, CMD-R5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_life import TERMINAL, parts_of, tasks
from conformance.command_orders import Order, orders
from conformance.command_scene import ONE, TWO, acks, completes, creates, resource, shows, takes, told
from conformance.command_views import Reading, quiet, readings
from conformance.rule import Finding, Rule, provocation
from conformance.scene import BORN
from conformance.views import watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

SOON = 3.0
WITHIN = 1.0


class Broadcast(NamedTuple):
    """A command for all agents of a user, and one that was there."""

    order: Order
    agent: Connection


def broadcasts(t: Timeline) -> Iterator[Broadcast]:
    """Each, for every agent that had no other command and stayed long enough."""
    for order in orders(t).values():
        if order.asked.get("broadcast") is not True or order.asked.get("targetAgents"):
            continue
        for agent in t.agents:
            there = agent.accepted is not None and agent.accepted.at < order.cause.at
            others = [x for x in tasks(t) if x.agent_id == agent.agent_id and x.id != order.id]
            cancelled = [x for x in parts_of(t, order) if x.cancels or x.end or x.unsure < t.bound(order.settled, SOON)]
            late = agent.until > t.bound(order.settled, SOON) and not cancelled
            got = any(reading.command_id(f.payload) == order.id for f in agent.of_kind("COMMAND_REQUEST"))
            if agent.user == order.user and there and not others and (got or late):
                yield Broadcast(order, agent)


def reaches_all(b: Broadcast, _t: Timeline) -> Iterator[Finding]:
    """It is delivered, and it names all agents."""
    order, agent = b
    if not any(reading.command_id(f.payload) == order.id for f in agent.of_kind("COMMAND_REQUEST")):
        says = "a broadcast did not reach an agent that was there"
        yield Finding(
            says,
            order.cause,
            "",
            f"COMMAND_REQUEST to every agent, {agent.agent_id} among them",
            "nothing",
            (agent.opened,),
        )
    made = reading.one(getattr(order.cause, "value", None)) or {}
    targets = made.get("targetAgents")
    if isinstance(targets, list) and targets and agent.agent_id not in targets:
        says = "a broadcast names agents, and not all of them"
        yield Finding(says, order.cause, "/data/targetAgents", f"with {agent.agent_id}", targets)


class Whole(NamedTuple):
    """A look at a command for several agents at a quiet moment, and what each of them had made of it."""

    r: Reading
    parts: dict[str, str]


def wholes(t: Timeline) -> Iterator[Whole]:
    """Each look between a quiet moment and the next change, where the status of every part is known."""
    for order in orders(t).values():
        mine = parts_of(t, order)
        if len(mine) < 2:  # noqa: PLR2004 - several
            continue
        for r in readings(t, order):
            mark = next((m for m in reversed(quiet(t)) if m.at < r.where.at), None)
            if mark is None:
                continue
            now = {x.agent_id: x.status(r.where.ended) for x in mine}
            if None not in now.values() and now == {x.agent_id: x.status(mark.since) for x in mine}:
                yield Whole(r, {agent: status or "" for agent, status in now.items()})


def follows_its_parts(whole: Whole, _t: Timeline) -> Iterator[Finding]:
    """EXECUTING once any executes, over when all are; `agents` tells each part, where it is given."""
    r, parts = whole
    wanted = _together(set(parts.values()))
    if r.status not in wanted:
        says = "the status of a command for several agents does not follow from what they made of it"
        yield Finding(says, r.where, f"{r.pointer}/status", f"{' or '.join(sorted(wanted))} of {parts}", r.status)
    shown = r.value.get("agents")
    for i, part in enumerate(shown if isinstance(shown, list) else ()):
        agent = reading.agent_id(part)
        if agent in parts and reading.status(part) != parts[agent]:
            says = "REST shows another status of an agent's part than it has come to"
            yield Finding(says, r.where, f"{r.pointer}/agents/{i}/status", parts[agent], part.get("status"))


def _together(parts: set[str]) -> set[str]:
    """What a command may be whose parts are so."""
    if parts <= TERMINAL:
        return {next(s for s in ("FAILED", "CANCELLED", "COMPLETED") if s in parts)}
    if "EXECUTING" in parts:
        return {"EXECUTING"}
    return {"QUEUED", "PENDING", "EXECUTING"} if parts & TERMINAL else {"QUEUED", "PENDING"}


class Spread(NamedTuple):
    """A command for several agents, and a dashboard that watched its beginning or its end."""

    order: Order
    dashboard: Connection
    statuses: set[str]
    """Of which one must be told."""
    since: float
    due: float


def spreads(t: Timeline) -> Iterator[Spread]:
    """Each, once when it was created and once when all parts were over."""
    for order in orders(t).values():
        mine = parts_of(t, order)
        if len(mine) < 2:  # noqa: PLR2004 - several
            continue
        ends = [x.end for x in mine]
        for dashboard in watchers(t, order.user, order.cause):
            due = t.bound(order.settled, WITHIN)
            sure = all(x.unsure > order.settled for x in mine)  # else it may have ended before it was QUEUED
            occasions = [Spread(order, dashboard, {"QUEUED"}, order.cause.at, due)] if sure else []
            if None not in ends:
                last = max(e.settled for e in ends if e)
                over = {e.status for e in ends if e}
                occasions.append(Spread(order, dashboard, over, last - WITHIN, t.bound(last, WITHIN)))
            yield from (o for o in occasions if dashboard.until > o.due or _told(o))


def _told(spread: Spread) -> bool:
    return any(
        reading.command_id(f.payload) == spread.order.id and reading.status(f.payload) in spread.statuses
        for f in spread.dashboard.of_kind("COMMAND_STATUS")
        if spread.since <= f.at <= spread.due
    )


def spread_told(spread: Spread, _t: Timeline) -> Iterator[Finding]:
    """COMMAND_STATUS tells it."""
    if not _told(spread):
        words = " or ".join(sorted(spread.statuses))
        says = "a command for several agents came to be, or to an end, and a dashboard is not told"
        yield Finding(says, spread.order.cause, "", f"COMMAND_STATUS {words} within {WITHIN:g} s", "none")


def _two(s: Scene, *looks: str, broadcast: bool = False, **more: Any) -> None:
    """A command for two agents; the first starts and fails, the second completes; a look at each stage."""
    one, two, dashboard = s.agent("a1"), s.agent("a2"), s.dashboard()
    if broadcast:
        body = {"success": True, "data": resource(ONE, targetAgents=["a1", "a2"], broadcast=True)}
        request = {"content": "Say hello", "type": "NATURAL", "broadcast": True}
        s.rest("POST", "/commands", 201, body, request=request)
    else:
        creates(s, ONE, targetAgents=["a1", "a2"])
    for agent in ("a1", "a2"):
        told(dashboard, "QUEUED", ONE, agent)
    takes(one)
    takes(two)
    for number, look in enumerate(looks):
        if number == 0:
            acks(one)
        else:
            completes(*((one, ONE, "FAILED") if number == 1 else (two, ONE)))
        s.note("quiet")
        shows(s, ONE, look, targetAgents=["a1", "a2"], **more)
    told(dashboard, "FAILED", ONE, "a1")
    told(dashboard, "COMPLETED", ONE, "a2")
    s.wait(2)


def whole_of_two(s: Scene) -> None:
    _two(s, "EXECUTING", "EXECUTING", "FAILED")


def whole_of_all(s: Scene) -> None:
    _two(s, "EXECUTING", "EXECUTING", "FAILED", broadcast=True)


def stopped_before_it_was_delivered(s: Scene) -> None:
    one, _ = s.agent("a1"), s.agent("a2")
    s.wait(0.01)
    asked = s.seconds
    takes(one)
    stopped = {"agentsStopped": 2, "commandsCancelled": 1, "timestamp": BORN}
    s.rest("POST", "/system/emergency-stop", 200, {"success": True, "data": stopped}, request={}, at=asked + 0.001)
    body = {"success": True, "data": resource(ONE, targetAgents=["a1", "a2"], broadcast=True)}
    s.rest("POST", "/commands", 201, body, request={"content": "x", "type": "PLAN", "broadcast": True}, at=asked)
    s.wait(5)


def stopped_before_it_was_queued(s: Scene) -> None:
    whole_of_two(s)
    dashboard = s.dashboard(user="bob")
    s.agent("b1", "bob")
    s.agent("b2", "bob")
    s.wait(0.01)
    asked = s.seconds
    for agent in ("b1", "b2"):
        told(dashboard, "PENDING", TWO, agent)
        told(dashboard, "CANCELLED", TWO, agent)
    stopped = {"agentsStopped": 2, "commandsCancelled": 1, "timestamp": BORN}
    body = {"success": True, "data": stopped}
    s.rest("POST", "/system/emergency-stop", 200, body, request={}, user="bob", at=asked + 0.001)
    body = {"success": True, "data": resource(TWO, targetAgents=["b1", "b2"])}
    request = {"content": "x", "type": "PLAN", "targetAgents": ["b1", "b2"]}
    s.rest("POST", "/commands", 201, body, request=request, user="bob", at=asked)
    s.wait(3)


def completed_though_one_failed(s: Scene) -> None:
    _two(s, "EXECUTING", "QUEUED", "COMPLETED")


def over_with_the_first(s: Scene) -> None:
    _two(s, "EXECUTING", "FAILED", "FAILED")


def part_otherwise(s: Scene) -> None:
    part = {"agentId": "a2", "status": "EXECUTING", "startedAt": BORN, "completedAt": None, "error": None}
    _two(s, "EXECUTING", "QUEUED", "FAILED", agents=[part])


def one_left_out(s: Scene) -> None:
    s.agent("a1")
    two = s.agent("a2")
    body = {"success": True, "data": resource(ONE, targetAgents=["a2"], broadcast=True)}
    s.rest("POST", "/commands", 201, body, request={"content": "x", "type": "PLAN", "broadcast": True})
    takes(two)
    s.wait(5)


def nobody_told(s: Scene) -> None:
    one, two = s.agent("a1"), s.agent("a2")
    s.dashboard()
    creates(s, ONE, targetAgents=["a1", "a2"])
    for agent in (one, two):
        takes(agent)
        completes(agent)
    s.wait(3)


async def for_two_agents(world: World) -> None:
    """Commands for two agents that make different things of them; each is read whenever one of them has moved."""
    user = world.user()
    dashboard, one, two = await user.dashboard(), await user.agent(), await user.agent()
    for first, second in (("COMPLETED", "COMPLETED"), ("FAILED", "COMPLETED"), ("CANCELLED", "COMPLETED")):
        command = await user.rest.command(one.id, two.id)
        for agent, end in ((one, first), (two, second)):
            await agent.takes(command)
            await agent.ack(command)
            await world.quiet()
            await user.rest.get(f"/commands/{command}")
            await agent.complete(command, end)
            await world.quiet()
            await user.rest.get(f"/commands/{command}")
        await dashboard.link.until("COMMAND_STATUS", where=lambda f, c=command: f.payload.get("commandId") == c)  # type: ignore[misc]


@provocation(needs="third-user commands", alone=True)
async def for_all_agents(world: World) -> None:
    """A broadcast of a user with two agents, one of which is away and comes later."""
    user = world.user(2)
    dashboard, one, two = await user.dashboard(), await user.agent(), await user.agent()
    before = await two.leave()
    await dashboard.sees("AGENT_DISCONNECT", two, since=before)
    made: Exchange = await user.rest.post("/commands", {"content": "To all", "type": "PLAN", "broadcast": True})
    command = reading.command_id(reading.one(made.value)) or ""
    await one.runs(command)
    await two.connect()
    await two.runs(command)
    await world.quiet()
    await user.rest.get(f"/commands/{command}")
    for agent in (one, two):  # other cases need a user without agents
        before = await agent.leave()
        await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
        await user.rest.delete(f"/agents/{agent.id}")


RULES = (
    Rule(
        id="broadcast.reaches-all",
        clauses=("CMD-R1",),
        judges="A broadcast is delivered to every agent of the user.",
        when=broadcasts,
        check=reaches_all,
        good=(whole_of_all, stopped_before_it_was_delivered),
        bad=(one_left_out,),
        cases=(for_all_agents,),
    ),
    Rule(
        id="rest-command.whole-follows-parts",
        clauses=("CMD-R2", "CMD-R5"),
        judges="A command for several agents is EXECUTING once any executes, and over as the worst when all are.",
        when=wholes,
        check=follows_its_parts,
        good=(whole_of_two, whole_of_all),
        bad=(completed_though_one_failed, over_with_the_first, part_otherwise),
        cases=(for_two_agents,),
    ),
    Rule(
        id="command.several-told",
        clauses=("CMD-R1",),
        judges="That a command for several agents is there, and that it is over, is told to dashboards.",
        when=spreads,
        check=spread_told,
        good=(whole_of_two, whole_of_all, stopped_before_it_was_queued),
        bad=(nobody_told,),
        cases=(for_two_agents,),
    ),
)
