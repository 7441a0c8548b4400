"""A dashboard, or REST, tells one agent what to do (CTL-1, AGT-12)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from conformance.command_orders import accepted
from conformance.command_scene import accepts, refuses
from conformance.dialogue import Said, is_valid, refusal, said_as
from conformance.resources import follows_schema
from conformance.rest_views import agent_of, judged, last_connection, outcome
from conformance.rule import Finding, Rule
from conformance.timeline import Exchange
from conformance.views import deletions, losses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0
ACCEPTED, NOT_FOUND, CONFLICT = 202, 404, 409
ACTIONS = {"stopAgent": "STOP", "restartAgent": "RESTART"}


class Order(NamedTuple):
    """What somebody told an agent: its connection, None where it surely had none."""

    by: Said | Exchange
    agent_id: str
    action: str
    reason: object
    agent: Connection | None

    @property
    def where(self) -> Frame | Exchange:
        """What was sent."""
        return self.by.sent if isinstance(self.by, Said) else self.by

    @property
    def settled(self) -> float:
        """When it was answered."""
        return (
            self.by.ended
            if isinstance(self.by, Exchange)
            else max((a.at for a in self.by.answers), default=self.by.sent.at)
        )


def controls(t: Timeline) -> Iterator[Said]:
    """Each AGENT_CONTROL of a dashboard, answered or waited for."""
    for s in said_as(t, "AGENT_CONTROL"):
        if s.connection.role == "dashboard" and s.ready and is_valid(s, t) and (s.answers or s.unanswered(t)):
            yield s


def by_dashboards(t: Timeline) -> Iterator[Order]:
    """Each AGENT_CONTROL for an agent of the user's that surely was, or was not, connected."""
    for s in controls(t):
        payload = s.sent.payload
        if t.owners.get(payload["agentId"]) == s.connection.user:
            order = Order(s, payload["agentId"], payload["action"], payload.get("reason"), None)
            yield from _placed(t, order, s.sent.at)


def over_rest(t: Timeline) -> Iterator[Order]:
    """Each stop and restart of an agent of the user's that surely was, or was not, connected."""
    for e in judged(t):
        if e.operation in ACTIONS and follows_schema(t, e) and last_connection(t, e) is not None:
            reason = e.request.get("reason") if isinstance(e.request, dict) else None
            yield from _placed(t, Order(e, agent_of(e) or "", ACTIONS[e.operation], reason, None), e.at)


def _placed(t: Timeline, order: Order, at: float) -> Iterator[Order]:
    mine = [a for a in t.agents if a.agent_id == order.agent_id]
    live = [a for a in mine if a.accepted and a.accepted.at < at and a.until >= order.settled]
    if live:
        heard = (f for f in live[-1].of_kind("AGENT_CONTROL", after=order.where.seq - 1) if _is_it(order, f))
        if live[-1].until > t.bound(order.settled, WITHIN) or any(heard):
            yield order._replace(agent=live[-1])
    elif any(
        _gone(t, x.agent_id, x.closed.at, at) and x.back_at > order.settled and not _deleted(t, order, x.closed.at)
        for x in losses(t)
        if x.agent_id == order.agent_id
    ):
        yield order


def _is_it(order: Order, frame: Frame) -> bool:
    return frame.payload.get("action") == order.action and reason_of(frame) == order.reason


def _deleted(t: Timeline, order: Order, end: float) -> bool:
    """Whether the agent may have been deleted since its connection ended: then it is not away, it is nobody's."""
    return any(end < e.ended and e.at < order.settled for e in deletions(t, order.agent_id))


def _gone(t: Timeline, agent_id: str, end: float, at: float) -> bool:
    """Whether the backend had surely noticed an end."""
    told = (f.at for d in t.dashboards for f in d.about(agent_id, "AGENT_DISCONNECT") if f.at >= end)
    return end < at and (any(x < at for x in told) or t.bound(end, WITHIN) < at)


def obeyed(order: Order, t: Timeline) -> Iterator[Finding]:
    """Accepted and passed on, once and to nobody else; refused while the agent is away."""
    what = f"{order.action} for an agent that is away"
    if order.agent is None and isinstance(order.by, Said):
        yield from refusal(order.by, t, what, "AGENT_OFFLINE")
    elif order.agent is None:
        if order.where.status != CONFLICT:  # type: ignore[union-attr]
            yield Finding(f"{what} is not refused: nothing stops", order.where, "", "409", order.where.status)  # type: ignore[union-attr]
    elif isinstance(order.by, Said) and not accepted(order.by):
        got = order.by.answers[0].payload.get("code", order.by.answers[0].type) if order.by.answers else "nothing"
        yield Finding(f"{order.action} for a connected agent is not accepted", order.where, "", "ACK", got)
    elif isinstance(order.by, Exchange) and order.by.status != ACCEPTED:
        yield Finding(f"{order.action} of a connected agent is not accepted", order.by, "", "202", outcome(order.by))
    else:
        yield from _passed_on(order, t)


