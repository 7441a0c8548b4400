"""The list is right, but the single GET still shows the raw row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._shapes import presenting
from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.presenters.legacy import LegacyPresenter

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent
    from reference_impl.domain.events import Body


class _RawSingle(Through):
    def single(self, agent: Agent) -> Body:
        return LegacyPresenter().single(agent)


DEFECT = Replacing(
    "rest-single-raw",
    ("AGT-6",),
    "The list is right, the single GET still shows the raw row",
    presenting(_RawSingle),
)
