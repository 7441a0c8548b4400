"""Lists of presets, constraints, commands, reports and audit entries: newest first, in pages, with a true total.

Made from the OpenAPI document, for each clause; the list of agents and terminal output have rules of their own.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.contract import load_contract
from conformance.rest_views import instant, judged, number
from conformance.rule import Finding, Rule, provocation
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.contract import Operation
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

LISTS = ("listPresets", "listConstraints", "listCommands", "listReports", "listAuditLogs")
ROUNDS = 3


class Page(NamedTuple):
    """One answer with a page of a list."""

    e: Exchange
    limit: int
    offset: int
    rows: list[dict[str, Any]]
    total: object

    @property
    def ids(self) -> list[str]:
        """The ids of its rows."""
        return [str(row.get("id")) for row in self.rows]

    @property
    def filters(self) -> tuple[tuple[str, str], ...]:
        """What it was asked for beside limit and offset."""
        return tuple(sorted((k, v) for k, v in self.e.query.items() if k not in {"limit", "offset"}))


def pages(t: Timeline, operation: Operation) -> Iterator[Page]:
    """Every whole answer with a page of this list."""
    default = t.contract.shapes.schema(operation.query["limit"])["default"]
    for e in judged(t):
        value = e.value if isinstance(e.value, dict) else {}
        rows, told = value.get("data"), value.get("pagination")
        if e.operation != operation.id or e.status != OK or not isinstance(rows, list) or not isinstance(told, dict):
            continue
        found = [row for row in rows if isinstance(row, dict)]
        yield Page(e, number(e, "limit", default), number(e, "offset", 0), found, told.get("total"))


def _single(operation: Operation) -> Callable[[Timeline], Iterator[Page]]:
    return lambda t: pages(t, operation)


def in_order(page: Page, _t: Timeline) -> Iterator[Finding]:
    """No more than was asked for, newest first, nothing twice, and what was asked for told again."""
    e, told = page.e, page.e.value["pagination"]
    if len(page.rows) > page.limit:
        yield Finding("the page is longer than its limit", e, "/data", f"at most {page.limit} rows", len(page.rows))
    for name, asked in (("limit", page.limit), ("offset", page.offset)):
        if told.get(name) != asked:
            says = f"pagination.{name} is not what was asked for, or its default"
            yield Finding(says, e, f"/pagination/{name}", f"{asked}", told.get(name, "nothing"))
    if twice := next((i for i in page.ids if page.ids.count(i) > 1), None):
        yield Finding("one page shows a row twice", e, "/data", "each row once", twice)
    for index, (newer, older) in enumerate(pairwise(page.rows), 1):
        first, second = instant(newer.get("createdAt")), instant(older.get("createdAt"))
        if first and second and first < second:
            says = "the list is not sorted newest first"
            yield Finding(says, e, f"/data/{index}", "no newer row after an older one", older.get("createdAt"))
            return


class Looks(NamedTuple):
    """A page that was looked at again and again, each time between two equal looks at the top of the list.

    Others may have come and gone between: only what every look shows is a fault.
    """

    looks: tuple[tuple[Page, Page], ...]
    """A page, and the top of the list that stands before and after it."""


def _repeated(operation: Operation) -> Callable[[Timeline], Iterator[Looks]]:
    def when(t: Timeline) -> Iterator[Looks]:
        largest = t.contract.shapes.schema(operation.query["limit"])["maximum"]
        groups: dict[Any, list[tuple[Page, Page]]] = {}
        found = list(pages(t, operation))
        for page in found:
            same = [p for p in found if p.e.user == page.e.user and p.filters == page.filters]
            tops = [p for p in same if p.offset == 0 and p.limit == largest and len(p.rows) < largest]
            before = [p for p in tops if p.e.ended <= page.e.at][-1:]
            after = [p for p in tops if p.e.at >= page.e.ended][:1]
            if page not in tops and before and after and before[0].ids == after[0].ids:
                key = (page.e.user, page.filters, page.limit, page.offset)
                groups.setdefault(key, []).append((page, before[0]))
        yield from (Looks(tuple(looks)) for looks in groups.values() if len(looks) > 1)

    return when


def cut_rightly(clause: str, seen: Looks, _t: Timeline) -> Iterator[Finding]:
    """The rows that stand there in the whole list, and the number of all of it; only more than all is isolation's."""
    page, top = seen.looks[-1]
    if all(p.ids != t.ids[p.offset : p.offset + p.limit] for p, t in seen.looks):
        says = "limit and offset do not cut the list: pages repeat rows or lose them"
        right = top.ids[page.offset : page.offset + page.limit][:3]
        wanted = f"from row {page.offset} of the whole list, {page.limit} at most: {right or 'none'}"
        yield Finding(says, page.e, "/data", wanted, page.ids[:3] or "none", (top.e,), clauses=(clause,))
    if all(p.total != len(t.ids) for p, t in seen.looks):
        says = "pagination.total is not the number of all that match"
        more = isinstance(page.total, int) and page.total > len(top.ids)
        clauses = ("ISO-2" if more else clause,)  # whose are the others?
        yield Finding(says, page.e, "/pagination/total", f"{len(top.ids)}", page.total, (top.e,), clauses=clauses)


