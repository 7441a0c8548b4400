"""Reports over REST: list, get, export (RPT-2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from reference_impl.domain.presenters.outputs import report_shown
from reference_impl.domain.vocabulary import ReportStatus
from reference_impl.rest.caller import User
from reference_impl.rest.pages import page
from reference_impl.rest.path import ReportId
from reference_impl.rest.query import AgentIdFilter, Limit, Offset
from reference_impl.store.outputs import ReportQuery
from reference_impl.web.answers import success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_impl.domain.output import Report
    from reference_impl.parts import Core


Format = Literal["json", "markdown", "pdf"]
"""What kind of document is asked for."""


StatusFilter = Annotated[ReportStatus | None, Query()]


def _json(report: Report) -> bytes:
    return orjson.dumps(report_shown(report))


def _markdown(report: Report) -> bytes:
    from reference_impl.documents.markdown import markdown  # noqa: PLC0415 - see `_pdf`

    return markdown(report).encode("utf-8")


def _pdf(report: Report) -> bytes:
    from reference_impl.documents.pdf import pdf  # noqa: PLC0415 - slow to import, and needed by few

    return pdf(report)


_EXPORTS: Final[Mapping[Format, tuple[str, str, Callable[[Report], bytes]]]] = {
    "json": ("json", "application/json", _json),
    "markdown": ("md", "text/markdown; charset=utf-8", _markdown),
    "pdf": ("pdf", "application/pdf", _pdf),
}
"""By format: the ending of the file's name, the media type, the writer."""

_DOCUMENTS: Final = {
    "application/json": schema("report.json"),
    "text/markdown": {"type": "string"},
    "application/pdf": {"type": "string", "contentMediaType": "application/pdf"},
}


_NEXT: Final = {"read": "getReport", "export": "exportReport"}


def reports(core: Core) -> APIRouter:
    """Make the routes."""
    output, store = core.output, core.parts.outputs
    router = APIRouter(prefix="/reports", tags=["Reports"])
    one_at_a_time = asyncio.Lock()

    @router.get(
        "",
        **operation("listReports", page="report-list.json", links=_NEXT, link_key="reportId", link_from="/data/0/id"),
    )
    async def list_reports(
        user: User,
        agent_id: AgentIdFilter = None,
        status: StatusFilter = None,
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Response:
        """The caller's reports, newest first."""
        found = await output.find_reports(ReportQuery(user, agent_id, status, limit, offset))
        return await page(found, store.reports, report_shown, limit=limit, offset=offset)

    @router.get("/{reportId}", **operation("getReport", data=schema("report.json"), also=(404,)))
    async def get_report(report_id: ReportId, user: User) -> Response:
        """One report."""
        return success(report_shown(await output.get_report(user, report_id)))

    @router.get("/{reportId}/export", **operation("exportReport", documents=_DOCUMENTS, also=(404,)))
    async def export_report(
        report_id: ReportId,
        user: User,
        format: Annotated[Format, Query()] = "json",  # noqa: A002 - the parameter's name
    ) -> Response:
        """A report as a document."""
        report = await output.get_report(user, report_id)
        ending, media_type, write = _EXPORTS[format]
        async with one_at_a_time:  # a large PDF takes seconds: beside the loop, and not on all cores
            document = await asyncio.to_thread(write, report)
        named = f'attachment; filename="report-{report.report_id}.{ending}"'
        return Response(document, headers={"Content-Disposition": named}, media_type=media_type)

    return router
