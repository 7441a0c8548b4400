"""Old and new dashboards side by side: each gets its own shape (VER-2, VER-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID
from conformance.views import Heartbeat, heartbeats, is_flood, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

NEW_FIELDS = ("metrics", "name", "type", "version", "capabilities")


def old_dashboards(t: Timeline) -> Iterator[Connection]:
    """Dashboards that asked for version 0, and were accepted."""
    for c in t.connections:
        if c.role == "dashboard" and c.accepted and c.credential == VALID and c.opened.query.get("v") == "0":
            yield c


def old_messages(t: Timeline) -> Iterator[Frame]:
    """Every AGENT_STATUS and every snapshot that an old dashboard received."""
    for dashboard in old_dashboards(t):
        yield from dashboard.of_kind("AGENT_STATUS", "dashboard:connected")


def old_shape(frame: Frame, t: Timeline) -> Iterator[Finding]:
    """The old AGENT_STATUS, and no snapshot."""
    if frame.kind == "dashboard:connected":
        says = "a dashboard of version 0 is sent dashboard:connected, which it does not know"
        yield Finding(says, frame, "/type", "no dashboard:connected in version 0", frame.type)
        return
    for v in t.contract.violations("v0/agent-status.json", frame.payload):
        says = "AGENT_STATUS to a dashboard of version 0 is not in the old shape: clients not yet moved break"
        yield Finding(says, frame, "/payload" + v.pointer, v.expected, v.got)


def told_old(dashboard: Socket, **changes: object) -> Frame:
    """An AGENT_STATUS in the old shape."""
    right = {"agentId": "a1", "status": "ONLINE", "activityState": "IDLE", "healthMetrics": None, "queuedCommands": 0}
    return dashboard.gets("AGENT_STATUS", {k: v for k, v in (right | changes).items() if v is not ...})


def old_dashboard(s: Scene) -> Socket:
    """A dashboard of version 0."""
    dashboard = s.socket("dashboard", query={"v": "0"})
    dashboard.sends("DASHBOARD_INIT", {"dashboardId": "old"})
    dashboard.gets("DASHBOARD_READY", {"dashboardId": "old", "timestamp": s.now})
    return dashboard


def each_its_own(s: Scene) -> None:
    new = s.dashboard()
    new.told("a1")
    old, agent = old_dashboard(s), s.agent("a1")
    agent.heartbeats()
    told_old(old, healthMetrics=s.health, timestamp=1)
    new.told("a1", metrics=s.metrics)
    s.wait(2)


def snapshot_for_old(s: Scene) -> None:
    old_dashboard(s).snapshot()


def named_for_old(s: Scene) -> None:
    told_old(old_dashboard(s), name="Ada")


def new_for_old(s: Scene) -> None:
    old_dashboard(s).told("a1")


class Told(NamedTuple):
    """A heartbeat, and an old dashboard that watched long enough to hear of it."""

    beat: Heartbeat
    dashboard: Connection


def beats(t: Timeline) -> Iterator[Told]:
    """Each heartbeat for each old dashboard that was ready before it and watched on."""
    within = t.contract.within("agent.heartbeat", "to-dashboard.AGENT_STATUS")
    for beat in heartbeats(t):
        for d in old_dashboards(t):
            ready = d.accepted is not None and d.accepted.at < beat.sent.at and d.user == beat.agent.user
            told = bool(d.about(beat.agent_id, "AGENT_STATUS", after=beat.sent.seq))
            whole = told or d.until >= t.bound(beat.sent.at, within)
            if ready and whole and not narrowed(d) and not is_flood(beat):
                yield Told(beat, d)


def reported(told: Told, t: Timeline) -> Iterator[Finding]:
    """An AGENT_STATUS with the heartbeat's metrics as `healthMetrics`."""
    beat, dashboard = told
    within = t.contract.within("agent.heartbeat", "to-dashboard.AGENT_STATUS")
    frames = dashboard.about(beat.agent_id, "AGENT_STATUS", after=beat.sent.seq)
    in_time = [f for f in frames if f.at <= t.bound(beat.sent.at, within)]
    health = beat.sent.payload.get("healthMetrics")
    sent = health.get("commandsProcessed") if isinstance(health, dict) else None
    if any(_processed(f) == sent for f in in_time):
        return
    says = "a heartbeat does not reach dashboards of version 0 as healthMetrics: clients not yet moved see nothing"
    where = in_time[0] if in_time else beat.sent
    got = _processed(in_time[0]) if in_time else "no AGENT_STATUS"
    yield Finding(
        says, where, "/payload/healthMetrics", f"commandsProcessed {sent} within {within:g} s", got, (beat.sent,)
    )


