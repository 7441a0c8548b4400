"""The list of agents is sorted newest first (AGT-9)."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.rest_views import DEFAULT_LIMIT, ids, instant, lists
from conformance.rule import Finding, Rule, provocation
from conformance.views import deletions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.rest import Rest
    from conformance.world.world import World


def longer(t: Timeline) -> Iterator[Exchange]:
    """Lists of two agents or more."""
    return (e for e in lists(t) if len(ids(e)) > 1)


def newest_first(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """By `created_at`, the latest first; ties by agent_id."""
    shown = [row for row in reading.rows(e.value) or [] if isinstance(row, dict)]
    for index, (row, following) in enumerate(pairwise(shown)):
        at = f"/data/{index + 1}"
        first, second = instant(row.get("created_at")), instant(following.get("created_at"))
        if first is None or second is None:
            continue
        if second > first:
            says = "the list is not sorted newest first: the agent just started is not where people look for it"
            yield Finding(says, e, f"{at}/created_at", "created_at falling", following["created_at"])
            return
        if row["created_at"] == following["created_at"] and _tie_broken(t, row, following):
            says = "agents of the same moment are not sorted by agent_id: they change places between pages"
            yield Finding(says, e, f"{at}/agent_id", "agent_id rising among equals", reading.agent_id(following))
            return


def _tie_broken(t: Timeline, row: dict[str, Any], following: dict[str, Any]) -> bool:
    """Whether a tie is out of order, and not because the backend knows the times more exactly than it shows them.

    Databases sort texts by their signs, or as a dictionary does, by letters and digits first: both are right.
    """
    first, second = reading.agent_id(row) or "", reading.agent_id(following) or ""
    if first <= second or _word(first) <= _word(second):
        return False
    exact = re.search(r"\.\d{6}", row["created_at"]) is not None
    return exact or _born_before(t, first, second)


def _word(agent_id: str) -> str:
    """An id as a dictionary sorts it."""
    return "".join(filter(str.isalnum, agent_id)).casefold()


def _born_before(t: Timeline, first: str, second: str) -> bool:
    """Whether an agent was accepted before another was announced."""
    if deletions(t, first) or deletions(t, second):
        return False  # another agent of that id may have been born since
    mine = {name: [a for a in t.agents if a.agent_id == name and a.accepted and a.init] for name in (first, second)}
    if not mine[first] or not mine[second]:
        return False
    accepted, announced = mine[first][0].accepted, mine[second][0].init
    return accepted is not None and announced is not None and accepted.at < announced.at


def sorted_list(s: Scene) -> None:
    s.lists(s.row("b", created_at="2025-10-09T08:00:02Z"), s.row("a"), s.row("c"))
    s.lists(s.row("b", created_at="2025-10-09T10:00:01+02:00"), s.row("a", created_at="2025-10-09T08:00:00.5Z"))


def deleted_and_new(s: Scene) -> None:
    s.agent("b").closes()
    s.agent("a")
    s.rest("DELETE", "/agents/b", 204)
    s.agent("b")
    s.lists(s.row("b"), s.row("a"))


def shown_less_exactly_than_known(s: Scene) -> None:
    s.agent("a")
    s.agent("b")
    s.lists(s.row("b"), s.row("a"))


def sorted_as_in_a_dictionary(s: Scene) -> None:
    for name in ("cf.87.4", "cf.8.9"):
        s.agent(name)
    s.lists(s.row("cf.87.4"), s.row("cf.8.9"))


def oldest_first(s: Scene) -> None:
    s.lists(s.row("a"), s.row("b", created_at="2025-10-09T08:00:02Z"))


def ties_falling(s: Scene) -> None:
    s.lists(*(s.row(i, created_at="2025-10-09T08:00:00.123456Z") for i in ("b", "a")))


def ties_as_they_came(s: Scene) -> None:
    s.agent("b")
    s.agent("a")
    s.lists(s.row("b"), s.row("a"))


async def _looked_at(rest: Rest, query: dict[str, str] | None) -> None:
    """A page, until it was seen twice between equal tops of the list."""
    top = {"limit": "100", "offset": "0"}
    before, steady = ids(await rest.get("/agents", query=top)), 0
    for _ in range(12):
        await rest.get("/agents", query=query)
        after = ids(await rest.get("/agents", query=top))
        steady, before = steady + (before == after), after
        if steady > 1:
            break


@provocation(alone=True, budget=60.0)
async def page_by_page(world: World) -> None:
    """More agents than a page holds by default; pages of several sizes, past the end, and the default page."""
    user = world.user()
    agents = [user.new_agent() for _ in range(DEFAULT_LIMIT + 3)]
    for start in range(0, len(agents), 9):
        some = agents[start : start + 9]
        await asyncio.gather(*(agent.connect() for agent in some))
        await asyncio.gather(*(agent.leave() for agent in some))
    pages = [{"limit": str(n), "offset": str(o)} for n, o in ((3, 0), (3, 3), (1, 6), (7, 2), (20, 45), (5, 1_000_000))]
    for query in (*pages, None):
        await _looked_at(user.rest, query)
    await asyncio.gather(*(user.rest.delete(f"/agents/{agent.id}") for agent in agents))


RULE = Rule(
    id="agents.newest-first",
    clauses=("AGT-9",),
    judges="The list is sorted by created_at, the newest first, and by agent_id among equals.",
    when=longer,
    check=newest_first,
    good=(sorted_list, deleted_and_new, shown_less_exactly_than_known, sorted_as_in_a_dictionary),
    bad=(oldest_first, ties_falling, ties_as_they_came),
    cases=(page_by_page,),
)
