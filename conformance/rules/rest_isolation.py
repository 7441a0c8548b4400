"""One user's agents do not exist for another (ISO-1, ISO-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rest_views import Row, agent_of, around, code, differences, judged, masked, owner_of, unknown_agents
from conformance.rule import Finding, Rule, provocation
from conformance.views import items_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Frame, Timeline
    from conformance.world.world import World

NOT_FOUND = 404
STABLE = ("agent_id", "name", "agent_type", "version", "capabilities", "created_at")
EVENTS = ("AGENT_STATUS", "AGENT_CONNECTED", "AGENT_DISCONNECT", "AGENT_ERROR", "TERMINAL_STREAM", "TRACE_STREAM")


def foreign(t: Timeline) -> Iterator[Exchange]:
    """Whole answers to a user who named an agent that another user had connected, in a request that is right."""
    for e in judged(t):
        owner = owner_of(t, agent_of(e), e.at)
        if (
            owner in {None, e.user}
            or e.operation is None
            or e.operation not in {"getAgent", "renameAgent", "deleteAgent"}
        ):
            continue
        if e.operation != "renameAgent" or t.contract.shapes.accepts("agent-update.json", e.request):
            yield e


def as_if_unknown(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """404, in the words for an agent that does not exist."""
    if e.status != NOT_FOUND:
        says = f"{e.label} on another user's agent is not answered 404: a stranger can tell it is there, or reach it"
        yield Finding(says, e, "", "404, as for an agent that does not exist", e.status, _connect(t, e))
        return
    unknown = unknown_agents(t)
    twins = (x for x in judged(t) if x.operation == e.operation and x.user == e.user and agent_of(x) in unknown)
    twin = next((x for x in twins if x.status == NOT_FOUND), None)
    if twin is not None and _shape(e) != _shape(twin):
        says = "the refusal differs from the one for an agent that does not exist: it betrays that this one does"
        yield Finding(says, e, "", f"{_shape(twin)}", f"{_shape(e)}", (*_connect(t, e), twin))


def _shape(e: Exchange) -> tuple[object, object, object]:
    if not isinstance(e.value, dict):
        return None, None, masked(e.text, agent_of(e))
    return sorted(e.value), code(e.value), masked(e.value.get("error"), agent_of(e))


def _connect(t: Timeline, e: Exchange) -> tuple[Frame, ...]:
    return tuple(a.init for a in t.agents if a.agent_id == agent_of(e) and a.init)[:1]


def not_there_for_bob(s: Scene) -> None:
    s.agent("a1")
    s.note("unknown-agent", agent="zz")
    s.fails("GET", "/agents/a1", 404, "There is no a1", user="bob")
    s.fails("GET", "/agents/zz", 404, "There is no zz", user="bob")


def shown_to_bob(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1"), user="bob")


def forbidden_to_bob(s: Scene) -> None:
    s.agent("a1")
    s.fails("DELETE", "/agents/a1", 403, user="bob")


def deleted_by_bob(s: Scene) -> None:
    s.agent("a1")
    s.rest("DELETE", "/agents/a1", 204, user="bob")


def other_words_for_bob(s: Scene) -> None:
    s.agent("a1")
    s.note("unknown-agent", agent="zz")
    s.fails("GET", "/agents/a1", 404, "This agent is not yours", user="bob")
    s.fails("GET", "/agents/zz", 404, "No such agent", user="bob")


class Attack(NamedTuple):
    """A change that another user asked for, and the owner's view before and after."""

    by: Exchange
    before: Row
    after: Exchange


