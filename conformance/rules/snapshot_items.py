"""What a snapshot says of each agent: all that a dashboard shows, and the truth (DSH-2, DSH-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.handshakes import Handshake, handshakes
from conformance.rule import Finding, Rule
from conformance.views import Item, items_of, live_words, snapshot_items, still_to_be_told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0
"""Seconds after which a lost agent must be known as lost (DIS-1)."""


def complete(item: Item, t: Timeline) -> Iterator[Finding]:
    """The seven fields, each of its type; metrics, where sent, are null or the four numbers."""
    for v in t.contract.violations("common.json#/$defs/SnapshotAgent", item.value):
        if v.keyword in {"enum", "const"}:
            continue
        name = v.pointer.rsplit("/", 1)[-1]
        fault = f"without {name}" if v.keyword == "required" else f"whose {name} is out of shape"
        yield Finding(f"a snapshot item {fault}", item.where, item.pointer + v.pointer, v.expected, v.got)


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
            if _deleted(t, agent):
                continue
            item = items.get(agent.agent_id)
            if (live := _live(t, agent, h)) is not None:
                yield Shown(h.snapshot, live, live=True, item=item)
            elif _is_lost(t, agent, h):
                yield Shown(h.snapshot, agent, live=False, item=item)


def _live(t: Timeline, agent: Connection, h: Handshake) -> Connection | None:
    """The agent's connection that was surely there all the while, if one was."""
    assert h.snapshot is not None  # noqa: S101 - see known_agents
    for a in t.agents:
        there = (
            a.agent_id == agent.agent_id and a.accepted and a.accepted.seq < h.init.seq and _until(a) >= h.snapshot.at
        )
        if there and not _is_replaced(t, a, h):
            return a
    return None


def _until(agent: Connection) -> float:
    """When it may first have been gone: what a backend ends, its snapshots may know before the agent's side does."""
    by_backend = agent.closed is not None and agent.closed.by == "backend"
    return agent.until - WITHIN if by_backend else agent.until


def _is_replaced(t: Timeline, agent: Connection, h: Handshake) -> bool:
    """Whether another one has taken its place by then (CON-4): its own end may be seen only later."""
    assert h.snapshot is not None  # noqa: S101 - see known_agents
    assert agent.accepted is not None  # noqa: S101 - see _live
    inits = (a.init for a in t.agents if a.agent_id == agent.agent_id and a.init is not None)
    return any(agent.accepted.seq < init.seq < h.snapshot.seq for init in inits)


def _is_lost(t: Timeline, agent: Connection, h: Handshake) -> bool:
    """Whether it surely had no connection; not so where a change was under way."""
    assert h.snapshot is not None  # noqa: S101 - see known_agents
    same = [a for a in t.agents if a.agent_id == agent.agent_id]
    ended = [a.until for a in same if a.accepted and a.accepted.seq < h.init.seq]
    started = any(a.opened.at < h.snapshot.at and a.until > h.init.at for a in same)
    if not ended or started:
        return False
    return t.bound(max(ended), WITHIN) < h.init.at or _announced(t, agent, max(ended), h)


def _announced(t: Timeline, agent: Connection, ended: float, h: Handshake) -> bool:
    """Whether the backend itself had said that the agent is gone before the snapshot was asked for."""
    for d in t.dashboards_of(agent.user):
        told = [f for f in d.about(agent.agent_id or "", "AGENT_DISCONNECT") if f.at > ended and f.seq < h.init.seq]
        if len(told) > still_to_be_told(t, d, agent.agent_id, ended):  # of earlier ends it was told first
            return True
    return False


def _deleted(t: Timeline, agent: Connection) -> bool:
    return any(e.operation == "deleteAgent" and agent.agent_id in e.path.split("/") for e in t.exchanges)


def true_state(shown: Shown, _t: Timeline) -> Iterator[Finding]:
    """It is there, and OFFLINE if and only if it has no connection."""
    evidence = tuple(e for e in (shown.agent.opened, shown.agent.accepted, shown.agent.closed) if e)
    if shown.item is None:
        says = "an agent of the user is missing in the snapshot: the page does not show it"
        expected = f"an item for each of the user's agents, {shown.agent.agent_id} among them"
        yield Finding(says, shown.snapshot, "/payload/agents", expected, "none for this one", evidence)
        return
    status = reading.status(shown.item.value)
    right = live_words(shown.agent) if shown.live else {"OFFLINE"}
    if status not in right:
        says = (
            "the snapshot shows an agent with a live socket as OFFLINE"
            if shown.live
            else "the snapshot shows an agent without connection as live"
        )
        expected = "ONLINE" if shown.live else "OFFLINE"
        yield Finding(says, shown.snapshot, f"{shown.item.pointer}/status", expected, status, evidence)


def whole_items(s: Scene) -> None:
    s.dashboard(s.item("a1"), s.item("a2", lastHeartbeat=s.born, metrics=s.metrics, further=True))
    s.wait(3)


def live_and_lost(s: Scene) -> None:
    broken = {"agentId": "a1", "errorType": "RESOURCE", "message": "disk full", "recoverable": False}
    s.agent("a1").sends("AGENT_ERROR", broken)
    s.agent("a2").closes()
    s.wait(3)
    s.dashboard(s.item("a1", status="ERROR"), s.item("a2", status="OFFLINE"), s.item("of-others", status="OFFLINE"))


def replaced_by_one_that_went(s: Scene) -> None:
    first, second = s.agent("a1"), s.agent("a1")
    s.agent("a2")
    second.closes()
    s.wait(0.1)
    s.dashboard(s.item("a1", status="OFFLINE"), s.item("a2"))
    first.closes(by="backend", code=4008)
    s.wait(3)


def ended_by_the_backend_meanwhile(s: Scene) -> None:
    agent = s.agent("a1")
    s.dashboard(s.item("a1"))
    s.wait(2)
    s.dashboard(s.item("a1", status="OFFLINE"))
    agent.closes(by="backend", code=4002)


def told_of_the_loss_before(s: Scene) -> None:
    dashboard = s.dashboard()
    for _ in range(2):
        s.agent("a1").closes()
    dashboard.told_gone("a1")
    s.agent("a2")
    s.dashboard(s.item("a1"), s.item("a2"))


def in_error_until_it_came_back(s: Scene) -> None:
    broken = {"agentId": "a1", "errorType": "RESOURCE", "message": "disk full", "recoverable": False}
    s.agent("a1").sends("AGENT_ERROR", broken)
    s.wait(3)
    s.dashboard(s.item("a1", status="ERROR"))
    s.agent("a1")
    s.wait(3)


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


RULES = (
    Rule(
        id="snapshot.items-complete",
        clauses=("DSH-2",),
        judges="Every item of a snapshot has the seven fields a dashboard shows, each of its type.",
        when=snapshot_items,
        check=complete,
        good=(whole_items,),
        bad=(rest_names,),
        cases=(all_said,),
    ),
    Rule(
        id="snapshot.true-state",
        clauses=("DSH-3",),
        judges="A snapshot holds each agent of ours, OFFLINE if and only if it has no connection.",
        when=known_agents,
        check=true_state,
        good=(
            live_and_lost,
            in_error_until_it_came_back,
            replaced_by_one_that_went,
            ended_by_the_backend_meanwhile,
            told_of_the_loss_before,
        ),
        bad=(stale, forgotten, ghost),
        cases=(all_said,),
    ),
)
