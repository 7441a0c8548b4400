"""Two nodes of one backend are one backend: agents on one, dashboards on the other (CNS-5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_orders import Order, orders
from conformance.command_scene import asks, takes
from conformance.command_views import deliveries
from conformance.moments import disagreements, moments
from conformance.rule import Finding, Rule, provocation
from conformance.rules.agent_replaced import Replacement, replaced, replacements
from conformance.rules.commands_delivery import SOON
from conformance.timeline import Exchange, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.moments import Moment
    from conformance.scene import Scene, Socket
    from conformance.timeline import Event, Timeline
    from conformance.world.user import User
    from conformance.world.world import World

FIRST, SECOND = "node-1", "node-2"
ALL_AT_ONCE = 5
"""CMD-4: how many commands an agent is given before it has finished any."""


def node_of(t: Timeline, event: Event) -> str:
    """The node that something was sent to, or came from."""
    if isinstance(event, Exchange):
        return event.node
    connection = t.connection(event.connection) if isinstance(event, Frame) else None
    return connection.opened.node if connection else ""


def seen_from_both(t: Timeline) -> Iterator[Moment]:
    """Each quiet moment in which several nodes showed an agent."""
    for moment in moments(t):
        if len({node_of(t, v.where) for v in moment.views}) > 1:
            yield moment


def across(t: Timeline) -> Iterator[Replacement]:
    """Each connection of an agent that has one on another node."""
    return (r for r in replacements(t) if r.first.opened.node != r.second.opened.node)


class Crossing(NamedTuple):
    """A command, and the connection of its agent on another node."""

    order: Order
    agent: Connection


def crossings(t: Timeline) -> Iterator[Crossing]:
    """Each command for an agent that is connected to another node, has room for it, and was watched for long enough."""
    given: dict[str, int] = {}
    for order in sorted(orders(t).values(), key=lambda o: o.cause.seq):
        for agent in t.agents:
            if agent.agent_id not in order.targets or agent.user != order.user or agent.accepted is None:
                continue
            given[agent.id] = given.get(agent.id, 0) + 1
            there = agent.accepted.seq < order.cause.seq and agent.opened.node != node_of(t, order.cause)
            got = deliveries(t, order.user, order.id, str(agent.agent_id))
            watched = got or agent.until >= t.bound(order.settled, SOON)
            if there and watched and given[agent.id] <= ALL_AT_ONCE and agent.until > order.settled:
                yield Crossing(order, agent)


def delivered(c: Crossing, t: Timeline) -> Iterator[Finding]:
    """It reaches the agent."""
    if not deliveries(t, c.order.user, c.order.id, str(c.agent.agent_id)):
        says = "a command that came to one node does not reach the agent, which is connected to another"
        yield Finding(says, c.order.cause, "", f"COMMAND_REQUEST to the agent within {SOON:g} s", "none")


def _on(s: Scene, role: str, node: str) -> Socket:
    socket = s.socket(role, node=node)
    if role == "dashboard":
        socket.sends("DASHBOARD_INIT", {"dashboardId": node})
        socket.gets("DASHBOARD_READY", {"dashboardId": node, "timestamp": s.now})
        socket.snapshot()
        return socket
    socket.agent_id = "a1"
    able = {"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": False}
    about = {"name": "Ada", "agentType": "CLAUDE", "version": "1.2.0", "hostMachine": "host", "capabilities": able}
    sent = socket.sends("AGENT_CONNECT", {"agentId": "a1", **about})
    socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a1"})
    return socket


def as_one(s: Scene) -> None:
    here, there = _on(s, "dashboard", FIRST), _on(s, "dashboard", SECOND)
    agent = _on(s, "agent", FIRST)
    for dashboard in (here, there):
        dashboard.told("a1")
    asks(there)
    takes(agent)
    again = _on(s, "agent", SECOND)
    agent.closes(by="backend", code=4008)
    again.heartbeats()
    for dashboard in (here, there):
        dashboard.told("a1", metrics=s.metrics)
    s.note("quiet")
    s.shows(s.row("a1", last_metrics=s.metrics), node=FIRST)
    s.shows(s.row("a1", last_metrics=s.metrics), node=SECOND)
    s.wait(4)


def events_stay_where_they_are(s: Scene) -> None:
    _on(s, "dashboard", SECOND)
    _on(s, "agent", FIRST)
    s.note("quiet")
    s.shows(s.row("a1"), node=FIRST)
    s.dashboard(s.item("a1", status="OFFLINE"))
    s.wait(2)


def commands_stay_where_they_are(s: Scene) -> None:
    dashboard = _on(s, "dashboard", SECOND)
    _on(s, "agent", FIRST)
    asks(dashboard)
    s.wait(5)


def connected_twice(s: Scene) -> None:
    _on(s, "agent", FIRST)
    _on(s, "agent", SECOND)
    s.wait(2)


async def _users(world: World) -> tuple[User, User] | None:
    nodes = await world.nodes()
    return (world.user(0, nodes[0]), world.user(0, nodes[1])) if nodes else None


@provocation(needs="second-node", budget=90.0)
async def apart(world: World) -> None:
    """Agents on each of two nodes beat, return on the other, and leave, while a dashboard on each watches."""
    if (users := await _users(world)) is None:
        return
    here, there = users
    watchers = [await here.dashboard(), await there.dashboard()]
    agents = [await here.agent(), await there.agent(), await here.agent()]
    for number, agent in enumerate(agents):
        beat = await agent.heartbeat(commandsProcessed=number, uptime=10 + number)
        await asyncio.gather(*(w.sees_beat(agent, beat) for w in watchers))
        await asyncio.gather(*(u.rest.shows(agent.id, beat=beat) for u in users))
    before = await agents[1].leave()
    await asyncio.gather(*(w.sees("AGENT_DISCONNECT", agents[1], since=before) for w in watchers))
    await asyncio.gather(*(u.rest.shows(agents[1].id, status="OFFLINE") for u in users))
    moved = there.new_agent(agentId=agents[2].announced)
    await moved.connect()
    await agents[2].link.ended(within=1.0)
    beat = await moved.heartbeat(commandsProcessed=50, uptime=1)
    await asyncio.gather(*(w.sees_beat(moved, beat) for w in watchers))
    await world.quiet()
    for user in users:
        await asyncio.gather(*(user.rest.get(f"/agents/{a.id}") for a in agents))
        await user.rest.all_agents()
        await user.dashboard()


@provocation(needs="second-node commands", budget=90.0)
async def commands_from_afar(world: World) -> None:
    """A dashboard on one node commands an agent on the other; so does REST; the agent moves and is commanded again."""
    if (users := await _users(world)) is None:
        return
    here, there = users
    dashboard, agent = await there.dashboard(), await here.agent()
    done = await dashboard.request(agent, "Say hello from afar")
    await agent.runs(done)
    await dashboard.sees_command(done, "COMPLETED")
    posted = await there.rest.call(
        "POST", "/commands", body={"content": "Say it again", "type": "NATURAL", "targetAgents": [agent.id]}
    )
    if command := reading.command_id(reading.one(posted.value) or {}):
        await agent.runs(command)
        await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()


RULES = (
    Rule(
        id="nodes.views-agree",
        clauses=("CNS-5",),
        judges="At a quiet moment an agent is the same on every node: list, single, snapshot, snapshot plus events.",
        when=seen_from_both,
        check=disagreements,
        good=(as_one,),
        bad=(events_stay_where_they_are,),
        cases=(apart,),
    ),
    Rule(
        id="nodes.one-connection",
        clauses=("CNS-5", "CON-4"),
        judges="An agent that connects to another node ends its connection on the first with 4008, and is not gone.",
        when=across,
        check=replaced,
        good=(as_one,),
        bad=(connected_twice,),
        cases=(apart,),
    ),
    Rule(
        id="nodes.commands-cross",
        clauses=("CNS-5", "CMD-1"),
        judges="A command that comes to one node reaches the agent that is connected to another.",
        when=crossings,
        check=delivered,
        good=(as_one,),
        bad=(commands_stay_where_they_are,),
        cases=(commands_from_afar,),
    ),
)
