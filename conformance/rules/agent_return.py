"""An agent that comes back is the same agent; a second connection takes the first one's place (CON-3, CON-4)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.views import Item, deletions, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0
REPLACED = 4008


class Return(NamedTuple):
    """An agent's next connection, and what REST said of it before and after."""

    first: Connection
    second: Connection
    before: Item
    after: Item


def returns(t: Timeline) -> Iterator[Return]:
    """Each later connection of an agent that REST showed before it, and again when it had time to follow."""
    for first, second in _pairs(t):
        rows = list(reads(t, second))
        next_one = _next_change(second, t)
        before = [r for r in rows if second.init and r.where.seq < second.init.seq and _seq(first) < r.where.seq]
        after = [r for r in rows if second.accepted and second.accepted.seq < r.where.seq < next_one]
        if before and after and not _changed(t, second.agent_id, before[-1].where.seq, after[-1].where.seq):
            yield Return(first, second, before[-1], after[-1])


def _changed(t: Timeline, agent_id: str | None, start: int, end: int) -> bool:
    """Whether between two readings the agent reported metrics, or may have been deleted: then another one came."""
    beats = (f for a in t.agents if a.agent_id == agent_id for f in a.sent if f.type == "AGENT_HEARTBEAT")
    gone = any(start < e.seq < end for e in deletions(t, agent_id))
    return gone or any(start < f.seq < end for f in beats)


def _pairs(t: Timeline) -> Iterator[tuple[Connection, Connection]]:
    """Each two connections of the same agent that follow each other."""
    latest: dict[tuple[str, str], Connection] = {}
    for c in sorted(t.agents, key=_seq):
        key = (c.user, str(c.init.payload.get("agentId") if c.init else c.agent_id))
        if key in latest:
            yield latest[key], c
        latest[key] = c


def _seq(c: Connection) -> int:
    return c.accepted.seq if c.accepted else -1


def _next_change(c: Connection, t: Timeline) -> float:
    later = [_seq(o) for o in t.agents if o.agent_id == c.agent_id and _seq(o) > _seq(c)]
    beats = [f.seq for f in c.sent if f.type in {"AGENT_HEARTBEAT", "AGENT_CONNECT"} and f.seq > _seq(c)]
    changes = [
        e.seq for e in t.exchanges if e.method != "GET" and str(c.agent_id) in e.path.split("/") and e.seq > _seq(c)
    ]
    return min([*later, *beats, *changes], default=float("inf"))


def same_agent(r: Return, t: Timeline) -> Iterator[Finding]:
    """The id, created_at and metrics are kept; name, version and capabilities are the latest announced."""
    if r.first.agent_id != r.second.agent_id:
        says = "an agent that connects again gets another id: its history belongs to nobody"
        yield Finding(
            says, r.second.accepted, "/payload/agentId", "the id it had", r.second.agent_id, (r.first.opened,)
        )
        return
    announced = r.second.init.payload if r.second.init else {}
    row, old = r.after.value, r.before.value
    evidence = (r.before.where, *((r.second.init,) if r.second.init else ()))
    late = getattr(r.after.where, "at", 0.0) > t.bound(r.second.accepted.at if r.second.accepted else 0.0, WITHIN)
    flags = announced.get("capabilities") or {}
    able = {w for w, f in (("interrupt", "supportsInterrupt"), ("trace", "supportsTrace")) if flags.get(f)}
    shown = row.get("capabilities")
    wrong: list[tuple[str, str, object]] = []
    if row.get("created_at") != old.get("created_at"):
        wrong.append(("created_at", "the time it first connected", row.get("created_at")))
    if not reading.same_metrics(reading.metrics(row), reading.metrics(old)):
        wrong.append(("last_metrics", "the metrics it last reported", reading.metrics(row)))
    if late and row.get("version") != announced.get("version"):
        wrong.append(("version", "the version it announced last", row.get("version")))
    if late and announced.get("name") and row.get("name") != announced["name"]:
        wrong.append(("name", "the name it announced last", row.get("name")))
    if late and isinstance(shown, list) and {"interrupt", "trace"} & set(map(str, shown)) != able:
        wrong.append(("capabilities", "the capabilities it announced last", shown))
    for name, expected, got in wrong:
        says = f"after the agent connected again REST shows another {name} than it should"
        yield Finding(says, r.after.where, f"{r.after.pointer}/{name}", expected, got, evidence)


