"""An agent that comes back is the same agent (CON-3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.timeline import Exchange
from conformance.views import KEPT_WITHIN, Item, connections_of, deletions, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0


class Return(NamedTuple):
    """An agent's next connection, and what REST said of it before and after."""

    first: Connection
    second: Connection
    before: Item
    after: Item


def returns(t: Timeline) -> Iterator[Return]:
    """Each later connection of an agent that REST showed before it, and again when it had time to follow."""
    for first, second in pairs(t):
        rows = list(reads(t, second))
        next_one = _next_change(second, t)
        before = [r for r in rows if second.init and r.where.seq < second.init.seq and _seq(first) < r.where.seq]
        after = [r for r in rows if second.accepted and second.accepted.seq < r.where.seq and ended(r.where) < next_one]
        if before and after and not _changed(t, second.agent_id, before[-1], after[-1]):
            yield Return(first, second, before[-1], after[-1])


def ended(where: Exchange | Frame) -> float:
    return where.ended if isinstance(where, Exchange) else where.at


def _changed(t: Timeline, agent_id: str | None, before: Item, after: Item) -> bool:
    """Whether between two readings the agent's metrics changed, or it may have been deleted: then another one came.

    What it reported just before the first is shown in that, or may be kept later.
    """
    start, end = before.where.at, ended(after.where)
    if any(e.at < end and e.ended > start for e in deletions(t, agent_id)):
        return True
    beats = [f for a in connections_of(t, agent_id) for f in a.sent if f.type == "AGENT_HEARTBEAT" and f.at < end]
    recent = [f for f in beats if t.bound(f.at, KEPT_WITHIN) > start]
    if not recent:
        return False
    last = max(recent, key=lambda f: f.at)
    reported = reading.reported(last.payload.get("healthMetrics"))
    return last.at >= start or not reading.same_metrics(reading.metrics(before.value), reported)


def pairs(t: Timeline) -> Iterator[tuple[Connection, Connection]]:
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
    """When something else was begun that may show, whether or not it was already taken."""
    begun = c.init.at if c.init else math.inf
    greeted = [o.init for o in t.connections if o.agent_id == c.agent_id and o.user == c.user and o.init]
    beats = [f.at for f in c.sent if f.type in {"AGENT_HEARTBEAT", "AGENT_CONNECT"} and f.seq > _seq(c)]
    writes = (e for e in t.exchanges if e.method != "GET" and str(c.agent_id) in e.path.split("/"))
    return min(
        [*(f.at for f in greeted if f.at > begun), *beats, *(e.at for e in writes if e.ended >= begun)] or [math.inf]
    )


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


def _another_comes_back(s: Scene) -> None:
    s.agent("a2").closes()
    s.shows(s.row("a2", status="OFFLINE"))
    s.agent("a2")
    s.wait(2)
    s.shows(s.row("a2"))


def read_before_its_heartbeat_was_kept(s: Scene) -> None:
    _another_comes_back(s)
    first = s.agent("a1")
    first.heartbeats()
    s.shows(s.row("a1"))
    first.closes()
    s.agent("a1")
    s.wait(2)
    s.shows(s.row("a1", last_metrics=s.metrics))


def renamed_while_it_is_read(s: Scene) -> None:
    _another_comes_back(s)
    s.agent("a1").closes()
    s.shows(s.row("a1", status="OFFLINE"))
    s.agent("a1")
    s.wait(2)
    asked = s.seconds
    s.shows(s.row("a1", name="Eve"))
    body = {"success": True, "data": s.row("a1", name="Eve")}
    s.rest("PATCH", "/agents/a1", 200, body, request={"name": "Eve"}, at=asked, ended=asked + 0.05)


def renamed_while_it_comes_back(s: Scene) -> None:
    _another_comes_back(s)
    s.agent("a1").closes()
    s.shows(s.row("a1", status="OFFLINE"))
    socket, asked = s.socket("agent"), s.seconds
    able = {"maxTokens": 8192, "supportsInterrupt": True, "supportsTrace": False}
    who = {"agentId": "a1", "name": "Ada", "agentType": "CLAUDE", "version": "1.2.0", "hostMachine": "h"}
    sent = socket.sends("AGENT_CONNECT", who | {"capabilities": able})
    body = {"success": True, "data": s.row("a1", name="Eve")}
    s.rest("PATCH", "/agents/a1", 200, body, request={"name": "Eve"}, at=asked, ended=s.seconds + 0.015)
    socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a1"})
    s.wait(2)
    s.shows(s.row("a1", name="Eve"))


def deleted_while_it_comes_back(s: Scene) -> None:
    _another_comes_back(s)
    s.agent("a1").closes()
    s.shows(s.row("a1", status="OFFLINE", created_at="2025-10-09T07:00:00Z"))
    asked = s.seconds
    s.agent("a1")
    s.shows(s.row("a1"))
    s.rest("DELETE", "/agents/a1", 204, at=asked, ended=s.seconds + 0.05)


def comes_back_twice(s: Scene) -> None:
    back_with_news(s)
    socket = s.socket("agent")
    sent = socket.sends("AGENT_CONNECT", {"agentId": "a1", "name": "Cyd", "version": "3.0.0"})
    s.shows(s.row("a1", name="Cyd", version="3.0.0", last_metrics=s.metrics))
    socket.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a1"})


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


RULE = Rule(
    id="agent-return.same-agent",
    clauses=("CON-3",),
    judges="An agent that comes back keeps id, created_at and metrics; name, version, capabilities follow.",
    when=returns,
    check=same_agent,
    good=(
        back_with_news,
        back_then_deleted_and_new,
        read_before_its_heartbeat_was_kept,
        renamed_while_it_is_read,
        renamed_while_it_comes_back,
        deleted_while_it_comes_back,
        comes_back_twice,
    ),
    bad=(metrics_wiped, old_version, born_again, name_forgotten),
    cases=(leave_and_return,),
)