def _processed(frame: Frame) -> object:
    health = frame.payload.get("healthMetrics")
    return health.get("commandsProcessed") if isinstance(health, dict) else health


def old_not_told(s: Scene) -> None:
    old_dashboard(s)
    s.agent("a1").heartbeats()
    s.wait(3)


def old_told_without_metrics(s: Scene) -> None:
    old, agent = old_dashboard(s), s.agent("a1")
    agent.heartbeats()
    told_old(old)
    s.wait(3)


class Shapes(NamedTuple):
    """An AGENT_STATUS to a new dashboard after an old one came, and the last one before that."""

    before: Frame
    after: Frame
    old: Connection


def side_by_side(t: Timeline) -> Iterator[Shapes]:
    """What new dashboards are told once an old one of the same user is there, beside what they were told before."""
    for old in old_dashboards(t):
        for new in t.dashboards_of(old.user):
            came = old.accepted.at if old.accepted else old.opened.at
            told = new.of_kind("AGENT_STATUS")
            before = [f for f in told if f.at < old.opened.at][-1:]
            yield from (Shapes(before[0], f, old) for f in told if before and f.at > came)


def unchanged(shapes: Shapes, _t: Timeline) -> Iterator[Finding]:
    """The same fields as before."""
    before, after, old = shapes
    lost = [name for name in NEW_FIELDS if name in before.payload and name not in after.payload]
    gained = [name for name in ("healthMetrics",) if name in after.payload and name not in before.payload]
    for name in (*lost, *gained):
        says = "a dashboard of version 1 is sent another shape since one of version 0 is connected"
        got = "nothing" if name in lost else after.payload[name]
        yield Finding(says, after, f"/payload/{name}", "the fields as before", got, (before, old.opened))


def old_shape_for_all(s: Scene) -> None:
    new = s.dashboard()
    new.told("a1")
    old_dashboard(s)
    told_old(new)


@provocation(budget=20.0)
async def old_and_new_dashboards(world: World) -> None:
    """An agent reports to a new dashboard, then to a new and an old one, then to the new one again."""
    user = world.user()
    new, agent = await user.dashboard(), await user.agent()
    await new.sees("AGENT_STATUS", agent, since=(await agent.heartbeat(commandsProcessed=1)).seq)
    old = await user.bare_dashboard(query={"v": "0"})
    init = await old.link.send("DASHBOARD_INIT", {"dashboardId": world.new_id(), **_subject(world)})
    await old.link.until("DASHBOARD_READY", "ACK", since=init.seq, within=2.0)
    for count in (2, 3):
        beat = await agent.heartbeat(commandsProcessed=count)
        await old.sees_beat(agent, beat)
        await new.sees_beat(agent, beat)
        await world.quiet()


def _subject(world: World) -> dict[str, str]:
    subject = world.site.keyring.subject(world.user().name)
    return {} if subject is None else {"userId": subject}


RULES = (
    Rule(
        id="versions.old-messages",
        clauses=("VER-2",),
        judges="A dashboard of version 0 gets the old AGENT_STATUS and no dashboard:connected.",
        when=old_messages,
        check=old_shape,
        good=(each_its_own,),
        bad=(snapshot_for_old, named_for_old, new_for_old),
        cases=(old_and_new_dashboards,),
    ),
    Rule(
        id="versions.old-dashboards-told",
        clauses=("VER-2",),
        judges="A heartbeat reaches dashboards of version 0 with its metrics under their old names.",
        when=beats,
        check=reported,
        good=(each_its_own,),
        bad=(old_not_told, old_told_without_metrics),
        cases=(old_and_new_dashboards,),
    ),
    Rule(
        id="versions.do-not-mix",
        clauses=("VER-4",),
        judges="What a dashboard of version 1 is sent does not change when one of version 0 connects.",
        when=side_by_side,
        check=unchanged,
        good=(each_its_own,),
        bad=(old_shape_for_all,),
        cases=(old_and_new_dashboards,),
    ),
)