class Replacement(NamedTuple):
    """A second connection of an agent while the first was open, and until when it stayed the agent's only one."""

    first: Connection
    second: Connection
    until: float


def replacements(t: Timeline) -> Iterator[Replacement]:
    """Each second connection of an agent whose first one the tester did not end before the backend had to."""
    for first, second in _pairs(t):
        if first.agent_id != second.agent_id or second.init is None or second.accepted is None:
            continue
        end = first.closed
        due = t.bound(second.accepted.at, WITHIN)
        if end is not None and (end.seq < second.init.seq or (end.by != "backend" and end.at <= due)):
            continue
        if end is None and first.until < due:
            continue
        later = [c.opened.at for c in t.agents if c.agent_id == second.agent_id and c.opened.at > second.accepted.at]
        yield Replacement(first, second, min([second.until, *later]))


def replaced(r: Replacement, t: Timeline) -> Iterator[Finding]:
    """4008 for the first; nobody is told of a loss; the agent stays online."""
    first, second, until = r
    start = second.init
    assert start is not None  # noqa: S101 - see replacements
    assert second.accepted is not None  # noqa: S101 - see replacements
    evidence = (first.opened, start)
    end = first.closed
    if end is None or end.at > t.bound(second.accepted.at, WITHIN):
        says = "two connections of one agent are open side by side: each command may be run twice"
        yield Finding(says, second.accepted, "", "close 4008 of the first connection", "an open connection", evidence)
    elif end.code != REPLACED:
        says = "the replaced connection ended with the wrong code: its agent connects again and fights the new one"
        yield Finding(says, end, "", "close 4008", end.code, evidence)
    agent_id = str(second.agent_id)
    for dashboard in t.dashboards_of(second.user):
        for frame in dashboard.about(agent_id, "AGENT_DISCONNECT", "AGENT_STATUS", after=start.seq):
            if frame.at <= until and _says_gone(frame):
                says = f"{frame.type} says that an agent is gone that has only changed its connection"
                yield Finding(
                    says, frame, "/payload", "no loss of the agent", frame.payload.get("status", "gone"), evidence
                )
    for item in reads(t, second):
        ended = getattr(item.where, "ended", math.inf)
        if item.where.seq > second.accepted.seq and ended < until and reading.status(item.value) == "OFFLINE":
            says = "the end of the replaced connection took the agent offline"
            yield Finding(says, item.where, f"{item.pointer}/status", "ONLINE", item.value.get("status"), evidence)


def _says_gone(frame: Frame) -> bool:
    return frame.kind == "AGENT_DISCONNECT" or reading.status(frame.payload) == "OFFLINE"


def back_with_news(s: Scene) -> None:
    s.agent("a1").closes()
    s.shows(s.row("a1", status="OFFLINE", last_metrics=s.metrics))
    s.agent("a1", version="2.0.0", name="Bea")
    s.shows(s.row("a1"))
    s.wait(2)
    s.shows(s.row("a1", version="2.0.0", name="Bea", last_metrics={n: float(v) for n, v in s.metrics.items()}))


def back_then_deleted_and_new(s: Scene) -> None:
    back_with_news(s)
    s.rest("DELETE", "/agents/a1", 204)
    s.agent("a1")
    s.wait(2)
    s.shows(s.row("a1", created_at="2025-11-11T11:11:11Z"))


def _back(s: Scene, **shown: object) -> None:
    s.agent("a1").closes()
    s.shows(s.row("a1", status="OFFLINE", last_metrics=s.metrics))
    s.agent("a1", version="2.0.0")
    s.wait(2)
    s.shows(s.row("a1", **({"version": "2.0.0", "last_metrics": s.metrics} | shown)))


