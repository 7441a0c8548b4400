"""A silent agent stays ONLINE for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.live.session import AgentLink

if TYPE_CHECKING:
    from collections.abc import Callable


class _Eternal(AgentLink):
    def watch(self, silence_s: float, lost: Callable[[], None]) -> None:
        """Nobody watches."""


DEFECT = Replacing(
    "timeout-never",
    ("DIS-3",),
    "A silent agent stays ONLINE for ever",
    lambda parts: replace(parts, make_link=_Eternal),
)
