"""The answer to a change of subscription: what holds now, or that there is no such thing (SUB-3, SUB-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.command_orders import orders
from conformance.command_scene import ONE, TWO, asks
from conformance.dialogue import ANSWER_SECONDS, Said, is_valid, said_as
from conformance.interest import SUBSCRIBE, UNSUBSCRIBE
from conformance.rule import Finding, Rule, provocation
from conformance.views import deletions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.actors import Dashboard
    from conformance.world.world import World

UNKNOWN = "unknown-id"
"""The kind of note that says an `id` names nothing."""
SHAPE = "common.json#/$defs/EffectiveSubscriptions"


def _changes(t: Timeline) -> Iterator[Said]:
    for s in said_as(t, SUBSCRIBE, UNSUBSCRIBE):
        if s.ready and is_valid(s, t) and (s.answers or s.unanswered(t)):
            yield s


def proper_changes(t: Timeline) -> Iterator[Said]:
    """Each request about all of a kind, or about an agent or a command of the dashboard's own user."""
    for s in _changes(t):
        payload = s.sent.payload
        order = orders(t).get(str(payload.get("id"))) if payload["type"] == "command" else None
        mine = payload["type"] == "agent" and _is_there(t, s, payload.get("id"))
        mine = mine or (order is not None and order.user == s.connection.user and order.settled < s.sent.at)
        if (payload.get("all") is True and payload.get("id") is None) or (mine and payload.get("all") is None):
            yield s


def _is_there(t: Timeline, s: Said, agent_id: Any) -> bool:
    """Whether the dashboard's user surely had this agent when it was asked for."""
    known = any(
        a.agent_id == agent_id and a.user == s.connection.user and a.accepted and a.accepted.seq < s.sent.seq
        for a in t.agents
    )
    end = s.answers[0].at if s.answers else float("inf")
    return known and not any(e.at < end for e in deletions(t, agent_id))


def says_what_holds(s: Said, t: Timeline) -> Iterator[Finding]:
    """ACK with the resulting subscriptions, in which the change is seen."""
    kind = s.sent.type
    expected = "ACK with success true and subscriptions"
    if not s.answers:
        yield Finding(f"{kind} got no answer", s.sent, "", expected, "nothing")
        return
    answer = s.answers[0]
    if answer.kind != "ACK" or answer.payload.get("success") is not True:
        got = answer.payload.get("error", answer.payload.get("code", answer.type))
        yield Finding(
            f"{kind} is refused, though there is what it asks for", answer, "/payload", expected, got, (s.sent,)
        )
        return
    result = answer.payload.get("subscriptions")
    says = f"the ACK to {kind} does not say what the dashboard is subscribed to now"
    if not isinstance(result, dict):
        yield Finding(
            says, answer, "/payload/subscriptions", "agents, commands, terminals and traces", result, (s.sent,)
        )
        return
    wrong = False
    for v in t.contract.violations(SHAPE, result):
        wrong = True
        yield Finding(says, answer, "/payload/subscriptions" + v.pointer, v.expected, v.got, (s.sent,))
    if not wrong:
        yield from _shows_change(s, answer, result)


def _shows_change(s: Said, answer: Any, result: dict[str, Any]) -> Iterator[Finding]:
    payload, on = s.sent.payload, s.sent.type == SUBSCRIBE
    field = {"agent": "agents", "command": "commands", "trace": "traces", "terminal": "terminals"}[payload["type"]]
    got, one = result[field], payload.get("id")
    if isinstance(got, bool):
        right, expected = got is on, "true" if on else "false"
    elif one is None:
        right, expected = got == ("all" if on else []), '"all"' if on else "an empty list"
    elif on:
        right, expected = got == "all" or one in got, '"all", or a list with it'
    else:
        right, expected = got != "all" and one not in got, "a list without it"
    if not right:
        says = f"the ACK to {s.sent.type} does not show the change: the dashboard thinks it hears what it does not"
        yield Finding(says, answer, f"/payload/subscriptions/{field}", expected, got, (s.sent,))


