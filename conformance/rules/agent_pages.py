"""Pages of the list of agents fit together, and its total counts all (AGT-9, and totals in AGT-13 and ISO-2)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from conformance.rest_views import DEFAULT_LIMIT, ids, lists, number
from conformance.rule import Finding, Rule
from conformance.rules.agent_order import page_by_page
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline


LARGEST = 100


class Page(NamedTuple):
    """A page, and all agents as two full readings before and after it agree on them."""

    e: Exchange
    everything: tuple[str, ...]
    before: Exchange
    after: Exchange


def sweeps(t: Timeline) -> list[tuple[list[Exchange], list[Exchange]]]:
    """Full readings of the unfiltered list, page after page, each with the lists between it and the next one."""
    found: list[tuple[list[Exchange], list[Exchange]]] = []
    pages: list[Exchange] = []
    for e in lists(t):
        if e.query.keys() - {"limit", "offset"}:
            continue
        limit, offset = number(e, "limit", DEFAULT_LIMIT), number(e, "offset", 0)
        if limit != LARGEST or offset != LARGEST * len(pages) or (pages and pages[0].user != e.user):
            pages = []
            if found:
                found[-1][1].append(e)
            continue
        pages.append(e)
        if len(ids(e)) < LARGEST:
            found.append((pages, []))
            pages = []
    return found


def pages_of(t: Timeline) -> Iterator[Page]:
    """Each page read between two equal full readings of the list, and any page longer than its limit."""
    for e in lists(t):
        if len(ids(e)) > number(e, "limit", DEFAULT_LIMIT):
            yield Page(e, ("",) * number(e, "offset", 0) + tuple(ids(e)), e, e)
    readings = sweeps(t)
    for (first, between), (last, _) in pairwise(readings):
        everything = tuple(i for page in first for i in ids(page))
        afterwards = tuple(i for page in last for i in ids(page))
        if set(everything) == set(afterwards) and first[0].user == last[0].user:
            for e in (*(between if len(between) > 1 else ()),):
                if e.user == first[0].user:
                    yield Page(e, everything, first[0], last[0])


def paged(page: Page, _t: Timeline) -> Iterator[Finding]:
    """Exactly the rows that `limit` and `offset` cut out of the whole."""
    e, everything, before, after = page
    limit, offset = number(e, "limit", DEFAULT_LIMIT), number(e, "offset", 0)
    wanted = list(everything[offset : offset + limit])
    got = ids(e)
    expected = "the rows that limit and offset cut out of the whole list"
    if len(got) != len(wanted):
        says = "limit or offset is not applied: pages repeat or lose agents"
        yield Finding(
            says, e, "/data", expected, f"{len(got)} rows for limit {limit}, offset {offset}", (before, after)
        )
    elif got != wanted:
        says = (
            "a page shows other agents than the whole list at that place: going through the pages repeats or loses some"
        )
        yield Finding(says, e, "/data", expected, f"{got[:5]} for limit {limit}, offset {offset}", (before, after))


def whole(s: Scene, *names: str) -> Exchange:
    """A full reading of the list."""
    return s.lists(*(s.row(n) for n in names), query={"limit": "100", "offset": "0"})


def page(s: Scene, limit: int, offset: int, *names: str, total: int = 3) -> Exchange:
    """One page."""
    return s.lists(*(s.row(n) for n in names), total=total, query={"limit": str(limit), "offset": str(offset)})


def pages_fit(s: Scene) -> None:
    whole(s, "a", "b", "c")
    page(s, 2, 0, "a", "b")
    page(s, 2, 2, "c")
    page(s, 2, 9)
    whole(s, "a", "b", "c")


def limit_ignored(s: Scene) -> None:
    whole(s, "a", "b", "c")
    page(s, 2, 0, "a", "b", "c")
    page(s, 2, 2, "a", "b", "c")
    whole(s, "a", "b", "c")


def offset_ignored(s: Scene) -> None:
    whole(s, "a", "b", "c")
    page(s, 1, 0, "a")
    page(s, 1, 2, "a")
    whole(s, "a", "b", "c")


def offset_counts_pages(s: Scene) -> None:
    whole(s, "a", "b", "c")
    page(s, 1, 0, "a")
    page(s, 2, 1, "c")
    whole(s, "a", "b", "c")


class Count(NamedTuple):
    """The same answer twice, so that no change came between its rows and its total; and how many there are."""

    e: Exchange
    matches: int
    before: Exchange


def counts(t: Timeline) -> Iterator[Count]:
    """Lists asked for twice with the same answer, of which it is known how many match."""
    seen = list(lists(t))
    pages = {p.e.seq: len(p.everything) for p in pages_of(t)}
    for before, e in pairwise(seen):
        alike = (
            before.user == e.user
            and dict(before.query) == dict(e.query)
            and ids(before) == ids(e)
            and _total(before) == _total(e)
        )
        offset, limit = number(e, "offset", 0), number(e, "limit", DEFAULT_LIMIT)
        if not alike:
            continue
        if e.seq in pages:
            yield Count(e, pages[e.seq], before)
        elif offset == 0 and len(ids(e)) < limit:
            yield Count(e, len(ids(e)), before)


def _total(e: Exchange) -> object:
    pagination = e.value.get("pagination") if isinstance(e.value, dict) else None
    return pagination.get("total", MISSING) if isinstance(pagination, dict) else MISSING


def counted(count: Count, t: Timeline) -> Iterator[Finding]:
    """`pagination.total` is the number of all matches."""
    total = _total(count.e)
    if total == count.matches and not isinstance(total, bool):
        return
    clauses: tuple[str, ...] = ("AGT-13",) if count.e.query.keys() & {"type", "status"} else ("AGT-9", "ENV-1")
    if total is MISSING:
        says = "the list has no pagination.total: clients cannot tell how many pages there are"
        clauses = clauses[:1]
    elif isinstance(total, int) and total > count.matches:
        says = (
            "pagination.total counts more than the user's matching agents: pages that do not exist, or others' agents"
        )
        if any(owner != count.e.user for owner in t.owners.values()):
            clauses = (*clauses, "ISO-2")
    else:
        says = "pagination.total is not the number of all matches: clients never ask for the next page"
    got = "nothing" if total is MISSING else total
    yield Finding(says, count.e, "/pagination/total", f"{count.matches}", got, (count.before,), clauses=clauses)


def true_totals(s: Scene) -> None:
    pages_fit(s)
    whole(s, "a", "b", "c")
    page(s, 2, 0, "a", "b")
    page(s, 2, 0, "a", "b")
    whole(s, "a", "b", "c")


def total_of_the_page(s: Scene) -> None:
    whole(s, "a", "b", "c")
    page(s, 2, 0, "a", "b", total=2)
    page(s, 2, 0, "a", "b", total=2)
    whole(s, "a", "b", "c")


def total_of_all_users(s: Scene) -> None:
    for _ in range(2):
        s.lists(s.row("a"), total=7, query={"limit": "100"})


def without_total(s: Scene) -> None:
    for _ in range(2):
        s.rest("GET", "/agents", 200, {"success": True, "data": []}, query={"limit": "100"})


RULES = (
    Rule(
        id="agents.pages-fit-together",
        clauses=("AGT-9",),
        judges="Each page shows exactly the rows that limit and offset cut out of the whole list.",
        when=pages_of,
        check=paged,
        good=(pages_fit,),
        bad=(limit_ignored, offset_ignored, offset_counts_pages),
        cases=(page_by_page,),
    ),
    Rule(
        id="agents.total-counts-all",
        clauses=("AGT-9", "ENV-1", "AGT-13"),
        judges="pagination.total is the number of all agents that match, not of those on the page.",
        when=counts,
        check=counted,
        good=(true_totals,),
        bad=(total_of_the_page, total_of_all_users, without_total),
        cases=(page_by_page,),
    ),
)
