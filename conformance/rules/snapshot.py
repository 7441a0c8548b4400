"""The dashboard's handshake and its snapshot: DASHBOARD_READY, then `dashboard:connected` (DSH-1, 2, 3, 5, 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule, provocation
from conformance.views import Item, items_of, snapshot_items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Connection, Frame, Timeline
    from conformance.world.world import World

SNAPSHOT = "to-dashboard.dashboard_connected"
WITHIN = 1.0
"""Seconds after which a lost agent must be known as lost (DIS-1)."""


class Handshake(NamedTuple):
    """A valid DASHBOARD_INIT and what came between it and the next one."""

    dashboard: Connection
    init: Frame
    again: bool
    ready: Frame | None
    snapshot: Frame | None


def handshakes(t: Timeline) -> Iterator[Handshake]:
    """Every valid DASHBOARD_INIT that was answered, or waited for long enough."""
    within = t.contract.within("dashboard.init", SNAPSHOT)
    for dashboard in t.dashboards:
        inits = [f for f in dashboard.sent if f.type == "DASHBOARD_INIT"]
        for index, init in enumerate(inits):
            if not t.contract.shapes.accepts("messages/from-dashboard/DASHBOARD_INIT.json", init.payload):
                continue
            if init.payload.get("userId", dashboard.user) != dashboard.user:
                continue
            end = inits[index + 1].at if index + 1 < len(inits) else float("inf")
            ready = next(iter(dashboard.of_kind("DASHBOARD_READY", after=init.seq, before=end)), None)
            snapshot = next(iter(dashboard.of_kind("dashboard:connected", after=init.seq, before=end)), None)
            watched = min(dashboard.until, end) >= init.at + within
            cut = dashboard.closed is not None and dashboard.closed.by == "backend"
            if (ready and snapshot) or watched or cut:
                yield Handshake(dashboard, init, bool(index), ready, snapshot)


def first_handshakes(t: Timeline) -> Iterator[Handshake]:
    """The first of each dashboard."""
    return (h for h in handshakes(t) if not h.again)


def ready_then_snapshot(h: Handshake, t: Timeline) -> Iterator[Finding]:
    """Both come, in order, in time and in shape; the dashboard keeps the id it gave."""
    expected = "DASHBOARD_READY, then dashboard:connected"
    if h.ready is None:
        yield Finding("DASHBOARD_INIT is not answered by DASHBOARD_READY", h.init, "", expected, "no DASHBOARD_READY")
    else:
        for v in t.contract.violations("messages/to-dashboard/DASHBOARD_READY.json", h.ready.payload):
            yield Finding(
                "DASHBOARD_READY is out of shape", h.ready, "/payload" + v.pointer, v.expected, v.got, (h.init,)
            )
        given, kept = h.init.payload.get("dashboardId"), h.ready.payload.get("dashboardId")
        if given is not None and kept is not None and kept != given:
            says = "DASHBOARD_READY gives the dashboard another id than it asked for"
            yield Finding(says, h.ready, "/payload/dashboardId", str(given), kept, (h.init,))
    if h.snapshot is None:
        says = "no dashboard:connected after DASHBOARD_INIT: the page stays empty"
        yield Finding(says, h.ready or h.init, "", expected, "no dashboard:connected", (h.init,))
        return
    if h.ready is not None and h.ready.seq > h.snapshot.seq:
        yield Finding(
            "dashboard:connected comes before DASHBOARD_READY",
            h.snapshot,
            "",
            expected,
            "the other way round",
            (h.init, h.ready),
        )
    within = t.contract.within("dashboard.init", SNAPSHOT)
    if h.snapshot.at > t.bound(h.init.at, within):
        late = f"{h.snapshot.at - h.init.at:.2f} s after DASHBOARD_INIT"
        yield Finding("the snapshot came late", h.snapshot, "", f"within {within:g} s", late, (h.init,))
    for v in t.contract.violations("messages/to-dashboard/dashboard_connected.json", h.snapshot.payload):
        if not v.pointer.startswith("/agents/"):
            yield Finding(
                "dashboard:connected is out of shape", h.snapshot, "/payload" + v.pointer, v.expected, v.got, (h.init,)
            )


def complete(item: Item, t: Timeline) -> Iterator[Finding]:
    """The seven fields, each of its type; metrics, where sent, are null or the four numbers."""
    index = item.pointer.rsplit("/", 1)[-1]
    for v in (
        t.contract.violations("messages/to-dashboard/dashboard_connected.json", item.where.value["payload"])
        if _enveloped(item)
        else ()
    ):
        if v.keyword not in {"enum", "const"} and v.pointer.startswith(f"/agents/{index}/"):
            name = v.pointer.rsplit("/", 1)[-1]
            says = (
                f"a snapshot item without {name}"
                if v.keyword == "required"
                else f"{name} in a snapshot item is out of shape"
            )
            yield Finding(says, item.where, "/payload" + v.pointer, v.expected, v.got)


def _enveloped(item: Item) -> bool:
    return isinstance(item.where.value, dict) and isinstance(item.where.value.get("payload"), dict)


class Shown(NamedTuple):
    """A snapshot and an agent of ours whose state at that moment is certain."""

    snapshot: Frame
    agent: Connection
    live: bool
    item: Item | None


def known_agents(t: Timeline) -> Iterator[Shown]:
    """For each snapshot, each agent of ours that was surely live, or surely lost, when it was made."""
    for h in handshakes(t):
        if h.snapshot is None or not isinstance(h.snapshot.payload.get("agents"), list):
            continue
        items = {i.agent_id: i for i in items_of(h.snapshot)}
        for agent in {a.agent_id: a for a in t.agents if a.user == h.dashboard.user}.values():
            live = _live(t, agent, h)
            if live is not None and not _deleted(t, agent):
                yield Shown(h.snapshot, agent, live, items.get(agent.agent_id))


def _live(t: Timeline, agent: Connection, h: Handshake) -> bool | None:
    """True or False where it is certain, None where a change was under way."""
    assert h.snapshot is not None  # noqa: S101 - see known_agents
    same = [a for a in t.agents if a.agent_id == agent.agent_id]
    if any(a.accepted and a.accepted.seq < h.init.seq and a.until >= h.snapshot.at for a in same):
        return True
    ended = [a.until for a in same if a.accepted and a.accepted.seq < h.init.seq]
    started = any(a.opened.at < h.snapshot.at and a.until > h.init.at for a in same)
    if not ended or started:
        return None
    return False if max(ended) + WITHIN < h.init.at or _announced(t, agent, max(ended), h) else None


def _announced(t: Timeline, agent: Connection, ended: float, h: Handshake) -> bool:
    """Whether the backend itself had said that the agent is gone before the snapshot was asked for."""
    told = (f for d in t.dashboards_of(agent.user) for f in d.about(agent.agent_id or "", "AGENT_DISCONNECT"))
    return any(f.at > ended and f.seq < h.init.seq for f in told)


def _deleted(t: Timeline, agent: Connection) -> bool:
    return any(e.operation == "deleteAgent" and agent.agent_id in e.path.split("/") for e in t.exchanges)


def true_state(shown: Shown, _t: Timeline) -> Iterator[Finding]:
    """It is there, and OFFLINE if and only if it has no connection."""
    evidence = tuple(e for e in (shown.agent.opened, shown.agent.accepted, shown.agent.closed) if e)
    if shown.item is None:
        says = "an agent of the user is missing in the snapshot"
        yield Finding(
            says,
            shown.snapshot,
            "/payload/agents",
            "an item for each of the user's agents",
            "none for this one",
            evidence,
        )
        return
    status = reading.status(shown.item.value)
    if shown.live == (status == "OFFLINE"):
        says = (
            "the snapshot shows an agent with a live socket as OFFLINE"
            if shown.live
            else "the snapshot shows an agent without connection as live"
        )
        expected = "ONLINE" if shown.live else "OFFLINE"
        yield Finding(says, shown.snapshot, f"{shown.item.pointer}/status", expected, status, evidence)


def repeated(t: Timeline) -> Iterator[Handshake]:
    """Each further DASHBOARD_INIT on a connection."""
    return (h for h in handshakes(t) if h.again)


def fresh(h: Handshake, _t: Timeline) -> Iterator[Finding]:
    """It brings a snapshot anew."""
    if h.snapshot is None:
        yield Finding("a second DASHBOARD_INIT brings no fresh snapshot", h.init, "", "dashboard:connected", "none")


def empty_lists(t: Timeline) -> Iterator[Handshake]:
    """Each snapshot of a user who, by REST, had no agents before and has connected none since."""
    for h in handshakes(t):
        before = [e for e in t.calls("listAgents", status=200) if e.user == h.dashboard.user and e.seq < h.init.seq]
        if h.snapshot is not None and before and reading.rows(before[-1].value) == [] and not before[-1].query:
            first = min((a.opened.seq for a in t.connections if a.role == "agent"), default=10**9)
            if first > h.snapshot.seq:
                yield h


def as_list(h: Handshake, _t: Timeline) -> Iterator[Finding]:
    """`agents` is there, and a list."""
    assert h.snapshot is not None  # noqa: S101 - see empty_lists
    agents = h.snapshot.payload.get("agents", "nothing")
    if not isinstance(agents, list):
        yield Finding("an empty agent list is not sent as []", h.snapshot, "/payload/agents", "[]", agents)


def handshake(s: Scene) -> None:
    s.dashboard(s.item("a1"), s.item("a2", lastHeartbeat=s.born, metrics=s.metrics, further=True))
    s.wait(3)


def live_and_lost(s: Scene) -> None:
    s.agent("a1")
    s.agent("a2").closes()
    s.wait(3)
    s.dashboard(s.item("a1", status="ERROR"), s.item("a2", status="OFFLINE"), s.item("of-others", status="OFFLINE"))


def changing_meanwhile(s: Scene) -> None:
    s.agent("a1").closes()
    s.dashboard(s.item("a1"))


def never_ready(s: Scene) -> None:
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.snapshot()
    s.wait(3)


def no_snapshot(s: Scene) -> None:
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    s.wait(3)


def snapshot_first(s: Scene) -> None:
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.snapshot()
    dashboard.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})


def other_id(s: Scene) -> None:
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {"dashboardId": "mine"})
    dashboard.gets("DASHBOARD_READY", {"dashboardId": "yours", "timestamp": s.now})
    dashboard.snapshot()


def rest_names(s: Scene) -> None:
    s.dashboard(s.row("a1"))


def stale(s: Scene) -> None:
    s.agent("a1")
    s.dashboard(s.item("a1", status="OFFLINE"))


def forgotten(s: Scene) -> None:
    s.agent("a1")
    s.dashboard()


def ghost(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(3)
    s.dashboard(s.item("a1"))


def init_again(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": s.now})
    dashboard.snapshot()


def init_again_ignored(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("DASHBOARD_INIT", {})
    s.wait(4)


def empty_as_list(s: Scene) -> None:
    s.lists()
    s.dashboard()


def empty_left_out(s: Scene) -> None:
    s.lists()
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    dashboard.gets("DASHBOARD_READY", {"dashboardId": "d1", "timestamp": s.now})
    dashboard.gets("dashboard:connected", {"timestamp": s.now})


async def all_said(world: World) -> None:
    """A dashboard says every optional field; one agent is live, one is lost."""
    user = world.user()
    live, lost = await user.agent(), await user.agent()
    await live.heartbeat()
    watching = await user.dashboard()
    before = await lost.leave()
    await watching.sees("AGENT_DISCONNECT", lost, since=before)
    await user.rest.shows(lost.id, status="OFFLINE")
    await user.dashboard()


async def nothing_said(world: World) -> None:
    """A dashboard says nothing but DASHBOARD_INIT, with an empty payload."""
    user = world.user()
    await user.agent()
    dashboard = await user.bare_dashboard()
    await dashboard.init()


async def on_shared_endpoint(world: World) -> None:
    """A dashboard and an agent meet on the endpoint that serves both."""
    user = world.user()
    dashboard = await user.dashboard(channel="shared")
    agent = user.new_agent()
    before = await agent.connect(channel="shared")
    await dashboard.sees("AGENT_STATUS", agent, since=before.seq)
    await agent.heartbeat()
    before_end = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before_end)


async def twice(world: World) -> None:
    """A dashboard asks for its snapshot again."""
    dashboard = await world.user().dashboard()
    await dashboard.init()
    await world.quiet()


@provocation(alone=True)
async def before_any_agent(world: World) -> None:
    """A user's dashboard, where the user may have no agents at all."""
    user = world.user(len(world.site.keyring.users) - 1)
    await user.rest.get("/agents")
    await user.dashboard()