def attacks(t: Timeline) -> Iterator[Attack]:
    """Foreign renames and deletions, between two looks of the owner."""
    for e in foreign(t):
        agent_id = agent_of(e) or ""
        owner = owner_of(t, agent_id, e.at) or ""
        if e.method == "GET":
            continue
        if seen := around(t, e, agent_id, owner):
            yield Attack(e, seen[0], seen[1].where)
        elif before := [x for x in _looks(t, agent_id, owner) if x.ended <= e.at and reading.one(x.value)]:
            later = [x for x in _looks(t, agent_id, owner) if x.at >= e.ended]
            changed = any(x.method != "GET" and agent_of(x) == agent_id and x.user == owner for x in t.exchanges)
            if later and later[0].status == NOT_FOUND and not changed:
                yield Attack(e, Row(before[-1], "/data", reading.one(before[-1].value) or {}), later[0])


def _looks(t: Timeline, agent_id: str, owner: str) -> list[Exchange]:
    return [x for x in judged(t) if x.operation == "getAgent" and x.user == owner and agent_of(x) == agent_id]


def untouched(attack: Attack, _t: Timeline) -> Iterator[Finding]:
    """The owner sees the agent as it was."""
    now = reading.one(attack.after.value) if attack.after.status != NOT_FOUND else None
    evidence = (attack.before.where, attack.by)
    if now is None:
        says = "another user deleted the agent: its owner does not find it any more"
        yield Finding(says, attack.after, "", "the agent as before", attack.after.status, evidence)
        return
    for name in differences(attack.before.value, now, STABLE):
        says = f"another user changed the agent's {name}"
        yield Finding(says, attack.after, f"/data/{name}", f"{attack.before.value.get(name)}", now.get(name), evidence)