def metrics_wiped(s: Scene) -> None:
    _back(s, last_metrics=None)


def old_version(s: Scene) -> None:
    _back(s, version="1.2.0")


def born_again(s: Scene) -> None:
    _back(s, created_at="2025-11-11T11:11:11Z")


def name_forgotten(s: Scene) -> None:
    _back(s, name="a1")


def one_follows_the_other(s: Scene) -> None:
    dashboard, first = s.dashboard(), s.agent("a1")
    s.agent("a1").heartbeats()
    first.closes(by="backend", code=REPLACED)
    dashboard.told("a1")
    s.wait(2)
    s.shows(s.row("a1"))


def both_served(s: Scene) -> None:
    s.agent("a1")
    s.agent("a1")
    s.wait(3)


def ended_by_its_agent_at_last(s: Scene) -> None:
    first = s.agent("a1")
    s.agent("a1")
    s.wait(3)
    first.closes(by="fault", code=None)


def closed_as_if_it_had_left(s: Scene) -> None:
    first = s.agent("a1")
    s.agent("a1")
    first.closes(by="backend", code=1000)


def loss_announced(s: Scene) -> None:
    dashboard, first = s.dashboard(), s.agent("a1")
    second = s.agent("a1")
    first.closes(by="backend", code=REPLACED)
    dashboard.told_gone("a1")
    second.heartbeats()


def flicker(s: Scene) -> None:
    dashboard, first = s.dashboard(), s.agent("a1")
    second = s.agent("a1")
    first.closes(by="backend", code=REPLACED)
    dashboard.told("a1", status="OFFLINE")
    second.heartbeats()


def late_close_kills_the_new(s: Scene) -> None:
    first = s.agent("a1")
    second = s.agent("a1")
    first.closes(by="backend", code=REPLACED)
    s.shows(s.row("a1", status="OFFLINE"))
    second.heartbeats()


async def leave_and_return(world: World) -> None:
    """An agent reports, leaves, and comes back with another name, version and fewer capabilities."""
    user = world.user()
    agent = await user.agent()
    await agent.heartbeat(commandsProcessed=11, uptime=500)
    dashboard = await user.dashboard()
    await user.rest.until(agent.id, lambda row: bool(row.get("last_metrics")))
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    await user.rest.until(agent.id, lambda row: row.get("status") == "OFFLINE")
    able = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": True}
    await agent.connect(name="Renamed", version="2.0.0", capabilities=able)
    await user.rest.until(agent.id, lambda row: row.get("version") == "2.0.0" and row.get("name") == "Renamed")


async def second_connection(world: World) -> None:
    """An agent connects a second time while its first connection is open; a dashboard watches."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    await agent.heartbeat()
    first = agent.link
    await agent.connect()
    await first.ended(within=WITHIN)
    beat = await agent.heartbeat(commandsProcessed=4)
    await dashboard.sees_beat(agent, beat)
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}")
    await agent.heartbeat()


RULES = (
    Rule(
        id="agent-return.same-agent",
        clauses=("CON-3",),
        judges="An agent that comes back keeps id, created_at and metrics; name, version, capabilities follow.",
        when=returns,
        check=same_agent,
        good=(back_with_news, back_then_deleted_and_new),
        bad=(metrics_wiped, old_version, born_again, name_forgotten),
        cases=(leave_and_return,),
    ),
    Rule(
        id="agent-return.replaces-first",
        clauses=("CON-4",),
        judges="A second connection ends the first with 4008, and nobody is told that the agent is gone.",
        when=replacements,
        check=replaced,
        good=(one_follows_the_other,),
        bad=(
            both_served,
            ended_by_its_agent_at_last,
            closed_as_if_it_had_left,
            loss_announced,
            flicker,
            late_close_kills_the_new,
        ),
        cases=(second_connection,),
    ),
)
