"""The list of reports: filtered as asked (RPT-2), the user's own only (ISO-2); its order and pages: `list_pages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.report_views import lists, makers, said_last
from conformance.rest_views import number
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import FIRST, SECOND, cast, report, reports
from conformance.stream_scene import lists as shows_list
from conformance.stream_views import same_value, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

LIMIT = 50


class Listed(NamedTuple):
    """A list of reports."""

    where: Exchange
    rows: list[dict[str, Any]]

    @property
    def is_whole(self) -> bool:
        """Whether it holds all that fit."""
        return not number(self.where, "offset", 0) and len(self.rows) < number(self.where, "limit", LIMIT)


def listed(t: Timeline) -> Iterator[Listed]:
    """Each list."""
    return (Listed(e, rows) for e, rows in lists(t))


def as_asked(one: Listed, t: Timeline) -> Iterator[Finding]:
    """What fits the filters, all of it as far as it is known, with the total."""
    e, rows = one
    for index, found in enumerate(rows):
        for name in ("agentId", "status"):
            asked = e.query.get(name)
            if asked is not None and str(found.get(name)).upper() != asked.upper():
                says = f"a list of reports by {name} holds others"
                yield Finding(says, e, f"/data/{index}/{name}", asked, found.get(name, "nothing"))
    if one.is_whole:
        yield from _complete(one, t)


def _complete(one: Listed, t: Timeline) -> Iterator[Finding]:
    e, rows = one
    there = {reading.same_id(r.get("id")): r for r in rows}
    for name, maker in makers(t).items():
        last = said_last(name, e, t)
        if last is None or maker.agent.user != e.user:
            continue
        about = {"agentId": maker.agent.agent_id or "", "status": last.payload["status"]}
        if name not in there and all(about[k].upper() == e.query[k].upper() for k in about if k in e.query):
            says = "a report is missing from the list that it belongs to"
            yield Finding(says, e, "/data", f"a row {name}", "none", (last.sent, *last.said.answers))
        elif name in there and not same_value(there[name].get("title"), last.payload["title"]):
            index = rows.index(there[name])
            says = "a report is listed under another title than the agent said last"
            expected, got = shown(last.payload["title"]), shown(there[name].get("title"))
            yield Finding(says, e, f"/data/{index}/title", expected, got, (last.sent,))
    pages = e.value.get("pagination") if isinstance(e.value, dict) else None
    total = pages.get("total") if isinstance(pages, dict) else None
    if "agentId" in e.query and total != len(rows):  # of all reports there may be more in the next moment
        says = "the total of reports is not the number of those that fit"
        yield Finding(says, e, "/pagination/total", str(len(rows)), total)


class Strange(NamedTuple):
    """A list, for a user beside whom another user has reports."""

    where: Exchange
    rows: list[dict[str, Any]]


def beside_others(t: Timeline) -> Iterator[Strange]:
    """Each list of reports while another user had one."""
    for e, rows in lists(t):
        if any(m.agent.user != e.user and m.sent.at < e.at for m in makers(t).values()):
            yield Strange(e, rows)


def own_only(one: Strange, t: Timeline) -> Iterator[Finding]:
    """None of them."""
    for index, found in enumerate(one.rows):
        maker = makers(t).get(reading.same_id(found.get("id")))
        if maker is not None and maker.agent.user != one.where.user:
            says = "a user's list holds the report of another user"
            yield Finding(says, one.where, f"/data/{index}", "only the user's own", found.get("id"), (maker.sent,))


def _two(s: Scene) -> list[dict[str, Any]]:
    agent = cast(s)[1]
    older = report(reports(agent, FIRST, status="COMPLETE"))
    newer = report(reports(agent, SECOND, title="Newer"), createdAt="2025-10-09T08:00:05Z")
    return [newer, older]


MINE = {"agentId": "a1"}


def all_ways(s: Scene) -> None:
    rows = _two(s)
    shows_list(s, "/reports", *rows, report(reports(s.agent("a2"), SECOND[::-1], code="NOT_FOUND"), id="old"))
    shows_list(s, "/reports", *rows, query=MINE)
    shows_list(s, "/reports", rows[1], query=MINE | {"status": "complete"})
    shows_list(s, "/reports", rows[1], query=MINE | {"limit": "1", "offset": "1"}, total=2)


def filter_ignored(s: Scene) -> None:
    shows_list(s, "/reports", *_two(s), query={"status": "DRAFT"})


def one_missing(s: Scene) -> None:
    shows_list(s, "/reports", *_two(s)[:1])


def wrong_total(s: Scene) -> None:
    shows_list(s, "/reports", *_two(s), total=7, query=MINE)


def bobs_own(s: Scene) -> None:
    _two(s)
    shows_list(s, "/reports", report(reports(s.agent("b1", user="bob"), SECOND[::-1])), user="bob")


def bobs_and_alices(s: Scene) -> None:
    shows_list(s, "/reports", *_two(s), user="bob")


@provocation(needs="commands")
async def read_reports(world: World) -> None:
    """Two agents make three reports, listed by agent and status."""
    user = world.user()
    dashboard = await user.dashboard()
    agents = [await user.agent() for _ in range(2)]
    running = [await dashboard.request(agent) for agent in agents]
    for agent, command in zip(agents, running, strict=True):
        await agent.takes(command)
    for number_, status in enumerate(("DRAFT", "COMPLETE")):
        await agents[0].reports(running[0], status=status, title=f"Report number {number_}: *the* build")
    await agents[1].reports(running[1], status="COMPLETE")
    mine = {"agentId": agents[0].id}
    for query in (
        {},
        mine,
        mine | {"status": "COMPLETE"},
        mine | {"status": "DRAFT"},
        mine | {"status": "IN_PROGRESS"},
    ):
        await user.rest.get("/reports", query=query)


@provocation(needs="commands second-user")
async def two_users_report(world: World) -> None:
    """Two users' agents make a report each; both users list theirs."""
    users = (world.user(), world.user(1))
    for user in users:
        dashboard, agent = await user.dashboard(), await user.agent()
        command = await dashboard.request(agent)
        await agent.takes(command)
        await agent.reports(command)
    for user in users:
        await user.rest.get("/reports")


RULES = (
    Rule(
        id="reports.listed",
        clauses=("RPT-2",),
        judges="GET /reports lists all reports that fit the filters and no other, with their total.",
        when=listed,
        check=as_asked,
        good=(all_ways,),
        bad=(filter_ignored, one_missing, wrong_total),
        cases=(read_reports,),
    ),
    Rule(
        id="reports.own-only",
        clauses=("ISO-2",),
        judges="A list of reports holds none of another user.",
        when=beside_others,
        check=own_only,
        good=(bobs_own,),
        bad=(bobs_and_alices,),
        cases=(two_users_report,),
    ),
)
