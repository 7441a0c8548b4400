"""Nothing comes after DASHBOARD_READY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._shapes import presenting
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.agents import Agent


class _Listless(Through):
    def snapshot(self, _agents: Sequence[Agent], _timestamp: int) -> None:
        """No `dashboard:connected`."""


DEFECT = Replacing("no-initial-list", ("DSH-1",), "No dashboard:connected after DASHBOARD_READY", presenting(_Listless))
