"""AGENT_DISCONNECT: announced once, in time, with what a dashboard needs to take the agent offline (DIS-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.views import Loss, deletions, losses, still_to_be_told, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Opened, Timeline
    from conformance.world.world import World

GOING_AWAY = 1001
LOOK_ON = 1.25
"""Seconds to look on for what must not come: a little more than the contract gives for what must."""
Occasion = tuple["Loss", "Connection"]


def when(t: Timeline) -> Iterator[Occasion]:
    """Each loss of an agent, for each dashboard that watched long enough to be told or that was told."""
    for loss in losses(t):
        for dashboard in watchers(t, loss.agent.user, loss.closed):
            told = announcements(loss, dashboard, t)
            if told or min(dashboard.until, loss.back_at) >= t.bound(loss.closed.at, _within(t)):
                yield loss, dashboard


def check(occasion: Occasion, t: Timeline) -> Iterator[Finding]:
    """Exactly one, within a second, and in shape."""
    loss, dashboard = occasion
    within = _within(t)
    told = announcements(loss, dashboard, t)
    expected = f"one AGENT_DISCONNECT within {within:g} s"
    evidence = (loss.agent.opened, loss.closed)
    if not told:
        says = "the agent's socket ended and no AGENT_DISCONNECT told its dashboards: they show it online for ever"
        yield Finding(says, loss.closed, "", expected, "none", evidence)
        return
    first, *more = told
    if first.at > t.bound(loss.closed.at, within):
        late = f"{first.at - loss.closed.at:.2f} s after the socket's end"
        yield Finding("AGENT_DISCONNECT came late", first, "", expected, late, evidence)
    for again in more[_deletions_meanwhile(loss, t) :]:
        yield Finding("the same loss was announced again", again, "", expected, len(told), (*evidence, first))
    for v in t.contract.violations("messages/to-dashboard/AGENT_DISCONNECT.json", first.payload):
        says = f"AGENT_DISCONNECT without {v.expected}" if v.keyword == "required" else "AGENT_DISCONNECT out of shape"
        yield Finding(says, first, "/payload" + v.pointer, v.expected, v.got, evidence)


def _within(t: Timeline) -> float:
    return t.contract.within("agent.lost", "to-dashboard.AGENT_DISCONNECT")


def _deletions_meanwhile(loss: Loss, t: Timeline) -> int:
    """How many deletions were under way while the loss was to be announced: each is announced anew (DIS-4)."""
    return sum(e.ended > loss.closed.at and e.at < loss.back_at for e in deletions(t, loss.agent_id))


def announcements(loss: Loss, dashboard: Connection, t: Timeline) -> list[Frame]:
    """What a dashboard was told of this loss, up to the agent's return or a deletion asked for once it was due.

    A deletion before that is told in the same way: which of the two a dashboard was told first, nobody knows. What was
    still to be told of earlier ends, when the agent said its last word, comes first.
    """
    due = t.bound(loss.closed.at, _within(t))
    end = min([loss.back_at, *(e.ended for e in deletions(t, loss.agent_id) if e.at > due)])
    word = _last_word(loss)
    told = [f for f in dashboard.about(loss.agent_id, "AGENT_DISCONNECT", after=word.seq) if f.at <= end]
    return told[max(0, min(still_to_be_told(t, dashboard, loss.agent_id, word.at), len(told) - 1)) :]


def _last_word(loss: Loss) -> Frame | Opened:
    """The agent's last own message: what comes after it about the agent's end belongs to this loss.

    A backend that gives an agent up may say so before it ends the socket: then the last sign of life (DIS-3) counts.
    """
    given_up = loss.closed.by == "backend"
    before = (f for f in reversed(loss.agent.frames) if f.seq < loss.closed.seq)  # afterwards it spoke to nobody
    own = (f for f in before if not given_up or (f.is_sent and f.type in {"AGENT_CONNECT", "AGENT_HEARTBEAT"}))
    return next(own, loss.agent.opened)


def announced(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.closes()
    dashboard.told_gone("a1", reason="connection closed")
    s.wait(2)


def announced_with_offline_status(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes(by="fault", code=None)
    dashboard.told("a1", status="OFFLINE")
    dashboard.told_gone("a1")
    s.wait(2)


def given_up_while_it_speaks_on(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told_gone("a1", reason="heartbeat_timeout")
    agent.sends("PING", {"timestamp": 1})
    agent.closes(by="backend", code=1008)
    agent.sends("PING", {"timestamp": 1})
    s.wait(2)


def deleted_after(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    s.rest("DELETE", "/agents/a1", 204)
    dashboard.told_gone("a1", reason="deleted")
    s.wait(2)


def told_after_its_deletion_was_answered(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes(by="fault", code=None)
    s.rest("DELETE", "/agents/a1", 204)
    dashboard.told_gone("a1", reason="connection lost")
    dashboard.told_gone("a1", reason="deleted")
    s.wait(2)


def told_when_it_was_deleted_long_after(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    s.wait(2)
    s.rest("DELETE", "/agents/a1", 204)
    dashboard.told_gone("a1", reason="deleted")
    s.wait(2)


def told_late_of_the_loss_before(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.closes()
    s.agent("a1").closes()
    dashboard.told_gone("a1")
    dashboard.told("a1")
    dashboard.told_gone("a1")
    s.wait(2)


def back_but_gone_before_its_ack(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    again = s.socket("agent")
    again.sends("AGENT_CONNECT", {"agentId": "a1"})
    dashboard.told("a1")
    again.closes()
    dashboard.told_gone("a1")
    s.wait(2)


def never(s: Scene) -> None:
    s.dashboard()
    s.agent("a1").closes()
    s.wait(2)


def twice(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1")
    dashboard.told_gone("a1")
    s.wait(2)


def late(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    s.wait(1.8)
    dashboard.told_gone("a1")


def without_timestamp(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.closes()
    dashboard.told_gone("a1", timestamp=...)
    s.wait(2)


async def agent_leaves(world: World) -> None:
    """An agent closes its socket cleanly while a dashboard watches."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    await user.rest.get(f"/agents/{agent.id}")
    await world.quiet()


