"""`limit` and `offset` are echoed and not applied; `total` is the length of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through
from reference_impl.store import Page

if TYPE_CHECKING:
    from reference_impl.store import AgentQuery


class _Endless(Through):
    async def page(self, query: AgentQuery) -> Page:
        page = await self.inner.page(replace(query, limit=2**31, offset=0))
        return Page(page.agents, len(page.agents))


DEFECT = Replacing(
    "rest-pagination-ignored",
    ("AGT-9", "ENV-1"),
    "limit and offset are echoed, not applied; total is the length of the page",
    lambda parts: replace(parts, agents=_Endless(parts.agents)),
)
