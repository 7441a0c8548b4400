"""The close of a replaced socket marks the reconnected agent OFFLINE."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.hub import Link


class _Confused(Through):
    def drop(self, link: Link) -> bool:
        return self.inner.drop(link) or self.inner.get(link.agent_id) is not None


DEFECT = Replacing(
    "late-close-kills-new",
    ("CON-4",),
    "The old socket's close marks the reconnected agent OFFLINE",
    lambda parts: replace(parts, presence=_Confused(parts.presence)),
)
