"""The list of agents by type and status: exactly the matching ones, whatever the casing (AGT-13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.rest_views import DEFAULT_LIMIT, ids, lists, number, own_rows
from conformance.rule import Finding, Rule, provocation
from conformance.views import causes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World


class Filtered(NamedTuple):
    """A filtered list, and an agent that was seen to be the same before and after it."""

    e: Exchange
    agent_id: str
    row: dict[str, Any]
    evidence: tuple[Exchange, Exchange]

    @property
    def fits(self) -> bool:
        """Whether the agent belongs in the list."""
        pairs = {"type": reading.agent_type(self.row), "status": reading.status(self.row)}
        return all(pairs[name] == self.e.query[name].upper() for name in pairs.keys() & self.e.query.keys())


def filtered(t: Timeline) -> Iterator[Filtered]:
    """Filtered lists, for each agent of this timeline that a look before and one after show to be the same."""
    asked = [
        e
        for e in lists(t)
        if e.query.keys() & {"type", "status"} and e.query.keys() <= {"type", "status", "limit", "offset"}
    ]
    for agent_id, user in t.owners.items() if asked else ():
        looks = own_rows(t, agent_id, user, "getAgent")
        for e in (e for e in asked if e.user == user):
            before = [r for r in looks if r.where.ended <= e.at][-1:]
            after = [r for r in looks if r.where.at >= e.ended][:1]
            if not before or not after or reading.status(before[0].value) != reading.status(after[0].value):
                continue
            if reading.agent_type(before[0].value) != reading.agent_type(after[0].value):
                continue
            start, end = before[0].where.at, after[0].where.ended
            if any(start < c.at < end for c in causes(t, agent_id)):
                continue
            found = Filtered(e, agent_id, after[0].value, (before[0].where, after[0].where))
            all_there = number(e, "offset", 0) == 0 and len(ids(e)) < number(e, "limit", DEFAULT_LIMIT)
            if all_there or agent_id in ids(e) or not found.fits:
                yield found


def filter_judged(found: Filtered, _t: Timeline) -> Iterator[Finding]:
    """In the list if it matches, else not."""
    e, agent_id, _, evidence = found
    shown = ", ".join(f"{n}={v}" for n, v in e.query.items() if n in {"type", "status"})
    there = agent_id in ids(e)
    if found.fits and not there:
        says = "an agent that matches the filter is not in the list"
        yield Finding(says, e, "/data", "every agent that matches", f"not {agent_id}, asked for {shown}", evidence)
    elif there and not found.fits:
        says = "an agent that does not match the filter is in the list"
        yield Finding(says, e, "/data", "only agents that match", f"{agent_id}, asked for {shown}", evidence)


def filter_scene(s: Scene, query: dict[str, str], *names: str) -> None:
    """A list with this filter, while a1 is an ONLINE GEMINI."""
    s.agent("a1", agentType="GEMINI")
    s.shows(s.row("a1", agent_type="GEMINI"))
    s.lists(*(s.row(n, agent_type="GEMINI") for n in names), query=query | {"limit": "100"})
    s.shows(s.row("a1", agent_type="GEMINI"))


def filters_right(s: Scene) -> None:
    filter_scene(s, {"status": "online", "type": "Gemini"}, "a1")
    filter_scene(s, {"status": "online", "type": "CLAUDE"})


def casing_finds_nothing(s: Scene) -> None:
    filter_scene(s, {"status": "online"})


def filter_ignored(s: Scene) -> None:
    filter_scene(s, {"status": "OFFLINE"}, "a1")


def only_one_filter_applied(s: Scene) -> None:
    filter_scene(s, {"status": "ONLINE", "type": "CODEX"}, "a1")


@provocation(budget=20.0)
async def filters_in_every_casing(world: World) -> None:
    """A connected GEMINI and a departed CODEX, listed by status and type in several casings and together."""
    user = world.user()
    here, gone = await user.agent(agentType="GEMINI"), await user.agent(agentType="CODEX")
    await gone.leave()
    await user.rest.until(gone.id, lambda row: reading.status(row) == "OFFLINE")
    await world.quiet()
    statuses, types = ("ONLINE", "online", "OffLine"), ("GEMINI", "codex", "Custom")
    queries = [{"status": s} for s in statuses] + [{"type": k} for k in types]
    queries += [{"status": "online", "type": "gemini"}, {"status": "ONLINE", "type": "CODEX"}]
    for query in queries:
        for agent in (here, gone):
            await user.rest.get(f"/agents/{agent.id}")
        for _ in range(2):
            await user.rest.get("/agents", query={**query, "limit": "100"})
    for agent in (here, gone):
        await user.rest.get(f"/agents/{agent.id}")


RULES = (
    Rule(
        id="agents.filters",
        clauses=("AGT-13",),
        judges="A list by type or status holds exactly the matching agents, in whatever casing it is asked for.",
        when=filtered,
        check=filter_judged,
        good=(filters_right,),
        bad=(casing_finds_nothing, filter_ignored, only_one_filter_applied),
        cases=(filters_in_every_casing,),
    ),
)