def _passed_on(order: Order, t: Timeline) -> Iterator[Finding]:
    agent = order.agent
    assert agent is not None  # noqa: S101 - see obeyed
    since = order.where.at
    frames = [f for f in agent.of_kind("AGENT_CONTROL") if f.at >= since]
    mine = [f for f in frames if _is_it(order, f)]
    expected = f"AGENT_CONTROL {order.action} with reason {order.reason!r} within {WITHIN:g} s"
    if not mine:
        got = f"{frames[0].payload.get('action')}, {reason_of(frames[0])!r}" if frames else "nothing"
        says = "what an agent is told to do does not reach it as it was said"
        yield Finding(says, frames[0] if frames else order.where, "", expected, got, (order.where,))
    elif mine[0].at > t.bound(order.settled, WITHIN):
        late = f"{mine[0].at - order.settled:.2f} s later"
        yield Finding("AGENT_CONTROL came late", mine[0], "", expected, late, (order.where,))
    elif len(mine) > asked(t, order.reason):
        says = "an agent is told twice what was said once"
        yield Finding(says, mine[1], "", "AGENT_CONTROL once", len(mine), (order.where,))
    if not isinstance(order.reason, str) or len(order.reason) < 8:  # noqa: PLR2004 - short ones may be anybody's
        return
    for other in t.agents:
        for frame in other.of_kind("AGENT_CONTROL"):
            if other.agent_id != order.agent_id and reason_of(frame) == order.reason and asked(t, order.reason) == 1:
                says = "another agent is told what was meant for one: the wrong agent stops"
                yield Finding(says, frame, "", f"only to {order.agent_id}", other.agent_id, (order.where,))


def asked(t: Timeline, reason: object) -> int:
    """How often the same was said to anybody; an emergency stop tells every agent with its own reason."""
    bare = [e for e in t.exchanges if reason is None and e.operation in {*ACTIONS, "emergencyStop"}]
    return t.remember(_reasons)[repr(reason)] + len(bare)


def _reasons(t: Timeline) -> Counter[str]:
    said_so = {"AGENT_CONTROL", "EMERGENCY_STOP"}  # with an answer or without: it may have been heeded
    said = [reason_of(f) for d in t.dashboards for f in d.sent if f.type in said_so]
    said += [e.request.get("reason") for e in t.exchanges if isinstance(e.request, dict)]
    return Counter(map(repr, said))


def reason_of(frame: Frame) -> object:
    """Why an agent is to do it."""
    return frame.payload.get("reason")


def tells(dashboard: Socket, action: str = "STOP", agent: str = "a1", **more: object) -> Frame:
    """AGENT_CONTROL."""
    return dashboard.sends("AGENT_CONTROL", {"agentId": agent, "action": action, **more})


def each_action(s: Scene) -> None:
    agent, other, dashboard = s.agent("a1"), s.agent("a2"), s.dashboard()
    for action in ("PAUSE", "RESUME", "RESTART", "STOP"):
        accepts(dashboard, tells(dashboard, action, reason=f"To {action} it"))
        agent.gets("AGENT_CONTROL", {"action": action, "reason": f"To {action} it"})
    other.closes()
    dashboard.told_gone("a2")
    refuses(dashboard, tells(dashboard, agent="a2"), "AGENT_OFFLINE")
    s.wait(2)


