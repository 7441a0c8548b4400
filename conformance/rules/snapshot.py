"""The dashboard's handshake and its snapshot: DASHBOARD_READY, then `dashboard:connected` (DSH-1, DSH-5, DSH-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance import reading
from conformance.handshakes import SNAPSHOT, Handshake, handshakes
from conformance.rule import Finding, Rule, provocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

FEW = 20
"""So many agents that other cases left are removed, so that a user has none."""


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


def another_asked_too_late(s: Scene) -> None:
    handshake(s)
    s.says_too_late_what_it_is()


def the_server_restarts_meanwhile(s: Scene) -> None:
    handshake(s)
    dashboard = s.socket("dashboard")
    dashboard.sends("DASHBOARD_INIT", {})
    s.note("restarting", how="asked to")
    dashboard.closes(by="backend", code=1001)
    s.note("restarted")


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


async def every_field_said(world: World) -> None:
    """A dashboard says every optional field of DASHBOARD_INIT."""
    user = world.user()
    await user.agent()
    await user.dashboard(acceptBatches=False)


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
    """A user's dashboard, where the user may have no agents at all: a few that other cases left are removed first."""
    user = world.user(len(world.users) - 1)
    there = {reading.agent_id(row) for row in reading.rows((await user.rest.get("/agents")).value) or ()}
    if there and len(there) <= FEW and there <= user.all_made:
        for agent in sorted(map(str, there)):
            await user.rest.delete(f"/agents/{agent}")
        await user.rest.get("/agents")
    await user.dashboard()


RULES = (
    Rule(
        id="snapshot.ready-then-list",
        clauses=("DSH-1",),
        judges="DASHBOARD_INIT is answered by DASHBOARD_READY and then dashboard:connected, in time and in shape.",
        when=first_handshakes,
        check=ready_then_snapshot,
        good=(
            handshake,
            another_asked_too_late,
            the_server_restarts_meanwhile,
        ),
        bad=(never_ready, no_snapshot, snapshot_first, other_id, empty_left_out),
        cases=(every_field_said, nothing_said, on_shared_endpoint),
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
