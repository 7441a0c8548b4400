"""STDERR is streamed, and the history in REST misses it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.vocabulary import StreamType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.output import Chunk


class _Forgetful(Through):
    async def chunks(self, positions: Sequence[int]) -> Sequence[Chunk]:
        return [chunk for chunk in await self.inner.chunks(positions) if chunk.stream is not StreamType.STDERR]


DEFECT = Replacing(
    "terminal-history-differs",
    ("TRM-3",),
    "REST output misses what was streamed",
    lambda parts: replace(parts, outputs=_Forgetful(parts.outputs)),
)
