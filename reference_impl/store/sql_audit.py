"""The audit log in SQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, select

from reference_impl.domain.audit import AuditEntry, Origin
from reference_impl.store.account_tables import audit_log
from reference_impl.store.group_commit import Row
from reference_impl.store.plans import fixed
from reference_impl.store.reading import Reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.logs import Log
    from reference_impl.settings import Audit
    from reference_impl.store.audit import AuditQuery
    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import GroupCommit

_DAY_MS: Final = 86_400_000
_FARTHEST: Final = 2**62
_ADD: Final = fixed(insert(audit_log))
_LOOK_EVERY: Final = 1_000
"""After so many refusals it is looked whether there are too many."""


class SqlAudit:
    """The `audit_log` table.

    Entries are kept for so many days. Refused authentications, which any stranger can cause, have
    a bound of their own besides, so that no flood of them pushes out what users did.
    """

    def __init__(self, engine: Engine, commits: GroupCommit, settings: Audit, log: Log) -> None:
        self._reads = Reads(engine)
        self._commits = commits
        self._settings = settings
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals = 0

    async def add(self, entry: AuditEntry) -> None:
        """Keep one."""
        await self._commits.write(Row(_ADD, _row(entry)))
        if entry.user_id is None:
            self._refusals += 1
            if self._refusals % _LOOK_EVERY == 0:
                await self.forget(entry.created_at)

    def later(self, entry: AuditEntry) -> None:
        """Keep one about something nobody is waiting for."""
        task = asyncio.create_task(self._add_or_say(entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _add_or_say(self, entry: AuditEntry) -> None:
        try:
            await self.add(entry)
        except Exception:  # noqa: BLE001 - nobody waits for it; what happened has happened
            self._log.exception("audit_not_written", eventType=entry.event_type)

    async def flush(self) -> None:
        """Commit what `later` left."""
        await asyncio.gather(*self._tasks)

    async def page(self, query: AuditQuery) -> tuple[Sequence[AuditEntry], int]:
        """One page, newest first, later written first, and how many match altogether."""
        columns = audit_log.c
        wanted = columns.user_id == query.user_id
        for column, value in ((columns.event_type, query.event_type), (columns.agent_id, query.agent_id)):
            wanted = wanted if value is None else wanted & (column == value)
        wanted = wanted if query.begin is None else wanted & (columns.created_at >= query.begin)
        wanted = wanted if query.end is None else wanted & (columns.created_at < query.end)
        found = select(audit_log).where(wanted).order_by(columns.created_at.desc(), columns.number.desc())
        rows = await self._reads.rows(found.limit(query.limit).offset(min(query.offset, _FARTHEST)))
        total = await self._reads.number(select(func.count()).select_from(audit_log).where(wanted))
        return [_entry(**row) for row in rows], total

    async def forget(self, now: int) -> None:
        """Remove what is older than it has to be kept, and refusals beyond their bound."""
        old = delete(audit_log).where(audit_log.c.created_at < max(0, now - self._settings.keep_days * _DAY_MS))
        refused = audit_log.c.user_id.is_(None)
        newest = select(audit_log.c.number).where(refused).order_by(audit_log.c.number.desc())
        last = newest.offset(self._settings.keep_refusals).limit(1).scalar_subquery()
        beyond = delete(audit_log).where(refused, audit_log.c.number <= last)

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(old)
            await connection.execute(beyond)

        await self._commits.write(write)


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "event_type": entry.event_type,
        "user_id": entry.user_id,
        "agent_id": entry.agent_id,
        "command_id": entry.command_id,
        "details": dict(entry.details),
        "ip_address": entry.origin.ip_address,
        "user_agent": entry.origin.user_agent,
        "created_at": entry.created_at,
    }


def _entry(*, number: int, ip_address: str | None, user_agent: str | None, **row: Any) -> AuditEntry:  # noqa: ARG001
    return AuditEntry(**row, origin=Origin(ip_address, user_agent))