def said_again_by_one_that_reads_no_more(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    accepts(dashboard, tells(dashboard, reason="Enough now"))
    agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": "Enough now"})
    tells(dashboard, reason="Enough now")
    agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": "Enough now"})
    s.note("stalled", connection=dashboard.name)
    s.wait(2)


def leaves_between_two(s: Scene) -> None:
    each_action(s)
    agent, dashboard, other = s.agent("a3"), s.dashboard(), s.dashboard()
    for one, action in ((other, "PAUSE"), (dashboard, "STOP")):
        accepts(one, tells(one, action, "a3"))
    agent.gets("AGENT_CONTROL", {"action": "PAUSE"})
    agent.closes()


def swallowed(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    accepts(dashboard, tells(dashboard))
    s.wait(2)


def another_action(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    accepts(dashboard, tells(dashboard, "PAUSE"))
    agent.gets("AGENT_CONTROL", {"action": "STOP"})
    s.wait(2)


def to_all(s: Scene) -> None:
    agents, dashboard = [s.agent("a1"), s.agent("a2")], s.dashboard()
    accepts(dashboard, tells(dashboard, reason="Only the first"))
    for agent in agents:
        agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": "Only the first"})
    s.wait(2)


def with_an_emergency(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    accepts(dashboard, tells(dashboard, reason="enough"))
    agent.gets("AGENT_CONTROL", {"agentId": "a1", "action": "STOP", "reason": "enough"})
    dashboard.sends("EMERGENCY_STOP", {"reason": "enough"})
    agent.gets("AGENT_CONTROL", {"agentId": "a1", "action": "STOP", "reason": "enough"})
    s.wait(2)


def told_twice(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    accepts(dashboard, tells(dashboard))
    agent.gets("AGENT_CONTROL", {"action": "STOP"})
    agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": None})
    s.wait(2)


def to_one_that_is_away(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(2)
    dashboard = s.dashboard()
    accepts(dashboard, tells(dashboard))


def _rest(s: Scene, what: str, status: int, reason: str = "") -> None:
    fields = {"request": {"reason": reason}} if reason else {}
    body = {"success": True, "data": {}} if status == ACCEPTED else {"success": False, "error": "No"}
    s.rest("POST", f"/agents/a1/{what}", status, body, **fields)


def stopped_over_rest(s: Scene) -> None:
    agent = s.agent("a1")
    _rest(s, "stop", 202)
    agent.gets("AGENT_CONTROL", {"action": "STOP", "reason": None})
    _rest(s, "restart", 202, "New version")
    agent.gets("AGENT_CONTROL", {"action": "RESTART", "reason": "New version"})
    s.wait(2)
    agent.closes()
    s.wait(2)
    _rest(s, "restart", 409)


def stopped_in_words_only(s: Scene) -> None:
    s.agent("a1")
    _rest(s, "stop", 202)
    s.wait(2)


def reason_forgotten(s: Scene) -> None:
    agent = s.agent("a1")
    _rest(s, "stop", 202, "Overheated")
    agent.gets("AGENT_CONTROL", {"action": "STOP"})
    s.wait(2)


def restarted_while_away(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(2)
    _rest(s, "restart", 202)


async def told_by_a_dashboard(world: World) -> None:
    """A dashboard tells an agent each thing beside another agent, with and without a reason, and one that is away."""
    user = world.user()
    dashboard, agent, other = await user.dashboard(), await user.agent(), await user.agent()
    for action in ("PAUSE", "RESUME", "RESTART", "STOP"):
        for reason in ({"reason": f"Reason to {action} {world.new_id()}"}, {}):
            sent = await dashboard.control(agent, action, **reason)
            await agent.is_told("AGENT_CONTROL", since=sent.seq - 1, action=action)
    before = await other.leave()
    await dashboard.sees("AGENT_DISCONNECT", other, since=before)
    await dashboard.control(other, "STOP")
    await dashboard.control(world.unknown_agent(), "STOP", reason="Nobody is there")
    await world.quiet()
    await dashboard.link.until(since=user.last, within=WITHIN + 0.4, expected=False, where=lambda _: False)


async def told_over_rest(world: World) -> None:
    """An agent is stopped and restarted over REST, with and without a reason, and while away; then an unknown one."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    for what, action in (("stop", "STOP"), ("restart", "RESTART")):
        for body in (({"reason": f"Reason to {what} {world.new_id()}"},), ()):
            before = user.last
            await user.rest.post(f"/agents/{agent.id}/{what}", *body)
            await agent.is_told("AGENT_CONTROL", since=before, action=action)
    await world.quiet()
    await dashboard.link.until(since=user.last, within=WITHIN + 0.4, expected=False, where=lambda _: False)
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    for agent_id in (agent.id, world.unknown_agent()):
        for what in ("stop", "restart"):
            await user.rest.post(f"/agents/{agent_id}/{what}")


RULES = (
    Rule(
        id="control.reaches-its-agent",
        clauses=("CTL-1",),
        judges="AGENT_CONTROL reaches its agent once, as it was said, and no other; AGENT_OFFLINE if that is away.",
        when=by_dashboards,
        check=obeyed,
        good=(each_action, leaves_between_two, said_again_by_one_that_reads_no_more, with_an_emergency),
        bad=(swallowed, another_action, to_all, told_twice, to_one_that_is_away),
        cases=(told_by_a_dashboard,),
    ),
    Rule(
        id="control.over-rest",
        clauses=("AGT-12",),
        judges="Stop and restart answer 202 and reach the agent with the reason, or 409 while it is away.",
        when=over_rest,
        check=obeyed,
        good=(stopped_over_rest,),
        bad=(stopped_in_words_only, reason_forgotten, restarted_while_away),
        cases=(told_over_rest,),
    ),
)
