"""A second connection of an agent takes the first one's place, and nobody is told of a loss (CON-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.rules.agent_return import ended, pairs
from conformance.views import losses, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

WITHIN = 1.0
REPLACED = 4008
TELL = ("AGENT_DISCONNECT", "AGENT_STATUS")
"""What tells dashboards that an agent is gone."""


class Replacement(NamedTuple):
    """A second connection of an agent while the first was open, and until when it stayed the agent's only one."""

    first: Connection
    second: Connection
    until: float


def replacements(t: Timeline) -> Iterator[Replacement]:
    """Each second connection of an agent whose first one the tester did not end before the backend had to."""
    for first, second in pairs(t):
        if first.agent_id != second.agent_id or second.init is None or second.accepted is None:
            continue
        end = first.closed
        due = t.bound(second.accepted.at, WITHIN)
        if end is not None and (end.seq < second.init.seq or (end.by != "backend" and end.at <= due)):
            continue
        if end is None and first.until < due:
            continue
        later = [c.opened.at for c in t.agents if c.agent_id == second.agent_id and c.opened.at > second.accepted.at]
        early = WITHIN if second.closed is not None and second.closed.by == "backend" else 0.0
        yield Replacement(
            first, second, min([second.until - early, *later])
        )  # others may hear of its end before it does


def _owed(t: Timeline, dashboard: Connection, r: Replacement, start: Frame, kind: str) -> float:
    """Until when a message may still tell of a loss from before: that it was gone, and nothing of the present.

    AGENT_STATUS may come, for a command's sake, as long as the agent is away (STA-8).
    """
    agent_id = str(r.second.agent_id)
    before = [x.closed for x in losses(t) if x.agent_id == agent_id and x.closed.seq < start.seq]
    if not before:
        return 0.0
    if kind == "AGENT_STATUS":
        return t.bound(r.first.init.at if r.first.init else r.first.opened.at, WITHIN)
    told = dashboard.about(agent_id, kind, after=before[-1].seq)
    return 0.0 if any(f.seq < start.seq for f in told) else t.bound(before[-1].at, WITHIN)


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
        owed = {kind: _owed(t, dashboard, r, start, kind) for kind in TELL}
        for frame in dashboard.about(agent_id, *TELL, after=start.seq):
            if owed[frame.kind] < frame.at <= until and _says_gone(frame):
                says = f"{frame.type} says that an agent is gone that has only changed its connection"
                yield Finding(
                    says, frame, "/payload", "no loss of the agent", frame.payload.get("status", "gone"), evidence
                )
    for item in reads(t, second):
        asked = first.accepted is not None and item.where.at > first.accepted.at
        if (
            item.where.seq > second.accepted.seq
            and asked
            and ended(item.where) < until
            and reading.status(item.value) == "OFFLINE"
        ):
            says = "the end of the replaced connection took the agent offline"
            yield Finding(says, item.where, f"{item.pointer}/status", "ONLINE", item.value.get("status"), evidence)


def _says_gone(frame: Frame) -> bool:
    return frame.kind == "AGENT_DISCONNECT" or reading.status(frame.payload) == "OFFLINE"


def one_follows_the_other(s: Scene) -> None:
    dashboard, first = s.dashboard(), s.agent("a1")
    s.agent("a1").heartbeats()
    first.closes(by="backend", code=REPLACED)
    dashboard.told("a1")
    s.wait(2)
    s.shows(s.row("a1"))


def told_late_of_an_earlier_loss(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1").closes(by="fault", code=None)
    first = s.agent("a1")
    s.agent("a1")
    dashboard.told_gone("a1")
    dashboard.told("a1")
    dashboard.told("a1")
    first.closes(by="backend", code=REPLACED)
    s.wait(2)


def told_twice_of_an_earlier_loss(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1").closes(by="fault", code=None)
    dashboard.told_gone("a1")
    first = s.agent("a1")
    s.agent("a1")
    dashboard.told("a1", status="OFFLINE")
    dashboard.told("a1")
    first.closes(by="backend", code=REPLACED)
    s.wait(2)


def asked_for_while_it_was_away(s: Scene) -> None:
    s.agent("a1").closes()
    asked = s.seconds
    first = s.agent("a1")
    s.agent("a1")
    s.shows(s.row("a1", status="OFFLINE"), at=asked + 0.001)
    first.closes(by="backend", code=REPLACED)
    s.wait(2)


def others_hear_first_of_its_end(s: Scene) -> None:
    dashboard, first = s.dashboard(), s.agent("a1")
    second = s.agent("a1")
    first.closes(by="backend", code=REPLACED)
    s.wait(3)
    dashboard.told_gone("a1")
    s.shows(s.row("a1", status="OFFLINE"))
    second.closes(by="backend", code=1011)


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


RULE = Rule(
    id="agent-return.replaces-first",
    clauses=("CON-4",),
    judges="A second connection ends the first with 4008, and nobody is told that the agent is gone.",
    when=replacements,
    check=replaced,
    good=(
        one_follows_the_other,
        told_late_of_an_earlier_loss,
        told_twice_of_an_earlier_loss,
        asked_for_while_it_was_away,
        others_hear_first_of_its_end,
    ),
    bad=(
        both_served,
        ended_by_its_agent_at_last,
        closed_as_if_it_had_left,
        loss_announced,
        flicker,
        late_close_kills_the_new,
    ),
    cases=(second_connection,),
)
