"""A connected agent that is shown ONLINE stays so: no flicker (STA-5)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.rules.event_order import AT_ONCE, heard_beat, one_each
from conformance.rules.silence import interval_of
from conformance.views import still_to_be_told, watchers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

GIVEN_UP = 1008
"""The code that says no more than that the backend no longer wants the connection: no cause of its own."""


class Life(NamedTuple):
    """One connection of an agent, and what a dashboard was told while it lasted and nothing else happened to it."""

    agent: Connection
    dashboard: Connection
    told: list[Frame]


def lives(t: Timeline) -> Iterator[Life]:
    """Each connection of an agent that was told of at least once, for each dashboard that saw it begin."""
    for agent in t.agents:
        if agent.accepted is None or agent.init is None:
            continue
        for dashboard in watchers(t, agent.user, agent.init):
            begins = _begins(t, agent, dashboard)
            told = dashboard.about(agent.agent_id or "", "AGENT_STATUS", "AGENT_DISCONNECT", after=begins)
            during = [f for f in told if f.at < _surely_alive_until(agent)]
            live = [i for i, f in enumerate(during) if reading.status(f.payload) == "ONLINE"]
            if live:
                yield Life(agent, dashboard, during[live[0] :])


def _begins(t: Timeline, agent: Connection, dashboard: Connection) -> int:
    """The `seq` from which what a dashboard is told is about this connection.

    That is its AGENT_CONNECT, for dashboards may hear before the agent has its ACK; but only its ACK where an earlier
    end may still be on its way, and only what is told of that end where the agent is shown as back in time after it.
    Where it never is, though it stays, the end was told after the return: what came later came first.
    """
    assert agent.init is not None  # noqa: S101 - see lives
    assert agent.accepted is not None  # noqa: S101
    if not (earlier := still_to_be_told(t, dashboard, agent.agent_id, agent.init.at)):
        return agent.init.seq
    gone = dashboard.about(agent.agent_id or "", "AGENT_DISCONNECT", after=agent.init.seq)[:earlier]
    told = dashboard.about(agent.agent_id or "", "AGENT_STATUS", after=gone[-1].seq) if gone else []
    due = t.bound(agent.init.at, AT_ONCE)
    is_back = any(reading.status(f.payload) == "ONLINE" and f.at <= due for f in told)
    if is_back:
        return gone[-1].seq
    stays = min(_surely_alive_until(agent), dashboard.until) > due
    return agent.init.seq if gone and stays else agent.accepted.seq


def _surely_alive_until(agent: Connection) -> float:
    """When a backend ends a socket, dashboards may be told before the agent's side sees its end."""
    if agent.closed is None or agent.closed.by != "backend":
        return agent.until
    return agent.until + 1.0 if agent.closed.code == GIVEN_UP else agent.until - 1.0


def steady(life: Life, t: Timeline) -> Iterator[Finding]:
    """Once shown ONLINE it is not shown as gone while its connection lives and beats in time."""
    failed = any(f.type == "AGENT_ERROR" for f in life.agent.sent)
    beats = [f.at for f in life.agent.sent if f.type in {"AGENT_CONNECT", "AGENT_HEARTBEAT"}]
    for frame in life.told:
        gone = frame.kind == "AGENT_DISCONNECT" or reading.status(frame.payload) == "OFFLINE"
        silence = frame.at - max((at for at in beats if at < frame.at), default=life.agent.opened.at)
        if gone and not failed and silence < interval_of(life.agent, t):
            says = "a connected agent was shown as gone for a moment, without a cause"
            yield Finding(
                says,
                frame,
                "",
                "ONLINE while its socket lives",
                frame.payload.get("status", frame.type),
                (life.agent.opened,),
            )


@contextmanager
def _connecting(s: Scene) -> Iterator[None]:
    """Between an AGENT_CONNECT of a1 and its answer."""
    agent = s.socket("agent")
    payload = {"agentId": "a1", "agentType": "CLAUDE", "version": "1", "hostMachine": "h"}
    sent = agent.sends("AGENT_CONNECT", payload | {"name": "Ada", "capabilities": {}})
    yield
    agent.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "a1"})


def cut_by_the_backend(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    s.wait(2)
    dashboard.told("a1", status="OFFLINE")
    dashboard.told_gone("a1")
    agent.closes(by="backend", code=1009)


def told_late_of_the_loss_before(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    agent.heartbeats()
    agent.closes()
    s.agent("a1")
    dashboard.told("a1", metrics=s.metrics)
    dashboard.told_gone("a1")
    dashboard.told("a1", metrics=s.metrics)
    s.wait(1)


def beating_yet_given_up(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    for number in range(4):
        heard_beat(s, dashboard, agent, number)
        s.wait(25)
    dashboard.told_gone("a1")
    s.wait(2)
    agent.closes()


def lost_again_after_a_deletion(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1").closes()
    dashboard.told_gone("a1")
    s.rest("DELETE", "/agents/a1", 204)
    dashboard.told_gone("a1", reason="deleted")
    agent = s.agent("a1")
    dashboard.told("a1")
    agent.closes(by="fault", code=None)
    with _connecting(s):
        dashboard.told("a1", queuedCommands=1)
        dashboard.told_gone("a1")
        dashboard.told("a1")
    s.wait(2)


def deleted_as_it_comes_back(s: Scene) -> None:
    dashboard = s.dashboard()
    s.agent("a1").closes()
    dashboard.told_gone("a1")
    asked = s.seconds
    with _connecting(s):
        dashboard.told("a1")
    s.rest("DELETE", "/agents/a1", 204, at=asked)
    dashboard.told_gone("a1", reason="deleted")
    s.wait(2)


def flicker_before_the_answer(s: Scene) -> None:
    dashboard = s.dashboard()
    with _connecting(s):
        for status in ("ONLINE", "OFFLINE", "ONLINE"):
            dashboard.told("a1", status=status)
    s.wait(2)


def flicker(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.told("a1")
    dashboard.told("a1", status="OFFLINE")
    dashboard.told("a1")
    s.wait(1)
    agent.closes()


async def reconnects(world: World) -> None:
    """An agent leaves and comes back twice while a dashboard watches."""
    user = world.user()
    dashboard, agent = await user.dashboard(), user.new_agent()
    for _ in range(3):
        sent = await agent.connect()
        await dashboard.sees("AGENT_STATUS", agent, since=sent.seq)
        await world.quiet()
        before = await agent.leave()
        await dashboard.sees("AGENT_DISCONNECT", agent, since=before)


RULES = (
    Rule(
        id="events.no-flicker",
        clauses=("STA-5",),
        judges="A connected agent that was shown ONLINE is not shown as gone while its socket lives.",
        when=lives,
        check=steady,
        good=(one_each, cut_by_the_backend, lost_again_after_a_deletion, told_late_of_the_loss_before),
        bad=(deleted_as_it_comes_back, flicker_before_the_answer, flicker, beating_yet_given_up),
        cases=(reconnects,),
    ),
)
