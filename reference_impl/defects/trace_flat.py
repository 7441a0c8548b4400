"""The trace tree comes back flat: every entry stands at the root."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.forest import Node


class _Flat(Through):
    async def find_traces(self, user_id: str, command_id: str) -> Sequence[Node]:
        return [replace(node, parent_id=None) for node in await self.inner.find_traces(user_id, command_id)]


DEFECT = Replacing(
    "trace-flat",
    ("TRC-1",),
    "The trace tree comes back flat",
    lambda parts: replace(parts, outputs=_Flat(parts.outputs)),
)
