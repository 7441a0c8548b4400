"""A dashboard asks for a command: accepted once, by name, for an agent that is there (CMD-1, CMD-6)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from conformance import reading
from conformance.command_orders import Order, accepted, named, orders, requests
from conformance.command_scene import ONE, THREE, TWO, accepts, asks, creates, refuses, takes, told
from conformance.rule import Finding, Rule
from conformance.views import deletions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.dialogue import Said
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

FULL = "QUEUE_FULL"


def judged(s: Said, t: Timeline) -> bool:
    """Whether a request was answered or waited for, and not refused for want of room or patience."""
    codes = {e.payload.get("code") for e in s.errors}
    return bool(s.answers or s.unanswered(t)) and not codes & {"RATE_LIMIT", FULL}


def first_requests(t: Timeline) -> Iterator[Said]:
    """Each request with an id of its own, or none, for an agent of the same user that had connected before."""
    seen = {o.id: o.cause for o in orders(t).values()}
    deleted = {e.path for e in t.exchanges if e.operation == "deleteAgent"}
    asked: set[object] = set()
    for s in requests(t):
        agent, command = s.sent.payload["agentId"], s.sent.payload.get("commandId")
        again = command in asked or (command is not None and seen.get(command, s.sent).at < s.sent.at)
        asked |= {command} - {None}
        again = again or (command is not None and _is_overtaken(s, t))
        there = any(a.agent_id == agent and a.accepted and a.accepted.at < s.sent.at for a in t.agents)
        own = there and t.owners.get(agent) == s.connection.user
        if own and not again and f"/agents/{agent}" not in deleted and judged(s, t):
            yield s


def _is_overtaken(s: Said, t: Timeline) -> bool:
    """Whether the same id was asked for elsewhere before this request was answered."""
    same = t.remember(_by_name)[s.sent.payload["commandId"]]
    until = s.answers[0].at if s.answers else t.end
    return any(o.connection is not s.connection and o.sent.at < until for o in same)


def _by_name(t: Timeline) -> dict[object, list[Said]]:
    found: dict[object, list[Said]] = {}
    for s in requests(t):
        found.setdefault(s.sent.payload.get("commandId"), []).append(s)
    return found


def acknowledged(s: Said, _t: Timeline) -> Iterator[Finding]:
    """ACK with success and the command's id."""
    expected = "ACK with messageId, success true and commandId"
    if not s.answers:
        yield Finding("COMMAND_REQUEST got no answer: nobody knows whether it runs", s.sent, "", expected, "nothing")
    elif not accepted(s):
        got = s.answers[0].payload.get("code", s.answers[0].payload.get("error", s.answers[0].type))
        yield Finding("a valid COMMAND_REQUEST is refused", s.answers[0], "/payload", expected, got, (s.sent,))
    elif not _is_uuid(s.answers[0].payload.get("commandId")):
        says = "the ACK to COMMAND_REQUEST does not say the command's id: it cannot be followed or cancelled"
        got = s.answers[0].payload.get("commandId", "nothing")
        yield Finding(says, s.answers[0], "/payload/commandId", "the command's id, a UUID", got, (s.sent,))


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


def accepted_with_or_without_id(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard)
    sent = dashboard.sends("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"})
    accepts(dashboard, sent, commandId=TWO, further=1)


def one_id_asked_for_twice_at_once(s: Scene) -> None:
    accepted_with_or_without_id(s)
    one, other = s.dashboard(), s.dashboard()
    asked = {"commandId": THREE, "agentId": "a1", "type": "PLAN"}
    first = one.sends("COMMAND_REQUEST", asked | {"content": "first"})
    accepts(other, other.sends("COMMAND_REQUEST", asked | {"content": "second"}), commandId=THREE)
    refuses(one, first, "INVALID_STATE")


def request_swallowed(s: Scene) -> None:
    s.agent("a1")
    s.dashboard().sends("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"})
    s.wait(3)


def request_refused(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    refuses(dashboard, dashboard.sends("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"}), "NO")


def accepted_without_name(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    accepts(dashboard, dashboard.sends("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"}))


class Again(NamedTuple):
    """A request with the id of a command that its user has already."""

    s: Said
    order: Order


def repeated(t: Timeline) -> Iterator[Again]:
    """Each request with the id of an earlier, accepted command of the same user."""
    for s in requests(t):
        command = s.sent.payload.get("commandId")
        order = next((o for o in orders(t).values() if o.asked.get("commandId", o.id) == command), None)
        if order and order.user == s.connection.user and order.cause.at < s.sent.at and judged(s, t):
            yield Again(s, order)


