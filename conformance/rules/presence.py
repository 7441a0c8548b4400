"""Who is there: a connected agent appears everywhere at once (CON-2), a lost one is OFFLINE and stays so (DIS-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.rules.disconnect import back_but_gone_before_its_ack, told_late_of_the_loss_before
from conformance.timeline import Exchange
from conformance.views import Loss, life_ends, live_words, losses, reads, still_to_be_told, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Event, Timeline
    from conformance.world.world import World

WITHIN = 1.0
"""Seconds for "at once": the bound of every event and of what REST shows after it."""


class Reading(NamedTuple):
    """What REST said of an agent after something happened to it, and whether that settles the matter."""

    agent: Connection
    cause: Event
    answers: list[Exchange]
    right: bool


def _settled(t: Timeline, agent: Connection, cause: Event, end: float, wanted: bool) -> Reading | None:  # noqa: FBT001
    """REST answers between a cause and the next change, when one is as wanted or one came after the bound.

    One that was still to be given when that change came may show it.
    """
    end = min(end, life_ends(t, agent.agent_id, cause))
    items = [i for i in reads(t, agent) if i.where.seq > cause.seq and i.ended <= end]
    missing = [
        e
        for e in t.calls("getAgent", status=404)
        if e.seq > cause.seq
        and e.ended < end
        and e.user == agent.user
        and e.path.endswith("/" + (agent.agent_id or ""))
    ]
    shown = [i.where for i in items if isinstance(i.where, Exchange)]
    answers = sorted([*shown, *missing], key=lambda e: e.seq)
    words = live_words(agent) if wanted else {"OFFLINE"}
    right = any(reading.status(i.value) in words for i in items)
    if right or any(e.at > t.bound(cause.at, WITHIN) for e in answers):
        return Reading(agent, cause, answers, right)
    return None


def connected(t: Timeline) -> Iterator[Reading]:
    """Each agent that was accepted and then read over REST while connected."""
    for agent in t.agents:
        if agent.accepted is not None and (found := _settled(t, agent, agent.accepted, agent.until, wanted=True)):
            yield found


def is_online(found: Reading, _t: Timeline) -> Iterator[Finding]:
    """REST shows it, and not OFFLINE."""
    if not found.right:
        last = found.answers[-1]
        status = reading.status(reading.one(last.value)) if last.status == 200 else f"HTTP {last.status}"  # noqa: PLR2004 - HTTP
        says = "a connected agent does not appear as ONLINE over REST"
        yield Finding(says, last, "/data/status", "ONLINE", status or "not in the list", (found.cause,))


class Seen(NamedTuple):
    """A new connection and a dashboard that must show it."""

    agent: Connection
    dashboard: Connection


def connected_watched(t: Timeline) -> Iterator[Seen]:
    """Each accepted agent, for each dashboard that watched long enough or was told."""
    for agent in t.agents:
        if agent.init is None:
            continue
        for dashboard in watchers(t, agent.user, agent.init):
            watched = min(dashboard.until, agent.until) >= t.bound(agent.init.at, WITHIN)
            if watched or _shown(agent, dashboard):
                yield Seen(agent, dashboard)


def _shown(agent: Connection, dashboard: Connection) -> list[Event]:
    assert agent.init is not None  # noqa: S101 - see connected_watched
    told = dashboard.about(agent.agent_id or "", "AGENT_STATUS", "AGENT_CONNECTED", after=agent.init.seq)
    return [
        f for f in told if f.kind == "AGENT_CONNECTED" or reading.status(f.payload) not in {"OFFLINE", "CONNECTING"}
    ]


def appears(seen: Seen, t: Timeline) -> Iterator[Finding]:
    """An event shows it as there, within a second."""
    assert seen.agent.init is not None  # noqa: S101 - see connected_watched
    shown = _shown(seen.agent, seen.dashboard)
    expected = f"AGENT_STATUS with status ONLINE within {WITHIN:g} s"
    if shown and shown[0].at > t.bound(seen.agent.init.at, WITHIN):
        late = f"{shown[0].at - seen.agent.init.at:.2f} s after its AGENT_CONNECT"
        yield Finding("a connected agent appears late on dashboards", shown[0], "", expected, late, (seen.agent.init,))
    elif not shown:
        told = seen.dashboard.about(seen.agent.agent_id or "", "AGENT_STATUS", after=seen.agent.init.seq)
        got = reading.status(told[0].payload) if told else "nothing about it"
        where = told[0] if told else seen.agent.init
        yield Finding(
            "a connected agent does not appear as ONLINE on dashboards",
            where,
            "/payload/status" if told else "",
            expected,
            got,
            (seen.agent.init,),
        )


class Listed(NamedTuple):
    """A whole list of a user's agents, read page by page while an agent of ours was connected."""

    agent: Connection
    pages: list[Exchange]


