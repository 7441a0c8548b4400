"""A report as a document: exported as JSON, Markdown and PDF (RPT-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.history_views import subject
from conformance.report_views import Reported, makers, said_last
from conformance.rest_views import judged, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import FIRST, cast, report, reports
from conformance.stream_views import same_value, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

OK, BAD = 200, 400
MEDIA = {"json": "application/json", "markdown": "text/markdown", "pdf": "application/pdf"}
TRAILER = 1024
"""PDF readers look for %%EOF in that many last bytes."""


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
        yield Finding(f"a report cannot be exported as {wanted}", e, "", "200", outcome(e), (last.sent,))
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
    sent = reports(cast(s)[1])
    s.rest("GET", f"/reports/{FIRST}/export", 200, report(sent))
    _exported(s, "markdown", "# Why *it* is slow\n", "text/markdown; charset=utf-8")
    _exported(s, "pdf", "%PDF-1.7 … %%EOF\n")
    s.fails("GET", f"/reports/{FIRST}/export", 400, query={"format": "docx"})


def in_an_envelope(s: Scene) -> None:
    sent = reports(cast(s)[1])
    s.rest("GET", f"/reports/{FIRST}/export", 200, {"success": True, "data": report(sent)})


def stale_json(s: Scene) -> None:
    agent = cast(s)[1]
    first = reports(agent)
    reports(agent, title="Newer")
    s.rest("GET", f"/reports/{FIRST}/export", 200, report(first), query={"format": "json"})


def markdown_as_plain_text(s: Scene) -> None:
    reports(cast(s)[1])
    _exported(s, "markdown", "# Why it is slow", "text/plain")


def empty_markdown(s: Scene) -> None:
    reports(cast(s)[1])
    _exported(s, "markdown", "# Report")


def pdf_of_html(s: Scene) -> None:
    reports(cast(s)[1])
    _exported(s, "pdf", "<html>")


def pdf_cut(s: Scene) -> None:
    reports(cast(s)[1])
    _exported(s, "pdf", "%PDF-1.7 1 0 obj")


def any_format(s: Scene) -> None:
    reports(cast(s)[1])
    _exported(s, "docx", "PK", "application/octet-stream")


def no_pdf(s: Scene) -> None:
    reports(cast(s)[1])
    _exported(s, "pdf", "", status=501)


@provocation(needs="commands")
async def export_a_report(world: World) -> None:
    """An agent makes a report, which is exported in every format, and in one that there is none of."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    sent = await agent.reports(command, status="COMPLETE", title="Report number 1: *the* build")
    path = f"/reports/{sent.payload['reportId']}/export"
    await user.rest.get(path)
    for kind in (*MEDIA, "docx"):
        await user.rest.get(path, query={"format": kind})


RULES = (
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
        cases=(export_a_report,),
    ),
)
