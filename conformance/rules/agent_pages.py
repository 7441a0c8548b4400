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


class Look(NamedTuple):
    """One answer with a page, between two equal answers with the top of the list."""

    e: Exchange
    top: list[str]
    around: tuple[Exchange, Exchange]


class Page(NamedTuple):
    """A page, looked at twice or more while others may have come and gone: only what every look shows is a fault."""

    limit: int
    offset: int
    looks: tuple[Look, ...]


def unfiltered(t: Timeline, user: str) -> list[Exchange]:
    """A user's lists of all agents."""
    return [e for e in lists(t) if e.user == user and e.query.keys() <= {"limit", "offset"}]


def looks(t: Timeline, user: str) -> Iterator[Look]:
    """Each page with an equal top of the list before and after it, as far down as the top shows what belongs there."""
    seen = unfiltered(t, user)
    tops = [e for e in seen if number(e, "limit", DEFAULT_LIMIT) == LARGEST and number(e, "offset", 0) == 0]
    for e in seen:
        before = [top for top in tops if top.ended <= e.at][-1:]
        after = [top for top in tops if top.at >= e.ended][:1]
        if e in tops or not before or not after or ids(before[0]) != ids(after[0]):
            continue
        top = ids(before[0])
        if len(top) < LARGEST or number(e, "offset", 0) + number(e, "limit", DEFAULT_LIMIT) <= LARGEST:
            yield Look(e, top, (before[0], after[0]))


def pages_of(t: Timeline) -> Iterator[Page]:
    """Each page that was looked at twice or more between equal tops of the list, and any page longer than its limit."""
    for e in lists(t):
        limit, offset = number(e, "limit", DEFAULT_LIMIT), number(e, "offset", 0)
        if len(ids(e)) > limit:
            yield Page(limit, offset, (Look(e, ["?"] * offset + ids(e), (e, e)),))
    for user in {e.user for e in lists(t)}:
        found: dict[tuple[int, int], list[Look]] = {}
        for look in looks(t, user):
            key = (number(look.e, "limit", DEFAULT_LIMIT), number(look.e, "offset", 0))
            found.setdefault(key, []).append(look)
        yield from (Page(*key, tuple(all_looks)) for key, all_looks in found.items() if len(all_looks) > 1)


def paged(page: Page, _t: Timeline) -> Iterator[Finding]:
    """Exactly the rows that `limit` and `offset` cut out of the whole."""
    cuts = [(look, look.top[page.offset : page.offset + page.limit], ids(look.e)) for look in page.looks]
    if any(wanted == got for _, wanted, got in cuts):
        return
    look, wanted, got = cuts[0]
    asked = f"limit {page.limit}, offset {page.offset}"
    clauses: tuple[str, ...] = ("AGT-9", "ENV-1") if _says_less(look.e, len(got)) else ("AGT-9",)
    says, shown = "a page shows other agents than the list does at that place: pages repeat or lose some", f"{got[:5]}"
    if len(wanted) != len(got):
        says, shown = "limit or offset is not applied: pages repeat or lose agents", f"{len(got)} rows"
    wanted_rows = "the rows that limit and offset cut out"
    yield Finding(says, look.e, "/data", wanted_rows, f"{shown} for {asked}", look.around, clauses=clauses)


def _says_less(e: Exchange, rows: int) -> bool:
    """Whether the envelope itself is false: its pagination names a limit below the number of rows beside it."""
    page = e.value.get("pagination") if isinstance(e.value, dict) else None
    limit = page.get("limit") if isinstance(page, dict) else None
    return isinstance(limit, int) and limit < rows


def whole(s: Scene, *names: str) -> Exchange:
    """The top of the list."""
    return s.lists(*(s.row(n) for n in names), query={"limit": "100", "offset": "0"})


def page(s: Scene, limit: int, offset: int, *names: str, total: int = 3) -> None:
    """A page of a list of three, looked at twice."""
    whole(s, "a", "b", "c")
    for _ in range(2):
        s.lists(*(s.row(n) for n in names), total=total, query={"limit": str(limit), "offset": str(offset)})
        whole(s, "a", "b", "c")


def pages_fit(s: Scene) -> None:
    page(s, 2, 0, "a", "b")
    page(s, 2, 2, "c")
    page(s, 2, 9)