def lists(t: Timeline) -> Iterator[Listed]:
    """Each complete reading of the list, for each agent connected for longer than the bound, or found in it."""
    for agent in t.agents:
        for pages in _readings(t, agent.user):
            accepted = agent.accepted
            if accepted is None or pages[0].seq < accepted.seq or pages[-1].ended > agent.until:
                continue
            if pages[0].at > t.bound(accepted.at, WITHIN) or _in(agent, pages):
                yield Listed(agent, pages)


def _readings(t: Timeline, user: str) -> Iterator[list[Exchange]]:
    pages: list[Exchange] = []
    for e in t.calls("listAgents", status=200):
        if e.user != user or set(e.query) - {"limit", "offset"}:
            continue
        pages = pages if e.query.get("offset", "0") != "0" else []
        pages.append(e)
        if e.query.get("limit") == "100" and len(reading.rows(e.value) or ()) < 100:  # noqa: PLR2004 - a page not full
            yield pages


def _in(agent: Connection, pages: list[Exchange]) -> bool:
    return any(reading.agent_id(row) == agent.agent_id for page in pages for row in reading.rows(page.value) or ())


def listed(occasion: Listed, _t: Timeline) -> Iterator[Finding]:
    """It is in the list."""
    if not _in(occasion.agent, occasion.pages):
        says = "a connected agent is missing in GET /agents"
        evidence = tuple(e for e in (occasion.agent.accepted,) if e)
        yield Finding(says, occasion.pages[-1], "/data", f"a row for {occasion.agent.agent_id}", "none", evidence)


def lost(t: Timeline) -> Iterator[Reading]:
    """Each loss after which the agent was read over REST."""
    for loss in losses(t):
        if found := _settled(t, loss.agent, loss.closed, loss.back_at, wanted=False):
            yield found


def is_offline(found: Reading, _t: Timeline) -> Iterator[Finding]:
    """REST shows it OFFLINE."""
    if not found.right:
        last = found.answers[-1]
        got = reading.status(reading.one(last.value)) or f"HTTP {last.status}"
        yield Finding("a lost agent stays online over REST", last, "/data/status", "OFFLINE", got, (found.cause,))


def announced(t: Timeline) -> Iterator[tuple[Loss, Connection]]:
    """Each loss, for each dashboard of the user."""
    for loss in losses(t):
        for dashboard in watchers(t, loss.agent.user, loss.closed):
            if dashboard.about(loss.agent_id, "AGENT_DISCONNECT", after=loss.closed.seq) or dashboard.until > t.bound(
                loss.closed.at, WITHIN
            ):
                yield loss, dashboard


def stays_offline(occasion: tuple[Loss, Connection], t: Timeline) -> Iterator[Finding]:
    """No AGENT_STATUS after the announcement shows it as live, unless it came back."""
    loss, dashboard = occasion
    gone = dashboard.about(loss.agent_id, "AGENT_DISCONNECT", after=loss.closed.seq)
    before = still_to_be_told(t, dashboard, loss.agent_id, loss.closed.at)
    gone = gone[max(0, min(before, len(gone) - 1)) :]  # those of earlier ends come first
    start = gone[0].at if gone else t.bound(loss.closed.at, WITHIN)
    for frame in dashboard.about(loss.agent_id, "AGENT_STATUS", after=loss.closed.seq):
        if start < frame.at < loss.back_at and reading.status(frame.payload) != "OFFLINE":
            says = "AGENT_STATUS shows a lost agent as live again, although it has not come back"
            yield Finding(
                says, frame, "/payload/status", "OFFLINE", frame.payload.get("status"), (loss.closed, *gone[:1])
            )


