"""Reports over REST: listed, filtered and exported as JSON, Markdown and PDF (RPT-2), the user's own only (ISO-2)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_scene import ONE, asks, takes
from conformance.history_views import subject
from conformance.report_views import Reported, lists, makers, reported, said_last
from conformance.rest_views import instant, judged, number
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import FIRST, SECOND, report, reports
from conformance.stream_scene import lists as shows_list
from conformance.stream_views import same_value, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene, Socket
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

OK, BAD = 200, 400
LIMIT = 50
MEDIA = {"json": "application/json", "markdown": "text/markdown", "pdf": "application/pdf"}
TRAILER = 1024
"""PDF readers look for %%EOF in that many last bytes."""


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
    """What fits the filters, all of it as far as it is known, newest first, at most `limit`, with the total."""
    e, rows = one
    for index, found in enumerate(rows):
        for name in ("agentId", "status"):
            asked = e.query.get(name)
            if asked is not None and str(found.get(name)).upper() != asked.upper():
                says = f"a list of reports by {name} holds others"
                yield Finding(says, e, f"/data/{index}/{name}", asked, found.get(name, "nothing"))
    if one.is_whole:
        yield from _complete(one, t)
    for (first, second), index in zip(pairwise(rows), range(1, len(rows)), strict=False):
        older, newer = (instant(r.get("createdAt")) for r in (first, second))
        if older and newer and newer > older:
            says = "reports are not listed newest first"
            expected = f"not after {first['createdAt']}"
            yield Finding(says, e, f"/data/{index}/createdAt", expected, second["createdAt"])
            break
    if len(rows) > (most := number(e, "limit", LIMIT)):
        yield Finding("a list of reports is longer than its limit", e, "/data", f"at most {most}", len(rows))


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


class Page(NamedTuple):
    """A part of a list, and the whole of it, between which no report was sent."""

    part: Listed
    whole: Listed


def pages(t: Timeline) -> Iterator[Page]:
    """Each part of the reports of one agent, with their whole list."""
    found = [Listed(e, rows) for e, rows in lists(t) if "agentId" in e.query]
    for part in found:
        if not {"limit", "offset"} & set(part.where.query):
            continue
        bare = {k: v for k, v in part.where.query.items() if k not in {"limit", "offset"}}
        for whole in found:
            same = whole.where.user == part.where.user and whole.where.query == bare and whole.is_whole
            start, end = (f(x.where.at for x in (part, whole)) for f in (min, max))
            if same and not any(start < r.sent.at < end for r in reported(t)):
                yield Page(part, whole)
                break


def part_of(page: Page, _t: Timeline) -> Iterator[Finding]:
    """From `offset` on, at most `limit`; the total stays."""
    part, whole = page
    offset, limit = number(part.where, "offset", 0), number(part.where, "limit", LIMIT)
    wanted, got = ([r.get("id") for r in rows] for rows in (whole.rows[offset : offset + limit], part.rows))
    if wanted != got:
        says = "a page of reports is not that part of the whole list"
        yield Finding(says, part.where, "/data", shown(wanted), shown(got), (whole.where,))
    info = part.where.value.get("pagination") if isinstance(part.where.value, dict) else None
    total = info.get("total") if isinstance(info, dict) else None
    if total != len(whole.rows):
        says = "the total of reports counts the page"
        yield Finding(says, part.where, "/pagination/total", str(len(whole.rows)), total, (whole.where,))


class Export(NamedTuple):
    """A request for a report as a document, by the user whose it is."""

    where: Exchange
    format: str
    last: Reported


def exports(t: Timeline) -> Iterator[Export]:
    """Each, with nothing under way."""
    for e in judged(t):
        name = reading.same_id(subject(e))
        if e.operation != "exportReport" or name not in makers(t) or makers(t)[name].agent.user != e.user:
            continue
        if set(e.query) <= {"format"} and (last := said_last(name, e, t)) is not None:
            yield Export(e, e.query.get("format", "json"), last)


def as_document(x: Export, t: Timeline) -> Iterator[Finding]:
    """The right media type and a document of that kind that holds the report; 400 for a format there is none of."""
    e, wanted, last = x
    if wanted not in MEDIA:
        if e.status != BAD:
            yield Finding(f"a report as {wanted} is not refused", e, "", "400", e.status)
        return
    if e.status != OK:
        yield Finding(f"a report cannot be exported as {wanted}", e, "", "200", e.status, (last.sent,))
        return
    media = e.headers.get("content-type", "nothing").split(";")[0].strip().lower()
    if media != MEDIA[wanted]:
        yield Finding(f"a report as {wanted} has another media type", e, "", MEDIA[wanted], media)
    yield from {"json": _json, "markdown": _markdown, "pdf": _pdf}[wanted](x, t)


def _json(x: Export, t: Timeline) -> Iterator[Finding]:
    found = x.where.value
    if not isinstance(found, dict) or reading.same_id(found.get("id")) != x.last.id:
        says = "a report as JSON is not the report itself, without an envelope"
        got = shown(sorted(found)) if isinstance(found, dict) else shown(x.where.text[:100])
        yield Finding(says, x.where, "", f"a report with id {x.last.id}", got, (x.last.sent,))
        return
    for name in ("title", "summary", "status", "content"):
        if not same_value(found.get(name), x.last.payload[name]):
            says = f"the {name} of a report as JSON is not what the agent said last"
            got = shown(found.get(name, "nothing"))
            yield Finding(says, x.where, f"/{name}", shown(x.last.payload[name]), got, (x.last.sent,))
    for v in t.contract.violations("report.json", found):
        yield Finding("a report as JSON is out of shape", x.where, v.pointer, v.expected, v.got)


def _markdown(x: Export, _t: Timeline) -> Iterator[Finding]:
    """Its title is there; words only, for Markdown escapes the rest in many ways."""
    words = "".join(c if c.isalnum() else " " for c in x.last.payload["title"]).split()
    missing = [w for w in words if w not in x.where.text]
    if missing:
        says = "a report as Markdown does not hold the report's title"
        yield Finding(says, x.where, "", shown(x.last.payload["title"]), shown(x.where.text), (x.last.sent,))


def _pdf(x: Export, _t: Timeline) -> Iterator[Finding]:
    text = x.where.text
    if not text.startswith("%PDF-"):
        yield Finding("a report as PDF is no PDF", x.where, "", "%PDF-…", shown(text[:40]))
    elif "%%EOF" not in text[-TRAILER:]:
        yield Finding(
            "a report as PDF is cut off: it does not open", x.where, "", "%%EOF at its end", shown(text[-40:])
        )


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


def _cast(s: Scene) -> Socket:
    dashboard, agent = s.dashboard(), s.agent("a1")
    asks(dashboard, ONE)
    takes(agent, ONE)
    return agent


def _two(s: Scene) -> list[dict[str, Any]]:
    agent = _cast(s)
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


def oldest_first(s: Scene) -> None:
    shows_list(s, "/reports", *_two(s)[::-1])


def wrong_total(s: Scene) -> None:
    shows_list(s, "/reports", *_two(s), total=7, query=MINE)


def wrong_page(s: Scene) -> None:
    rows = _two(s)
    shows_list(s, "/reports", *rows, query=MINE)
    shows_list(s, "/reports", rows[0], query=MINE | {"limit": "1", "offset": "1"}, total=2)


def total_of_the_page(s: Scene) -> None:
    rows = _two(s)
    shows_list(s, "/reports", *rows, query=MINE)
    shows_list(s, "/reports", rows[0], query=MINE | {"limit": "1"}, total=1)


def _exported(s: Scene, kind: str, text: str, media: str = "", status: int = 200) -> None:
    s.rest(
        "GET",
        f"/reports/{FIRST}/export",
        status,
        query={"format": kind},
        text=text,
        headers={"content-type": media or MEDIA.get(kind, "application/json")},
    )


def every_format(s: Scene) -> None:
    sent = reports(_cast(s))
    s.rest("GET", f"/reports/{FIRST}/export", 200, report(sent))
    _exported(s, "markdown", "# Why *it* is slow\n", "text/markdown; charset=utf-8")
    _exported(s, "pdf", "%PDF-1.7 … %%EOF\n")
    s.fails("GET", f"/reports/{FIRST}/export", 400, query={"format": "docx"})


def in_an_envelope(s: Scene) -> None:
    sent = reports(_cast(s))
    s.rest("GET", f"/reports/{FIRST}/export", 200, {"success": True, "data": report(sent)})


def stale_json(s: Scene) -> None:
    agent = _cast(s)
    first = reports(agent)
    reports(agent, title="Newer")
    s.rest("GET", f"/reports/{FIRST}/export", 200, report(first), query={"format": "json"})


def markdown_as_plain_text(s: Scene) -> None:
    reports(_cast(s))
    _exported(s, "markdown", "# Why it is slow", "text/plain")


def empty_markdown(s: Scene) -> None:
    reports(_cast(s))
    _exported(s, "markdown", "# Report")


def pdf_of_html(s: Scene) -> None:
    reports(_cast(s))
    _exported(s, "pdf", "<html>")


def pdf_cut(s: Scene) -> None:
    reports(_cast(s))
    _exported(s, "pdf", "%PDF-1.7 1 0 obj")


def any_format(s: Scene) -> None:
    reports(_cast(s))
    _exported(s, "docx", "PK", "application/octet-stream")


def no_pdf(s: Scene) -> None:
    reports(_cast(s))
    _exported(s, "pdf", "", status=501)


def bobs_own(s: Scene) -> None:
    _two(s)
    shows_list(s, "/reports", report(reports(s.agent("b1", user="bob"), SECOND[::-1])), user="bob")


def bobs_and_alices(s: Scene) -> None:
    shows_list(s, "/reports", *_two(s), user="bob")


@provocation(needs="commands")
async def read_reports(world: World) -> None:
    """Two agents make three reports, listed by agent and status, page by page, and exported in every format."""
    user = world.user()
    dashboard = await user.dashboard()
    agents = [await user.agent() for _ in range(2)]
    running = [await dashboard.request(agent) for agent in agents]
    for agent, command in zip(agents, running, strict=True):
        await agent.takes(command)
    for number_, status in enumerate(("DRAFT", "COMPLETE")):
        sent = await agents[0].reports(running[0], status=status, title=f"Report number {number_}: *the* build")
    await agents[1].reports(running[1], status="COMPLETE")
    mine = {"agentId": agents[0].id}
    for query in (
        {},
        mine,
        mine | {"status": "COMPLETE"},
        mine | {"status": "DRAFT"},
        mine | {"status": "IN_PROGRESS"},
        mine | {"limit": "1"},
        mine | {"limit": "1", "offset": "1"},
    ):
        await user.rest.get("/reports", query=query)
    path = f"/reports/{sent.payload['reportId']}/export"
    await user.rest.get(path)
    for kind in (*MEDIA, "docx"):
        await user.rest.get(path, query={"format": kind})


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
        judges="GET /reports lists all reports that fit the filters and no other, newest first, with their total.",
        when=listed,
        check=as_asked,
        good=(all_ways,),
        bad=(filter_ignored, one_missing, oldest_first, wrong_total),
        cases=(read_reports,),
    ),
    Rule(
        id="reports.paged",
        clauses=("RPT-2",),
        judges="limit and offset give that part of the whole list, and the total stays.",
        when=pages,
        check=part_of,
        good=(all_ways,),
        bad=(wrong_page, total_of_the_page),
        cases=(read_reports,),
    ),
    Rule(
        id="reports.exported",
        clauses=("RPT-2",),
        judges="A report is exported as JSON without envelope, as Markdown and as PDF, with the right media type.",
        when=exports,
        check=as_document,
        good=(every_format,),
        bad=(
            in_an_envelope,
            stale_json,
            markdown_as_plain_text,
            empty_markdown,
            pdf_of_html,
            pdf_cut,
            any_format,
            no_pdf,
        ),
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
