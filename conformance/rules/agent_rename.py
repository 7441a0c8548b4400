"""A renamed agent has its new name in the answer, in REST and on every dashboard (AGT-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.dialogue import said
from conformance.rest_views import judged, last_connection, own_rows
from conformance.rule import Finding, Rule
from conformance.views import OK, causes, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Frame, Timeline
    from conformance.world.world import World


class Renamed(NamedTuple):
    """A rename that was answered 200, and the agent's connection."""

    e: Exchange
    agent_id: str
    name: str
    agent: Connection


def renamed(t: Timeline) -> Iterator[Renamed]:
    """Each rename of an agent by its owner to another name, answered 200."""
    for e in judged(t):
        agent = last_connection(t, e) if e.operation == "renameAgent" and e.status == OK else None
        name = e.request.get("name") if isinstance(e.request, dict) else None
        if (
            agent is not None
            and agent.agent_id
            and isinstance(name, str)
            and name == name.strip()
            and name.isprintable()
        ):
            yield Renamed(e, agent.agent_id, name, agent)


def rename_shown(done: Renamed, t: Timeline) -> Iterator[Finding]:
    """The answer and everything REST says until the next change have the new name."""
    e, agent_id, name, agent = done
    answer = reading.one(e.value)
    if answer is None or answer.get("name") != name:
        got = answer.get("name", "nothing") if answer else "nothing"
        yield Finding("the answer to a rename has not the new name", e, "/data/name", name, got)
    answered = {id(s.sent): s.answers[0].at if s.answers else t.end for s in said(t)}
    others = [c for c in causes(t, agent_id) if c is not e and _may_name(c)]
    if any(c.at <= e.at < answered.get(id(c), getattr(c, "ended", c.at)) for c in others):
        return  # another name was being given when this one was
    until = min((c.at for c in others if c.at > e.at), default=float("inf"))
    for row in own_rows(t, agent_id, agent.user):
        if row.where.at >= e.ended and row.where.ended <= until and row.value.get("name") != name:
            says = "the new name is not kept: it is gone after a reload"
            yield Finding(says, row.where, f"{row.pointer}/name", name, row.value.get("name", "nothing"), (e,))


def _may_name(cause: object) -> bool:
    return (
        getattr(cause, "method", "PATCH") in {"PATCH", "DELETE"}
        and getattr(cause, "type", "AGENT_CONNECT") == "AGENT_CONNECT"
    )


def rename(s: Scene, name: str = "Eve", shown: str = "Eve") -> None:
    """A rename of a1 and its answer."""
    s.rest("PATCH", "/agents/a1", 200, {"success": True, "data": s.row("a1", name=shown)}, request={"name": name})


def rename_kept(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard(s.item("a1"))
    rename(s)
    dashboard.told("a1", name="Eve")
    s.shows(s.row("a1", name="Eve"))
    s.lists(s.row("a1", name="Eve"))
    s.wait(2)


def rename_told_before_the_answer(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard(s.item("a1"))
    dashboard.told("a1", name="Eve")
    body = {"success": True, "data": s.row("a1", name="Eve")}
    s.rest("PATCH", "/agents/a1", 200, body, request={"name": "Eve"}, at=0.075, ended=0.2)
    s.wait(2)


def answer_with_old_name(s: Scene) -> None:
    s.agent("a1")
    rename(s, shown="Ada")


def rename_forgotten(s: Scene) -> None:
    s.agent("a1")
    rename(s)
    s.shows(s.row("a1"))


class Announced(NamedTuple):
    """A rename, and a dashboard that must be told of it."""

    done: Renamed
    dashboard: Connection


def announcements(t: Timeline) -> Iterator[Announced]:
    """Each rename, for each dashboard that watched long enough to be told."""
    within = t.contract.within("rest.rename", "to-dashboard.AGENT_STATUS")
    for done in renamed(t):
        if _names(t, done) & {done.name}:
            continue
        for dashboard in watchers(t, done.agent.user, done.e):
            ready = next(iter(dashboard.snapshots), dashboard.accepted)
            watched = _told(dashboard, done) or dashboard.until >= t.bound(done.e.ended, within)
            if ready and ready.at < done.e.at and watched:
                yield Announced(done, dashboard)


def _names(t: Timeline, done: Renamed) -> set[object]:
    """The names that the agent had been given before."""
    greetings = {
        a.init.payload.get("name") for a in t.agents if a.agent_id == done.agent_id and a.init and a.init.at < done.e.at
    }
    given = {o.name for o in renamed(t) if o.agent_id == done.agent_id and o.e.seq < done.e.seq}
    return greetings | given


def _told(dashboard: Connection, done: Renamed) -> list[Frame]:
    statuses = dashboard.about(done.agent_id, "AGENT_STATUS")
    return [f for f in statuses if f.at >= done.e.at and f.payload.get("name") == done.name]


def rename_announced(announced: Announced, t: Timeline) -> Iterator[Finding]:
    """AGENT_STATUS with the new name, within a second."""
    done, dashboard = announced
    within = t.contract.within("rest.rename", "to-dashboard.AGENT_STATUS")
    told = _told(dashboard, done)
    expected = f"AGENT_STATUS with the new name within {within:g} s"
    if not told:
        says = "a renamed agent is not announced: it keeps its old name on every other screen"
        yield Finding(says, done.e, "", expected, "none", (dashboard.opened,))
    elif told[0].at > t.bound(done.e.ended, within):
        late = f"{told[0].at - done.e.ended:.2f} s after the answer"
        yield Finding("the new name was announced late", told[0], "", expected, late, (done.e,))


def rename_unannounced(s: Scene) -> None:
    s.agent("a1")
    s.dashboard(s.item("a1"))
    rename(s)
    s.wait(2)


def announced_with_old_name(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard(s.item("a1"))
    rename(s)
    dashboard.told("a1")
    s.wait(2)


async def rename_with_dashboards(world: World) -> None:
    """A connected and a departed agent are renamed while a dashboard watches."""
    user = world.user()
    watching, agent = await user.dashboard(), await user.agent()
    for name in ("Countess", "Ada Lovelace (née Byron)"):
        before = user.last
        await user.rest.patch(f"/agents/{agent.id}", {"name": name})
        await watching.sees("AGENT_STATUS", agent, since=before, name=name)
        await user.rest.get(f"/agents/{agent.id}")
        await user.rest.all_agents()
        await agent.leave()
        await user.rest.until(agent.id, lambda row: reading.status(row) == "OFFLINE")


RULES = (
    Rule(
        id="agent.rename-kept",
        clauses=("AGT-10",),
        judges="The answer to a rename and all that REST says afterwards have the new name.",
        when=renamed,
        check=rename_shown,
        good=(rename_kept,),
        bad=(answer_with_old_name, rename_forgotten),
        cases=(rename_with_dashboards,),
    ),
    Rule(
        id="agent.rename-announced",
        clauses=("AGT-10",),
        judges="A rename reaches the user's dashboards as AGENT_STATUS with the new name.",
        when=announcements,
        check=rename_announced,
        good=(rename_kept, rename_told_before_the_answer),
        bad=(rename_unannounced, announced_with_old_name),
        cases=(rename_with_dashboards,),
    ),
)