def foreign_or_unknown(t: Timeline) -> Iterator[Said]:
    """Each subscription to an agent or a command of another user, or to an id that names nothing."""
    unknown = {n.data["id"] for n in t.notes if n.kind == UNKNOWN}
    unknown |= {n.data["command"] for n in t.notes if n.kind == "unknown-command"}
    for s in _changes(t):
        one, kind, user = s.sent.payload.get("id"), s.sent.payload["type"], s.connection.user
        order = orders(t).get(str(one))
        foreign = t.owners.get(str(one), user) != user
        if kind == "command":
            foreign = order is not None and order.user != user and order.settled < s.sent.at
        if s.sent.type == SUBSCRIBE and kind in {"agent", "command"} and (foreign or one in unknown):
            yield s


def not_found(s: Said, _t: Timeline) -> Iterator[Finding]:
    """ACK with success false and NOT_FOUND."""
    expected = "ACK with success false and error NOT_FOUND"
    if not s.answers:
        yield Finding("a subscription to an id that names nothing got no answer", s.sent, "", expected, "nothing")
        return
    answer = s.answers[0]
    error = answer.payload.get("error", answer.payload.get("code"))
    if answer.kind != "ACK" or answer.payload.get("success") is not False or error != "NOT_FOUND":
        says = "a subscription to an id that names nothing of the user's is not answered as not found"
        got = f"{answer.type} with success {answer.payload.get('success')} and error {error}"
        yield Finding(says, answer, "/payload", expected, got, (s.sent,))


def _result(**changes: object) -> dict[str, object]:
    return {"agents": "all", "commands": "all", "terminals": True, "traces": True} | changes


def _asked(s: Scene, kind: str, what: dict[str, object], answer: dict[str, object], user: str = "alice") -> None:
    dashboard = s.dashboard(user=user)
    sent = dashboard.sends(kind, what)
    dashboard.gets("ACK", {"messageId": sent.id, "success": True} | answer)


def told_what_holds(s: Scene) -> None:
    s.agent("a1")
    _asked(s, SUBSCRIBE, {"type": "agent", "id": "a1"}, {"subscriptions": _result(further=1)})
    _asked(s, UNSUBSCRIBE, {"type": "agent", "id": "a1"}, {"subscriptions": _result(agents=["a2"])})
    _asked(s, UNSUBSCRIBE, {"type": "agent", "all": True}, {"subscriptions": _result(agents=[])})
    _asked(s, UNSUBSCRIBE, {"type": "terminal", "all": True}, {"subscriptions": _result(terminals=False)})


def refused_while_the_agent_is_deleted(s: Scene) -> None:
    s.agent("a1").closes()
    asked = s.note("asked").at
    _asked(s, SUBSCRIBE, {"type": "agent", "id": "a1"}, {"success": False, "error": "NOT_FOUND"})
    s.rest("DELETE", "/agents/a1", 204, at=asked)
    _asked(s, UNSUBSCRIBE, {"type": "agent", "all": True}, {"subscriptions": _result(agents=[])})


def command_still_all(s: Scene) -> None:
    s.agent("a1")
    asks(s.dashboard())
    _asked(s, UNSUBSCRIBE, {"type": "command", "id": ONE}, {"subscriptions": _result()})


def not_told(s: Scene) -> None:
    _asked(s, SUBSCRIBE, {"type": "agent", "all": True}, {})


def told_in_part(s: Scene) -> None:
    _asked(s, SUBSCRIBE, {"type": "agent", "all": True}, {"subscriptions": {"agents": "all"}})


def still_all(s: Scene) -> None:
    s.agent("a1")
    _asked(s, UNSUBSCRIBE, {"type": "agent", "id": "a1"}, {"subscriptions": _result()})


def own_not_found(s: Scene) -> None:
    s.agent("a1")
    _asked(s, SUBSCRIBE, {"type": "agent", "id": "a1"}, {"success": False, "error": "NOT_FOUND"})


def neither_found(s: Scene) -> None:
    s.note(UNKNOWN, id="nobody")
    s.note("unknown-command", command=TWO)
    s.agent("a1")
    asks(s.dashboard())
    for one, user in ((TWO, "alice"), (ONE, "bob")):
        _asked(s, SUBSCRIBE, {"type": "command", "id": one}, {"success": False, "error": "NOT_FOUND"}, user)
    for one, user in (("nobody", "alice"), ("a1", "bob")):
        _asked(s, SUBSCRIBE, {"type": "agent", "id": one}, {"success": False, "error": "NOT_FOUND"}, user)


