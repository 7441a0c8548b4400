"""A token that runs out keeps its connection."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.auth import Principal


class _Endless(Through):
    async def verify(self, token: str) -> Principal:
        principal: Principal = await self.inner.verify(token)
        return replace(principal, expires_at=math.inf)


DEFECT = Replacing(
    "ws-expired-token-lives",
    ("WSA-5",),
    "A token that expires keeps its connection",
    lambda parts: replace(parts, verifier=_Endless(parts.verifier)),
)