def attempts_in_vain(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1"))
    s.rest("PATCH", "/agents/a1", 404, {"success": False, "error": "No"}, user="bob", request={"name": "Mallory"})
    s.shows(s.row("a1"))
    s.fails("DELETE", "/agents/a1", 404, user="bob")
    s.shows(s.row("a1", status="ERROR"))


def renamed_by_bob(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1"))
    s.rest("PATCH", "/agents/a1", 404, {"success": False, "error": "No"}, user="bob", request={"name": "Mallory"})
    s.shows(s.row("a1", name="Mallory"))


def gone_for_alice(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1"))
    s.fails("DELETE", "/agents/a1", 404, user="bob")
    s.fails("GET", "/agents/a1", 404)


class Sight(NamedTuple):
    """What a user could see while another user had agents."""

    where: Exchange | Frame
    user: str
    ids: tuple[tuple[str, str], ...]
    """Pointer and agent id."""


def sights(t: Timeline) -> Iterator[Sight]:
    """Lists, snapshots and events of a user, while another user's agent was there."""
    for e in judged(t):
        if e.operation == "listAgents" and e.status < 300 and _others(t, e.user, e.at):  # noqa: PLR2004 - 2xx
            found = enumerate(reading.rows(e.value) or [])
            yield Sight(e, e.user, tuple((f"/data/{i}", reading.agent_id(row) or "") for i, row in found))
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("dashboard:connected", *EVENTS):
            if _others(t, dashboard.user, frame.at):
                named = [("/payload/agentId", reading.agent_id(frame.payload) or "")]
                if frame.kind == "dashboard:connected":
                    named = [(item.pointer, item.agent_id or "") for item in items_of(frame)]
                yield Sight(frame, dashboard.user, tuple(named))


def _others(t: Timeline, user: str, before: float) -> bool:
    return any(a.user != user and a.opened.at < before for a in t.agents)


def own_only(sight: Sight, t: Timeline) -> Iterator[Finding]:
    """Nobody else's agent."""
    for pointer, agent_id in sight.ids:
        owner = owner_of(t, agent_id, float("inf"))
        if owner not in {None, sight.user}:
            sent = tuple(a.init for a in t.agents if a.agent_id == agent_id and a.init)[:1]
            says = f"{sight.where.label} shows a user the agent of another user"
            yield Finding(says, sight.where, pointer, "only the user's own agents", agent_id, sent)


def each_its_own(s: Scene) -> None:
    s.agent("a1")
    s.agent("b1", user="bob")
    s.lists(s.row("a1"), s.row("old"))
    s.lists(s.row("b1"), user="bob")
    s.dashboard(s.item("b1"), user="bob").told("b1")


def list_of_all(s: Scene) -> None:
    s.agent("a1")
    s.lists(s.row("a1"), user="bob")


def snapshot_of_all(s: Scene) -> None:
    s.agent("a1")
    s.dashboard(s.item("a1"), user="bob")


def event_of_alice(s: Scene) -> None:
    dashboard = s.dashboard(user="bob")
    s.agent("a1")
    dashboard.told("a1")


def terminal_of_alice(s: Scene) -> None:
    dashboard, agent = s.dashboard(user="bob"), s.agent("a1")
    sent = {"commandId": "a1", "agentId": "a1", "streamType": "STDOUT", "content": "secret", "sequence": 0}
    agent.sends("TERMINAL_OUTPUT", sent)
    dashboard.gets("TERMINAL_STREAM", sent)


@provocation(needs="second-user")
async def a_stranger_with_a_token(world: World) -> None:
    """A second user reads, renames and deletes the first one's agent, and one that does not exist."""
    owner, other = world.user(), world.user(1)
    agent = await owner.agent()
    await agent.heartbeat()
    await agent.leave()
    await owner.rest.until(agent.id, lambda row: reading.status(row) == "OFFLINE")
    unknown = world.unknown_agent()
    for agent_id in (unknown, agent.id):
        await other.rest.get(f"/agents/{agent_id}")
        await owner.rest.get(f"/agents/{agent.id}")
        await other.rest.patch(f"/agents/{agent_id}", {"name": "Mallory"})
        await owner.rest.get(f"/agents/{agent.id}")
        await other.rest.delete(f"/agents/{agent_id}")
        await owner.rest.get(f"/agents/{agent.id}")


@provocation(needs="second-user")
async def two_users_side_by_side(world: World) -> None:
    """Two users with an agent and a dashboard each; both list, both take a fresh snapshot, both agents report."""
    users = (world.user(), world.user(1))
    for user in users:
        await user.dashboard()
    for agent in [await user.agent() for user in users]:
        await agent.heartbeat()
    for user in users:
        for _ in range(2):
            await user.rest.all_agents()
        await user.dashboard()
    await world.quiet()


@provocation(needs="commands terminal traces second-user")
async def two_users_at_work(world: World) -> None:
    """Two users with an agent, a command and a dashboard each; both agents print and trace."""
    users = (world.user(), world.user(1))
    pairs = [(await user.dashboard(), await user.agent()) for user in users]
    for dashboard, agent in pairs:
        command = await dashboard.request(agent)
        await agent.takes(command)
        await dashboard.sees_piece(await agent.prints("line\n", command=command))
        await dashboard.sees_piece(await agent.traces(command))
    await world.quiet()


RULES = (
    Rule(
        id="isolation.foreign-is-unknown",
        clauses=("ISO-1",),
        judges="Another user's agent is answered 404, in the words for one that does not exist.",
        when=foreign,
        check=as_if_unknown,
        good=(not_there_for_bob,),
        bad=(shown_to_bob, forbidden_to_bob, deleted_by_bob, other_words_for_bob),
        cases=(a_stranger_with_a_token,),
    ),
    Rule(
        id="isolation.foreign-changes-nothing",
        clauses=("ISO-1",),
        judges="What another user tries to rename or delete stays as it was for its owner.",
        when=attacks,
        check=untouched,
        good=(attempts_in_vain,),
        bad=(renamed_by_bob, gone_for_alice),
        cases=(a_stranger_with_a_token,),
    ),
    Rule(
        id="isolation.own-agents-only",
        clauses=("ISO-2",),
        judges="No list, snapshot or event shows a user another user's agent.",
        when=sights,
        check=own_only,
        good=(each_its_own,),
        bad=(list_of_all, snapshot_of_all, event_of_alice, terminal_of_alice),
        cases=(two_users_side_by_side, two_users_at_work),
    ),
)