def _rows(*ages: int) -> list[dict[str, Any]]:
    return [{"id": f"r{age}", "createdAt": f"2025-10-09T08:00:{59 - age:02}Z"} for age in ages]


def _told(s: Scene, path: str, ages: tuple[int, ...], total: int, query: dict[str, str], **pagination: int) -> None:
    told = {"total": total, "limit": int(query["limit"]), "offset": int(query.get("offset", 0))} | pagination
    s.rest("GET", path, 200, {"success": True, "data": _rows(*ages), "pagination": told}, query=query)


def _examples(operation: Operation) -> dict[str, Any]:
    path, largest = operation.path, str(1000 if operation.id == "listAuditLogs" else 100)

    def paged(s: Scene, second: tuple[int, ...] = (2, 3), total: int = 4) -> None:
        for _ in range(2):
            _told(s, path, (1, 2, 3), 3, {"limit": largest})
            _told(s, path, second, total, {"limit": "2", "offset": "1"})
        _told(s, path, (1, 2, 3), 3, {"limit": largest})

    def cut_as_asked(s: Scene) -> None:
        paged(s, total=3)
        _told(s, path, (), 3, {"limit": "1", "offset": "9"})

    def one_came_between(s: Scene) -> None:
        paged(s, total=3)
        _told(s, path, (0, 1), 4, {"limit": "2", "offset": "1"})
        _told(s, path, (1, 2, 3), 3, {"limit": largest})

    def never_cut(s: Scene) -> None:
        paged(s, (1, 2), 3)

    def counts_the_page(s: Scene) -> None:
        paged(s, total=2)

    def counts_others_too(s: Scene) -> None:
        paged(s, total=40)

    def too_long(s: Scene) -> None:
        _told(s, path, (1, 2), 2, {"limit": "1"})

    def oldest_first(s: Scene) -> None:
        _told(s, path, (2, 1), 2, {"limit": "5"})

    def twice(s: Scene) -> None:
        _told(s, path, (1, 1), 2, {"limit": "5"})

    def limit_untold(s: Scene) -> None:
        _told(s, path, (1,), 1, {"limit": "5"}, limit=50)

    return {k: v for k, v in locals().items() if callable(v)}


@provocation(budget=60.0)
async def page_by_page(world: World) -> None:
    """Each list in pages of one and two, and past its end, each between two looks at the whole, three times over."""
    estates = [await world.estate() for _ in range(2)]
    rest, agent = estates[0].user.rest, estates[0].agent
    for name in ("Anna", "Bela", "Cleo"):
        await rest.patch(f"/agents/{agent.id}", {"name": name})
    operations = {o.id: o for o in world.site.operations}
    if "createCommand" in operations:
        for _ in range(3):
            await rest.post("/commands", estates[0].body(operations["createCommand"]))
    if "reportId" in estates[0].ids:
        for _ in range(2):
            await agent.reports(estates[0].ids["commandId"])
    await asyncio.gather(*(_walk(world, operations[name], agent.id) for name in LISTS if name in operations))


async def _walk(world: World, operation: Operation, agent_id: str) -> None:
    rest = world.user().rest
    largest = str(world.site.contract.shapes.schema(operation.query["limit"])["maximum"])
    about = {"agentId": agent_id} if "agentId" in operation.query else {}
    for _ in range(ROUNDS):
        for limit, offset in (("1", "0"), ("1", "1"), ("2", "1"), ("2", "500")):
            await rest.get(operation.path, query={**about, "limit": largest})
            await rest.get(operation.path, query={**about, "limit": limit, "offset": offset})
        await rest.get(operation.path, query={**about, "limit": largest})
    await rest.get(operation.path, query=about)


def _rules(operation: Operation) -> Iterator[Rule]:
    ex, kind = _examples(operation), operation.path.strip("/")
    yield Rule(
        id=f"{kind}.newest-first",
        clauses=(operation.clause,),
        judges=f"A page of {kind} is no longer than its limit, newest first, and says limit and offset.",
        when=_single(operation),
        check=in_order,
        good=(ex["cut_as_asked"],),
        bad=(ex["too_long"], ex["oldest_first"], ex["twice"], ex["limit_untold"]),
        cases=(page_by_page,),
    )
    yield Rule(
        id=f"{kind}.in-pages",
        clauses=(operation.clause, "ISO-2"),
        judges=f"Pages of {kind} are the parts of the whole list, and the total is the number of all of it.",
        when=_repeated(operation),
        check=partial(cut_rightly, operation.clause),
        good=(ex["cut_as_asked"], ex["one_came_between"]),
        bad=(ex["never_cut"], ex["counts_the_page"], ex["counts_others_too"]),
        cases=(page_by_page,),
    )


RULES = tuple(rule for name in LISTS for rule in _rules(load_contract().operations[name]))
