"""No audit row for a delete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.audit import AuditEntry


class _Silent(Through):
    async def add(self, entry: AuditEntry) -> None:
        if not entry.event_type.startswith("DELETE_"):
            await self.inner.add(entry)


DEFECT = Replacing(
    "audit-silent",
    ("AUD-1",),
    "No audit row for a delete",
    lambda parts: replace(parts, audit=_Silent(parts.audit)),
)