def somebody_else_came_and_went(s: Scene) -> None:
    page(s, 2, 0, "a", "b")
    s.lists(s.row("x"), s.row("a"), total=4, query={"limit": "2", "offset": "0"})
    whole(s, "a", "b", "c")


def limit_ignored(s: Scene) -> None:
    page(s, 2, 0, "a", "b", "c")


def offset_ignored(s: Scene) -> None:
    page(s, 1, 2, "a")


def offset_counts_pages(s: Scene) -> None:
    page(s, 2, 1, "c")


class Count(NamedTuple):
    """Answers to the same question, each with how many agents match: only what every one shows is a fault."""

    answers: tuple[tuple[Exchange, int], ...]


def counts(t: Timeline) -> Iterator[Count]:
    """Pages looked at twice or more, and whole lists given twice alike."""
    for found in pages_of(t):
        known = [(look.e, _matches(look)) for look in found.looks if len(found.looks) > 1]
        if known:
            yield Count(tuple(known))
    for before, e in pairwise(lists(t)):
        alike = before.user == e.user and dict(before.query) == dict(e.query) and ids(before) == ids(e)
        whole_list = number(e, "offset", 0) == 0 and len(ids(e)) < number(e, "limit", DEFAULT_LIMIT)
        if alike and whole_list and _total(before) == _total(e):
            yield Count(((before, len(ids(e))), (e, len(ids(e)))))


def _matches(look: Look) -> int:
    """How many agents there are: as many as the top shows, or if that is full, as many as it says."""
    total = _total(look.around[0])
    if len(look.top) < LARGEST or not isinstance(total, int) or total < LARGEST or total != _total(look.around[1]):
        return len(look.top)
    return total


def _total(e: Exchange) -> object:
    pagination = e.value.get("pagination") if isinstance(e.value, dict) else None
    return pagination.get("total", MISSING) if isinstance(pagination, dict) else MISSING


def _is_true(total: object, matches: int) -> bool:
    if isinstance(total, bool) or not isinstance(total, int):
        return False
    return total == matches or (matches == LARGEST and total > matches)


def counted(count: Count, t: Timeline) -> Iterator[Finding]:
    """`pagination.total` is the number of all matches."""
    if any(_is_true(_total(e), matches) for e, matches in count.answers):
        return
    e, matches = count.answers[-1]
    if not isinstance(e.value, dict) or "data" not in e.value:
        return
    total = _total(e)
    clauses: tuple[str, ...] = ("AGT-13",) if e.query.keys() & {"type", "status"} else ("AGT-9", "ENV-1")
    says = "pagination.total is not the number of all matches: clients never ask for the next page"
    if total is MISSING:
        says, clauses = "the list has no pagination.total: clients cannot tell how many pages there are", clauses[:1]
    elif isinstance(total, int) and total > matches:
        says = (
            "pagination.total counts more than the user's matching agents: pages that are not there, or others' agents"
        )
        if any(owner != e.user for owner in t.owners.values()):
            clauses = (*clauses, "ISO-2")
    got = "nothing" if total is MISSING else total
    evidence = tuple(other for other, _ in count.answers[:-1])
    yield Finding(says, e, "/pagination/total", f"{matches}", got, evidence, clauses=clauses)


def true_totals(s: Scene) -> None:
    page(s, 2, 0, "a", "b")
    page(s, 2, 9)
    for _ in range(2):
        s.lists(query={"status": "error"})


def total_of_the_page(s: Scene) -> None:
    page(s, 2, 0, "a", "b", total=2)


def total_of_all_users(s: Scene) -> None:
    for _ in range(2):
        s.lists(s.row("a"), total=7, query={"limit": "100"})


def without_total(s: Scene) -> None:
    for _ in range(2):
        s.rest("GET", "/agents", 200, {"success": True, "data": []}, query={"limit": "100"})


RULES = (
    Rule(
        id="agents.pages-fit-together",
        clauses=("AGT-9", "ENV-1"),
        judges="Each page shows exactly the rows that limit and offset cut out of the whole list.",
        when=pages_of,
        check=paged,
        good=(pages_fit, somebody_else_came_and_went),
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
