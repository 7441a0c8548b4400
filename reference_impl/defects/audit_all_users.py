"""Audit logs show other users' rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.audit import AuditEntry
    from reference_impl.store.audit import AuditQuery


class _Everybodys(Through):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.users: dict[str, None] = {}

    async def add(self, entry: AuditEntry) -> None:
        self.users.update({entry.user_id: None} if entry.user_id else {})
        await self.inner.add(entry)

    async def page(self, query: AuditQuery) -> tuple[Sequence[AuditEntry], int]:
        whole = replace(query, limit=query.limit + query.offset, offset=0)
        pages = [await self.inner.page(replace(whole, user_id=user)) for user in {**self.users, query.user_id: None}]
        entries = sorted((entry for page, _ in pages for entry in page), key=lambda entry: -entry.created_at)
        return entries[query.offset : query.offset + query.limit], sum(total for _, total in pages)


DEFECT = Replacing(
    "audit-all-users",
    ("ISO-2",),
    "Audit logs show other users' rows",
    lambda parts: replace(parts, audit=_Everybodys(parts.audit)),
)