async def agent_leaves_returns_and_leaves(world: World) -> None:
    """An agent goes away, comes back as a newer version that can do less, and goes away again."""
    user = world.user()
    dashboard, agent = await user.dashboard(), user.new_agent()
    plain = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": False}
    first = {"version": "1.0.0"}
    announcements: tuple[dict[str, Any], ...] = (first, {"version": "2.0.0", "capabilities": plain})
    for number, announce in enumerate(announcements, 1):
        sent = await agent.connect(channel="agent", envelope=None, **announce)
        await dashboard.sees("AGENT_STATUS", agent, since=sent.seq)
        beat = await agent.heartbeat(commandsProcessed=number)
        await dashboard.sees_beat(agent, beat)
        await user.rest.shows(agent.id, status="ONLINE", beat=beat)
        before = await agent.leave(GOING_AWAY)
        await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
        await user.rest.shows(agent.id, status="OFFLINE")


async def agent_crashes(world: World) -> None:
    """An agent's connection breaks without a handshake while two dashboards watch."""
    user = world.user()
    first, second = await user.dashboard(), await user.dashboard()
    agent = await user.agent()
    await agent.heartbeat()
    before = await agent.crash()
    await first.sees("AGENT_DISCONNECT", agent, since=before)
    await second.sees("AGENT_DISCONNECT", agent, since=before)
    await second.link.until(  # what must not come: a second announcement, a late sign of life
        since=world.recorder.last,
        within=LOOK_ON,
        expected=False,
        where=lambda f: reading.agent_id(f.payload) == agent.id and reading.status(f.payload) != "OFFLINE",
    )
    await world.quiet()


RULE = Rule(
    id="disconnect.announced-once",
    clauses=("DIS-1",),
    judges="Each end of an agent's socket is followed by exactly one AGENT_DISCONNECT, in time and in shape.",
    when=when,
    check=check,
    good=(
        announced,
        announced_with_offline_status,
        given_up_while_it_speaks_on,
        deleted_after,
        told_after_its_deletion_was_answered,
        told_late_of_the_loss_before,
        back_but_gone_before_its_ack,
    ),
    bad=(never, twice, late, without_timestamp, told_when_it_was_deleted_long_after),
    cases=(agent_leaves, agent_leaves_returns_and_leaves, agent_crashes),
)