def one_command(again: Again, t: Timeline) -> Iterator[Finding]:
    """ACK with the same id (with other content also INVALID_STATE), and no other agent gets it."""
    s, order = again
    same = all(
        s.sent.payload.get(k) == order.asked.get(k) for k in ("agentId", "content", "type", "executionConstraints")
    )
    same = same and s.sent.payload.get("priority", 50) == order.priority
    expected = f"ACK with commandId {order.id}" + ("" if same else " or ERROR INVALID_STATE")
    if not s.answers:
        yield Finding("the same COMMAND_REQUEST again got no answer", s.sent, "", expected, "nothing", (order.cause,))
        return
    if accepted(s) and named(s) != order.id:
        says = "the same commandId again made another command: a repeated send runs twice"
        yield Finding(says, s.answers[0], "/payload/commandId", expected, named(s), (order.cause, s.sent))
    elif not accepted(s) and (same or s.answers[0].payload.get("code") != "INVALID_STATE") and not _is_gone(s, t):
        got = s.answers[0].payload.get("code", s.answers[0].type)
        yield Finding("the same COMMAND_REQUEST again is refused", s.answers[0], "/payload", expected, got, (s.sent,))
    for agent in t.agents:
        given = [f for f in agent.of_kind("COMMAND_REQUEST") if reading.command_id(f.payload) == order.id]
        if len(given) > 1 and given[-1].seq > s.sent.seq:
            says = "a repeated commandId was delivered again: the command runs twice"
            yield Finding(says, given[-1], "", "one COMMAND_REQUEST on a connection", len(given), (given[0], s.sent))
        for frame in given:
            if frame.seq > s.sent.seq and agent.agent_id not in order.targets:
                says = "a repeated commandId brought the command to a second agent"
                yield Finding(
                    says, frame, "/payload/commandId", f"only to {order.targets[0]}", agent.agent_id, (s.sent,)
                )


def _is_gone(s: Said, t: Timeline) -> bool:
    """Whether it is refused for an agent that may be deleted, which a backend may look up first."""
    gone = any(e.at < s.answers[0].at for e in deletions(t, s.sent.payload["agentId"]))
    return gone and s.answers[0].payload.get("code") == "NOT_FOUND"


def same_again(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    asks(dashboard)
    other = {"commandId": ONE, "agentId": "a1", "content": "else", "type": "PLAN"}
    refuses(dashboard, dashboard.sends("COMMAND_REQUEST", other), "INVALID_STATE")


def same_again_for_who_is_deleted(s: Scene) -> None:
    s.agent("a1").closes()
    dashboard = s.dashboard()
    asks(dashboard)
    s.rest("DELETE", "/agents/a1", 204)
    again = {"commandId": ONE, "agentId": "a1", "content": "Say hello", "type": "NATURAL"}
    refuses(dashboard, dashboard.sends("COMMAND_REQUEST", again), "NOT_FOUND")


def same_again_made_another(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard)
    payload = {"commandId": ONE, "agentId": "a1", "content": "Say hello", "type": "NATURAL"}
    accepts(dashboard, dashboard.sends("COMMAND_REQUEST", payload), commandId=TWO)


def same_again_refused(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard)
    payload = {"commandId": ONE, "agentId": "a1", "content": "Say hello", "type": "NATURAL"}
    refuses(dashboard, dashboard.sends("COMMAND_REQUEST", payload), "INVALID_STATE")


def same_again_runs_twice(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    takes(agent)
    asks(dashboard)
    takes(agent)


def same_again_for_another_agent(s: Scene) -> None:
    one, two, dashboard = s.agent("a1"), s.agent("a2"), s.dashboard()
    asks(dashboard)
    takes(one)
    asks(dashboard, agent="a2")
    takes(two)


def same_over_rest_is_another(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard)
    creates(s, TWO)
    told(dashboard, "QUEUED", TWO)
    asks(dashboard)


async def with_and_without_an_id(world: World) -> None:
    """A dashboard asks for commands of each type, with an id of its own and without; the agent runs them."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for kind in ("NATURAL", "INVESTIGATE", "REVIEW", "PLAN", "SYNTHESIZE"):
        given: dict[str, Any] = {} if kind in {"NATURAL", "PLAN"} else {"commandId": ...}
        command = await dashboard.request(agent, f"Do {kind} ☃ \u001b[1m\n", type=kind, **given)
        await agent.runs(command)
        await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()


async def the_same_id_twice(world: World) -> None:
    """The same request is sent again at each stage of the command, by two dashboards, and with other content."""
    user = world.user()
    dashboard, other = await user.dashboard(), await user.dashboard()
    agent, second = await user.agent(), await user.agent()
    command = world.new_command()
    same: dict[str, Any] = {"commandId": command, "priority": 60}
    await asyncio.gather(dashboard.request(agent, **same), other.request(agent, **same))
    await agent.takes(command)
    await other.request(agent, **same)
    await agent.ack(command)
    await dashboard.request(agent, **same)
    await dashboard.request(agent, "Something else", commandId=command)
    await dashboard.request(second, **same)
    await agent.complete(command)
    await dashboard.request(agent, **same)
    await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()
    await user.rest.get(f"/commands/{command}")


RULES = (
    Rule(
        id="command.accepted",
        clauses=("CMD-1",),
        judges="A COMMAND_REQUEST for an agent of the user is answered by ACK with the command's id.",
        when=first_requests,
        check=acknowledged,
        good=(accepted_with_or_without_id, one_id_asked_for_twice_at_once, same_over_rest_is_another),
        bad=(request_swallowed, request_refused, accepted_without_name),
        cases=(with_and_without_an_id,),
    ),
    Rule(
        id="command.same-id-is-one",
        clauses=("CMD-6",),
        judges="A COMMAND_REQUEST with an id that the user has used already makes no second command.",
        when=repeated,
        check=one_command,
        good=(same_again, same_again_for_who_is_deleted, same_over_rest_is_another),
        bad=(same_again_made_another, same_again_refused, same_again_runs_twice, same_again_for_another_agent),
        cases=(the_same_id_twice,),
    ),
)