def comes_and_goes(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.shows(s.row("a1"))
    s.lists(s.row("a1"), query={"limit": "100", "offset": "0"})
    agent.closes()
    s.shows(s.row("a1"))
    dashboard.told("a1", status="OFFLINE")
    dashboard.told_gone("a1")
    s.shows(s.row("a1", status="OFFLINE"))
    s.wait(2)


def lower_case(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1", status="online")
    s.shows(s.row("a1", status="online"))
    s.lists(s.row("a1", status="online"), query={"limit": "100", "offset": "0"})
    agent.closes()
    dashboard.told_gone("a1")
    s.shows(s.row("a1", status="offline"))


def read_while_it_leaves(s: Scene) -> None:
    agent = s.agent("a1")
    s.wait(2)
    asked = s.seconds
    agent.closes()
    s.shows(s.row("a1", status="OFFLINE"), at=asked)
    s.agent("a2")
    s.shows(s.row("a2"))
    s.wait(1)


def read_while_it_returns(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(2)
    asked = s.seconds
    s.agent("a1")
    s.shows(s.row("a1"), at=asked)
    s.agent("a2").closes()
    s.shows(s.row("a2", status="OFFLINE"))


def offline_over_rest(s: Scene) -> None:
    s.agent("a1")
    s.wait(2)
    s.shows(s.row("a1", status="OFFLINE"))
    s.wait(1)


def not_found_over_rest(s: Scene) -> None:
    s.agent("a1")
    s.wait(2)
    s.fails("GET", "/agents/a1", 404)
    s.wait(1)


def another_says_who_it_is_at_the_very_end(s: Scene) -> None:
    comes_and_goes(s)
    agent = s.socket("agent")
    s.wait(3)
    able = {"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": False}
    about = {"agentId": "a2", "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": able}
    sent = agent.sends("AGENT_CONNECT", about)
    agent.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a2"})


def offline_on_dashboards(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1")
    dashboard.told("a1", status="OFFLINE")
    s.wait(2)


def not_listed(s: Scene) -> None:
    s.agent("a1")
    s.wait(2)
    s.lists(s.row("a2"), query={"limit": "100", "offset": "0"})
    s.wait(1)


def stuck_online(s: Scene) -> None:
    s.agent("a1").closes()
    s.wait(2)
    s.shows(s.row("a1"))


def online_again(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    dashboard.told("a1", status="ONLINE")
    s.wait(2)


async def come_and_go(world: World) -> None:
    """An agent connects, is read everywhere, leaves, and is read again."""
    user = world.user()
    dashboard = await user.dashboard()
    agent = user.new_agent(agentType="CUSTOM")
    sent = await agent.connect()
    await dashboard.sees("AGENT_STATUS", agent, since=sent.seq)
    await user.rest.shows(agent.id, status="ONLINE")
    await user.rest.all_agents()
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    await user.rest.shows(agent.id, status="OFFLINE")
    await world.quiet()


RULES = (
    Rule(
        id="presence.connected-over-rest",
        clauses=("CON-2",),
        judges="An agent that was accepted is shown over REST, and not as OFFLINE, within a second.",
        when=connected,
        check=is_online,
        good=(
            comes_and_goes,
            lower_case,
            read_while_it_leaves,
        ),
        bad=(offline_over_rest, not_found_over_rest),
        cases=(come_and_go,),
    ),
    Rule(
        id="presence.connected-in-list",
        clauses=("CON-2",),
        judges="An agent that was accepted is in the list of its user's agents.",
        when=lists,
        check=listed,
        good=(comes_and_goes,),
        bad=(not_listed,),
        cases=(come_and_go,),
    ),
    Rule(
        id="presence.connected-on-dashboards",
        clauses=("CON-2",),
        judges="An agent that was accepted appears as live on every dashboard of its user within a second.",
        when=connected_watched,
        check=appears,
        good=(comes_and_goes, lower_case, another_says_who_it_is_at_the_very_end),
        bad=(offline_on_dashboards,),
        cases=(come_and_go,),
    ),
    Rule(
        id="presence.lost-over-rest",
        clauses=("DIS-2",),
        judges="An agent whose socket has ended is OFFLINE over REST within a second.",
        when=lost,
        check=is_offline,
        good=(
            comes_and_goes,
            lower_case,
            read_while_it_returns,
        ),
        bad=(stuck_online,),
        cases=(come_and_go,),
    ),
    Rule(
        id="presence.lost-stays-lost",
        clauses=("DIS-2",),
        judges="After an agent's loss no AGENT_STATUS shows it as live until it connects again.",
        when=announced,
        check=stays_offline,
        good=(
            comes_and_goes,
            lower_case,
            told_late_of_the_loss_before,
            back_but_gone_before_its_ack,
        ),
        bad=(online_again,),
        cases=(come_and_go,),
    ),
)
