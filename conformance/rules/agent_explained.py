"""Whatever raced, some order of what changed an agent's name explains which names were shown (AGT-10, CNS-2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from conformance.explain import Act, maybe, unexplained
from conformance.rule import Finding, Rule
from conformance.timeline import Exchange
from conformance.views import OK, deletions, reads, unknown_connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.connection import Connection
    from conformance.explain import State
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

REFUSED = 4


class Story(NamedTuple):
    """An agent, and all that gave it a name or showed one."""

    agent: Connection
    acts: list[Act]


def stories(t: Timeline) -> Iterator[Story]:
    """Each agent that was given a name more than once, and shown afterwards."""
    for agent in {a.agent_id: a for a in t.agents}.values():
        given = [*_connects(t, agent), *_renames(t, agent)]
        shown = list(_shown(t, agent))
        if len(given) > 1 and shown:
            gone = [Act(e.at, e.ended, maybe(_to(None)), e) for e in deletions(t, agent.agent_id)]
            yield Story(agent, [*given, *gone, *shown])


def explained(story: Story, _t: Timeline) -> Iterator[Finding]:
    """There is an order."""
    act = unexplained(story.acts, None)
    if act is None:
        return
    shown = act.event if isinstance(act.event, Exchange) else story.agent.opened
    others = [a.event for a in story.acts if a.end <= act.end and a.event is not act.event]
    says = "no order of what named this agent explains the name that is shown: an update was lost or came back"
    yield Finding(says, shown, "/data/name", "the name it was given last", evidence=tuple(others[-6:]))


def _to(name: str | None) -> Callable[[State], list[State]]:
    """It has this name from now on; None stands for one that nobody knows."""
    return lambda _state: [name]


def _is(name: str) -> Callable[[State], list[State]]:
    """It has this name, if any is known."""
    return lambda state: [name] if state in {None, name} else []


def _connects(t: Timeline, agent: Connection) -> Iterator[Act]:
    for c in t.agents:
        for n, sent in enumerate(f for f in c.sent if f.type == "AGENT_CONNECT"):
            if c.agent_id != agent.agent_id or c.accepted is None:
                continue
            name = sent.payload.get("name") or None
            step = _to(name if isinstance(name, str) else None)
            certain = n == 0 and name is not None  # of another one on the same connection nothing is said (CON-1)
            yield Act(sent.at, c.accepted.at if certain else t.end, step if certain else maybe(step), sent)
    for c in unknown_connections(t, agent.agent_id):
        if c.init is not None:
            name = c.init.payload.get("name")
            yield Act(c.init.at, t.end, maybe(_to(name if isinstance(name, str) and name else None)), c.init)


def _renames(t: Timeline, agent: Connection) -> Iterator[Act]:
    for e in t.calls("renameAgent"):
        if e.path.endswith(f"/{agent.agent_id}") and e.user == agent.user and e.status // 100 != REFUSED:
            name = e.request.get("name") if isinstance(e.request, dict) else None
            if isinstance(name, str):
                yield Act(e.at, e.ended if e.status else t.end, _to(name) if e.status == OK else maybe(_to(name)), e)


def _shown(t: Timeline, agent: Connection) -> Iterator[Act]:
    for item in reads(t, agent):
        name, where = item.value.get("name"), item.where
        if isinstance(name, str) and isinstance(where, Exchange) and where.operation != "renameAgent":
            yield Act(where.at, where.ended, _is(name), where)


def renamed_between_heartbeats(s: Scene) -> None:
    agent = s.agent("a1")
    s.rest("PATCH", "/agents/a1", 200, {"success": True, "data": s.row("a1", name="Bea")}, request={"name": "Bea"})
    agent.heartbeats()
    s.shows(s.row("a1", name="Bea"))


def new_after_its_deletion(s: Scene) -> None:
    s.agent("a1").closes()
    s.rest("PATCH", "/agents/a1", 200, {"success": True, "data": s.row("a1", name="Bea")}, request={"name": "Bea"})
    s.rest("DELETE", "/agents/a1", 204)
    s.agent("a1", name="Cyd")
    s.shows(s.row("a1", name="Cyd"))


def named_anew_and_cut_off(s: Scene) -> None:
    s.agent("a1").closes()
    s.rest("PATCH", "/agents/a1", 200, {"success": True, "data": s.row("a1", name="Bea")}, request={"name": "Bea"})
    again = s.socket("agent")
    able = {"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": False}
    who = {"agentId": "a1", "name": "Ida", "agentType": "CLAUDE", "version": "1", "hostMachine": "h"}
    again.sends("AGENT_CONNECT", who | {"capabilities": able})
    again.closes(by="backend", code=None)
    s.shows(s.row("a1", name="Ida", status="OFFLINE"))


def renamed_after_the_line_broke(s: Scene) -> None:
    s.agent("a1")
    s.rest("PATCH", "/agents/a1", 0, request={"name": "Bea"}, failure="the connection broke")
    s.shows(s.row("a1"))
    s.shows(s.row("a1", name="Bea"))


def the_old_name_came_back(s: Scene) -> None:
    agent = s.agent("a1")
    s.rest("PATCH", "/agents/a1", 200, {"success": True, "data": s.row("a1", name="Bea")}, request={"name": "Bea"})
    s.shows(s.row("a1", name="Bea"))
    agent.heartbeats()
    s.shows(s.row("a1", name="Ada"))


async def renames_race(world: World) -> None:
    """An agent is renamed twice in the moment in which it sends a heartbeat, and once more; then it is read."""
    user = world.user()
    agent = await user.agent(name="First")
    names = [{"name": name} for name in ("Second", "Third")]
    await asyncio.gather(agent.heartbeat(), *(user.rest.patch(f"/agents/{agent.id}", name) for name in names))
    await user.rest.get(f"/agents/{agent.id}")
    await asyncio.gather(agent.heartbeat(cpuUsage=99), user.rest.patch(f"/agents/{agent.id}", {"name": "Last"}))
    await agent.heartbeat(cpuUsage=98)
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}")


RULE = Rule(
    id="agent.some-order-explains-its-name",
    clauses=("AGT-10", "CNS-2"),
    judges="The names that an agent is shown with are explained by some order of what gave it names.",
    when=stories,
    check=explained,
    good=(
        renamed_between_heartbeats,
        new_after_its_deletion,
        named_anew_and_cut_off,
        renamed_after_the_line_broke,
    ),
    bad=(the_old_name_came_back,),
    cases=(renames_race,),
)