def unknown_accepted(s: Scene) -> None:
    s.note(UNKNOWN, id="nobody")
    _asked(s, SUBSCRIBE, {"type": "agent", "id": "nobody"}, {"subscriptions": _result()})


def foreign_command_accepted(s: Scene) -> None:
    s.agent("a1")
    asks(s.dashboard())
    _asked(s, SUBSCRIBE, {"type": "command", "id": ONE}, {"subscriptions": _result()}, "bob")


def foreign_forbidden(s: Scene) -> None:
    s.agent("a1")
    _asked(s, SUBSCRIBE, {"type": "agent", "id": "a1"}, {"success": False, "error": "FORBIDDEN"}, "bob")


async def every_kind_of_change(world: World) -> None:
    """A dashboard subscribes and unsubscribes one agent, all agents, terminals and traces."""
    user = world.user()
    agent, dashboard = await user.agent(), await user.dashboard()
    one = {"type": "agent", "id": agent.id}
    for kind in (UNSUBSCRIBE, SUBSCRIBE):
        for what in (
            one,
            {"type": "agent", "all": True},
            {"type": "terminal", "all": True},
            {"type": "trace", "all": True},
        ):
            await _ask(dashboard, kind, what)


async def unknown_agents(world: World) -> None:
    """A dashboard subscribes to an agent that does not exist, then to one that does."""
    user = world.user()
    agent, dashboard, nobody = await user.agent(), await user.dashboard(), world.new_id()
    world.recorder.note(UNKNOWN, id=nobody)
    for one in (nobody, agent.id):
        await _ask(dashboard, SUBSCRIBE, {"type": "agent", "id": one})


@provocation(needs="second-user commands")
async def commands_of_all_sorts(world: World) -> None:
    """A dashboard subscribes to a command that does not exist, to another user's, and to one of its own."""
    user, other = world.user(), world.user(1)
    dashboard, agent, foreign = await user.dashboard(), await user.agent(), await other.agent()
    theirs, mine = await other.rest.command(foreign.id), await user.rest.command(agent.id)
    for one in (world.unknown_command(), theirs, mine):
        await _ask(dashboard, SUBSCRIBE, {"type": "command", "id": one})
    for kind in (UNSUBSCRIBE, SUBSCRIBE):
        for what in ({"id": mine}, {"all": True}):
            await _ask(dashboard, kind, {"type": "command", **what})


@provocation(needs="second-user")
async def foreign_agents(world: World) -> None:
    """A dashboard subscribes to another user's agent, then to its own."""
    user = world.user()
    foreign, own = await world.user(1).agent(), await user.agent()
    dashboard = await user.dashboard()
    for one in (foreign.id, own.id):
        await _ask(dashboard, SUBSCRIBE, {"type": "agent", "id": one})


async def _ask(dashboard: Dashboard, kind: str, what: dict[str, Any]) -> None:
    await dashboard.link.answer(await dashboard.link.send(kind, what), within=ANSWER_SECONDS)


RULES = (
    Rule(
        id="subscriptions.answer-says-what-holds",
        clauses=("SUB-3",),
        judges="DASHBOARD_SUBSCRIBE and DASHBOARD_UNSUBSCRIBE are answered by ACK with the resulting subscriptions.",
        when=proper_changes,
        check=says_what_holds,
        good=(told_what_holds, refused_while_the_agent_is_deleted),
        bad=(not_told, told_in_part, still_all, own_not_found, command_still_all),
        cases=(every_kind_of_change, commands_of_all_sorts),
    ),
    Rule(
        id="subscriptions.not-found",
        clauses=("SUB-4",),
        judges="Subscribing to an unknown or another user's agent or command is answered by ACK false, NOT_FOUND.",
        when=foreign_or_unknown,
        check=not_found,
        good=(neither_found,),
        bad=(unknown_accepted, foreign_forbidden, foreign_command_accepted),
        cases=(unknown_agents, foreign_agents, commands_of_all_sorts),
    ),
)