RULES = (
    Rule(
        id="snapshot.ready-then-list",
        clauses=("DSH-1",),
        judges="DASHBOARD_INIT is answered by DASHBOARD_READY and then dashboard:connected, in time and in shape.",
        when=first_handshakes,
        check=ready_then_snapshot,
        good=(handshake,),
        bad=(never_ready, no_snapshot, snapshot_first, other_id, empty_left_out),
        cases=(all_said, nothing_said, on_shared_endpoint),
    ),
    Rule(
        id="snapshot.items-complete",
        clauses=("DSH-2",),
        judges="Every item of a snapshot has the seven fields a dashboard shows, each of its type.",
        when=snapshot_items,
        check=complete,
        good=(handshake,),
        bad=(rest_names,),
        cases=(all_said,),
    ),
    Rule(
        id="snapshot.true-state",
        clauses=("DSH-3",),
        judges="A snapshot holds each agent of ours, OFFLINE if and only if it has no connection.",
        when=known_agents,
        check=true_state,
        good=(live_and_lost,),
        bad=(stale, forgotten, ghost),
        cases=(all_said,),
    ),
    Rule(
        id="snapshot.fresh-on-request",
        clauses=("DSH-5",),
        judges="A further DASHBOARD_INIT on a connection brings a fresh snapshot.",
        when=repeated,
        check=fresh,
        good=(init_again,),
        bad=(init_again_ignored,),
        cases=(twice,),
    ),
    Rule(
        id="snapshot.empty-as-list",
        clauses=("DSH-6",),
        judges="The snapshot of a user without agents has an empty list.",
        when=empty_lists,
        check=as_list,
        good=(empty_as_list,),
        bad=(empty_left_out,),
        cases=(before_any_agent,),
    ),
)
