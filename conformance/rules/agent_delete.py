"""A connected agent is not deleted; any other is gone for good (AGT-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.endings import has_other_cause
from conformance.rest_views import agent_of, judged, last_connection, outcome, own_rows
from conformance.rule import Finding, Rule
from conformance.views import causes, items_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


NO_CONTENT, NOT_FOUND, CONFLICT = 204, 404, 409
REPLACED = 4008
"""A newer connection had taken its place before that (CON-4)."""
GONE_WITHIN = 1.0
"""DIS-1: after that the backend must know that a socket has ended; seconds."""


class Deletion(NamedTuple):
    """A deletion asked for by the owner, and whether the agent had a connection."""

    e: Exchange
    agent: Connection
    connected: bool


def deletions(t: Timeline) -> Iterator[Deletion]:
    """Each deletion of an agent that surely had, or surely had not, a connection."""
    for e in judged(t):
        agent = last_connection(t, e) if e.operation == "deleteAgent" else None
        if agent is None:
            continue
        sockets = [a for a in t.connections if a.agent_id == agent.agent_id]
        if any(_lived(t, a, e) for a in t.agents if a.agent_id == agent.agent_id):
            yield Deletion(e, agent, connected=True)
        elif all(a.closed is not None and a.closed.at < e.at and _noticed(t, a, e) for a in sockets):
            yield Deletion(e, agent, connected=False)


def _lived(t: Timeline, agent: Connection, e: Exchange) -> bool:
    """Whether a socket was there from before a request until its answer, or until the backend itself ended it."""
    accepted, closed = agent.accepted, agent.closed
    if accepted is None or accepted.at >= e.at or (closed is not None and closed.code == REPLACED):
        return False  # of one that was replaced nobody knows until when it was the agent's
    if closed is None or closed.at >= e.ended + GONE_WITHIN:
        return True
    if closed.by == "backend":
        return closed.at >= e.at and not has_other_cause(t, agent, e.at)
    return closed.at >= e.ended


def _noticed(t: Timeline, agent: Connection, e: Exchange) -> bool:
    """Whether the backend had known of the socket's end before a request."""
    closed = agent.closed
    if closed is None:
        return False
    offline = (
        reading.status(r.value) == "OFFLINE" and closed.at <= r.where.at and r.where.ended <= e.at
        for r in own_rows(t, agent.agent_id or "", agent.user)
    )
    return e.at - closed.at > GONE_WITHIN + t.terms.slack or any(offline)


def deleted(deletion: Deletion, t: Timeline) -> Iterator[Finding]:
    """204 and gone; or 409 and unchanged while it is connected."""
    e, agent, connected = deletion
    later = [x for x in judged(t) if x.at >= e.ended and agent_of(x) == agent.agent_id and x.user == e.user]
    changes = (c.at for c in causes(t, agent.agent_id or "") if c.at > e.at and c is not e)
    until = min(changes, default=float("inf"))
    looks = [x for x in later if x.operation == "getAgent" and x.ended <= until]
    if connected:
        if e.status != CONFLICT:
            says = "an agent is deleted, or not refused, while it is connected"
            yield Finding(says, e, "", "409 while it has a connection", e.status, (agent.opened,))
        for x in looks:
            if x.status == NOT_FOUND:
                yield Finding("a refused deletion deleted the agent", x, "", "the agent as before", x.status, (e,))
        return
    if e.status != NO_CONTENT:
        yield Finding("an agent without a connection cannot be deleted", e, "", "204", outcome(e), (agent.opened,))
        return
    for x in looks:
        if x.status != NOT_FOUND:
            yield Finding("a deleted agent is still there", x, "", "404 after the deletion", x.status, (e,))
    yield from _ghosts(t, deletion, until)


def _ghosts(t: Timeline, deletion: Deletion, until: float) -> Iterator[Finding]:
    e, agent, _ = deletion
    for row in own_rows(t, agent.agent_id or "", agent.user, "listAgents"):
        if e.ended <= row.where.at and row.where.ended <= until:
            yield Finding(
                "a deleted agent is still in the list", row.where, row.pointer, "no such agent", agent.agent_id, (e,)
            )
    for dashboard in t.dashboards_of(agent.user):
        for snapshot in dashboard.snapshots if dashboard.opened.at >= e.ended else ():
            for item in items_of(snapshot):
                if item.agent_id == agent.agent_id and snapshot.at <= until:
                    yield Finding(
                        "a deleted agent is in a new snapshot",
                        snapshot,
                        item.pointer,
                        "no such agent",
                        agent.agent_id,
                        (e,),
                    )


def deleted_when_gone(s: Scene) -> None:
    agent = s.agent("a1")
    s.fails("DELETE", "/agents/a1", 409)
    s.shows(s.row("a1"))
    agent.closes()
    s.shows(s.row("a1", status="OFFLINE"))
    s.rest("DELETE", "/agents/a1", 204)
    s.fails("GET", "/agents/a1", 404)
    s.lists(s.row("a2"))
    s.dashboard(s.item("a2"))


def deleted_while_it_is_sent_away(s: Scene) -> None:
    deleted_when_gone(s)
    agent, asked = s.agent("a3"), s.seconds
    agent.sends_text(" " * 100)
    s.rest("DELETE", "/agents/a3", 204, at=asked + 0.001, ended=s.seconds + 0.005)
    agent.closes(by="backend", code=1009)


def deleted_and_then_sent_away(s: Scene) -> None:
    agent = s.agent("a1")
    s.wait(5)
    s.rest("DELETE", "/agents/a1", 204)
    agent.closes(by="backend", code=1008)


def deleted_while_connected(s: Scene) -> None:
    s.agent("a1")
    s.rest("DELETE", "/agents/a1", 204)


def refused_but_deleted(s: Scene) -> None:
    s.agent("a1")
    s.fails("DELETE", "/agents/a1", 409)
    s.fails("GET", "/agents/a1", 404)


def never_deleted(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(2)
    s.fails("DELETE", "/agents/a1", 409)


def still_there(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(2)
    s.rest("DELETE", "/agents/a1", 204)
    s.shows(s.row("a1", status="OFFLINE"))


def still_in_snapshots(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(2)
    s.rest("DELETE", "/agents/a1", 204)
    s.dashboard(s.item("a1", status="OFFLINE"))


async def delete_connected_then_gone(world: World) -> None:
    """An agent is deleted while it is connected, which is refused, and again after it left; then it is looked for."""
    user, agent = world.user(), await world.user().agent()
    await user.rest.delete(f"/agents/{agent.id}")
    await user.rest.get(f"/agents/{agent.id}")
    await agent.leave()
    await user.rest.until(agent.id, lambda row: reading.status(row) == "OFFLINE")
    await user.rest.delete(f"/agents/{agent.id}")
    await user.rest.get(f"/agents/{agent.id}")
    await user.rest.all_agents()
    await user.dashboard()


RULE = Rule(
    id="agent.deleted-when-gone",
    clauses=("AGT-11",),
    judges="A deletion answers 409 and changes nothing while the agent is connected, else 204, and the agent is gone.",
    when=deletions,
    check=deleted,
    good=(deleted_when_gone, deleted_while_it_is_sent_away),
    bad=(
        deleted_and_then_sent_away,
        deleted_while_connected,
        refused_but_deleted,
        never_deleted,
        still_there,
        still_in_snapshots,
    ),
    cases=(delete_connected_then_gone,),
)
