"""The audit log over REST: read only (AUD-2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from reference_impl.domain.times import rfc3339
from reference_impl.rest.caller import User
from reference_impl.rest.query import AgentIdFilter, AuditLimit, Moment, Offset
from reference_impl.store.audit import AuditQuery
from reference_impl.web.answers import listing
from reference_impl.web.operations import operation

if TYPE_CHECKING:
    from reference_impl.domain.audit import AuditEntry
    from reference_impl.parts import Core

_EVENT_TYPE: Final = re.compile(r"[A-Z0-9_]{1,64}")


def audit(core: Core) -> APIRouter:
    """Make the route."""
    store = core.parts.audit
    router = APIRouter(prefix="/audit-logs", tags=["Audit"])

    @router.get("", **operation("listAuditLogs", page="audit-log-list.json"))
    async def list_audit_logs(  # noqa: PLR0913, PLR0917 - one argument per query parameter
        user: User,
        event_type: Annotated[str | None, Query(alias="eventType", min_length=1)] = None,
        agent_id: AgentIdFilter = None,
        begin: Annotated[Moment, Query(alias="from")] = None,
        end: Annotated[Moment, Query(alias="to")] = None,
        limit: AuditLimit = 100,
        offset: Offset = 0,
    ) -> Response:
        """The caller's entries, newest first."""
        if event_type is not None and not _EVENT_TYPE.fullmatch(event_type):  # no entry has such a type
            return listing([], total=0, limit=limit, offset=offset)
        query = AuditQuery(user, event_type, agent_id, begin, end, limit, offset)
        entries, total = await store.page(query)
        return listing([_shown(entry) for entry in entries], total=total, limit=limit, offset=offset)

    return router


def _shown(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "eventType": entry.event_type,
        "userId": entry.user_id,
        "agentId": entry.agent_id,
        "commandId": entry.command_id,
        "details": entry.details,
        "ipAddress": entry.origin.ip_address,
        "userAgent": entry.origin.user_agent,
        "createdAt": rfc3339(entry.created_at),
    }
