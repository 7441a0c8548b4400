"""AGENT_DISCONNECT without timestamp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._shapes import presenting, without
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


class _Timeless(Through):
    def disconnected(self, agent_id: str, reason: str, timestamp: int) -> Body:
        return without(self.inner.disconnected(agent_id, reason, timestamp), "timestamp")


DEFECT = Replacing("disconnect-no-timestamp", ("DIS-1",), "AGENT_DISCONNECT without timestamp", presenting(_Timeless))
