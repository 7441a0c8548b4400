"""A deleted agent is announced as gone (DIS-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.rule import Finding, Rule
from conformance.views import still_to_be_told, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Frame, Timeline
    from conformance.world.world import World


class Deletion(NamedTuple):
    """A DELETE that succeeded, and a dashboard that watched long enough or was told."""

    request: Exchange
    dashboard: Connection
    told: list[Frame]
    within: float


def when(t: Timeline) -> Iterator[Deletion]:
    """Each deletion of an agent of ours that had been announced as lost before, for each dashboard."""
    within = t.contract.within("rest.delete", "to-dashboard.AGENT_DISCONNECT")
    for request in t.calls("deleteAgent", status=204):
        agent_id = request.path.rsplit("/", 1)[-1]
        if t.owners.get(agent_id) != request.user:
            continue
        ends = [c.closed.at for c in t.agents if c.agent_id == agent_id and c.closed]
        lost = max((end for end in ends if end < request.at), default=0.0)
        lost_again = min((end for end in ends if end >= request.at), default=float("inf"))  # it came back meanwhile
        for dashboard in watchers(t, request.user, request):
            known = dashboard.about(agent_id, "AGENT_DISCONNECT")
            before = [f for f in known if lost <= f.at < request.at]
            after = [f for f in known if request.at <= f.at < lost_again]
            watched = min(dashboard.until, lost_again) >= t.bound(request.ended, within)
            if before and (after or watched) and not still_to_be_told(t, dashboard, agent_id, request.at):
                yield Deletion(request, dashboard, after, within)


def check(d: Deletion, t: Timeline) -> Iterator[Finding]:
    """Exactly one AGENT_DISCONNECT, within a second."""
    expected = f"one AGENT_DISCONNECT within {d.within:g} s of the deletion"
    if not d.told or d.told[0].at > t.bound(d.request.ended, d.within):
        got = f"{d.told[0].at - d.request.ended:.2f} s later" if d.told else "none"
        yield Finding(
            "a deleted agent is not announced as gone: dashboards go on listing it", d.request, "", expected, got
        )
    for again in d.told[1:]:
        yield Finding("one deletion was announced twice", again, "", expected, len(d.told), (d.request,))


def announced(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    s.rest("DELETE", "/agents/a1", 204)
    dashboard.told_gone("a1", reason="deleted")
    s.wait(2)


def back_and_lost_before_it_is_told(s: Scene) -> None:
    announced(s)
    dashboard = s.dashboard()
    s.agent("a2").closes()
    dashboard.told_gone("a2")
    s.rest("DELETE", "/agents/a2", 204)
    s.agent("a2").closes()
    dashboard.told_gone("a2", reason="deleted")
    dashboard.told("a2")
    dashboard.told_gone("a2")
    s.wait(2)


def told_late_of_the_loss_before(s: Scene) -> None:
    announced(s)
    dashboard = s.dashboard()
    for _ in range(2):
        s.agent("a2").closes()
    dashboard.told_gone("a2")
    asked = s.seconds + 0.001
    dashboard.told("a2")
    dashboard.told_gone("a2")
    dashboard.told_gone("a2", reason="deleted")
    s.rest("DELETE", "/agents/a2", 204, at=asked)
    s.wait(2)


def silent(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    s.rest("DELETE", "/agents/a1", 204)
    s.wait(2)


def twice(s: Scene) -> None:
    announced(s)
    dashboard = s.dashboard()
    s.agent("a2").closes()
    dashboard.told_gone("a2")
    s.rest("DELETE", "/agents/a2", 204)
    dashboard.told_gone("a2")
    dashboard.told_gone("a2")


async def delete_a_lost_agent(world: World) -> None:
    """An agent leaves and is deleted while a dashboard watches."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    await user.rest.shows(agent.id, status="OFFLINE")
    before = user.last
    await user.rest.delete(f"/agents/{agent.id}")
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    await world.quiet()


RULE = Rule(
    id="deletion.announced",
    clauses=("DIS-4",),
    judges="The deletion of an agent brings every dashboard of its user one more AGENT_DISCONNECT.",
    when=when,
    check=check,
    good=(announced, back_and_lost_before_it_is_told, told_late_of_the_loss_before),
    bad=(silent, twice),
    cases=(delete_a_lost_agent,),
)
