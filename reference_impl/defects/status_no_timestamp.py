"""AGENT_STATUS without timestamp."""

from __future__ import annotations

from reference_impl.defects._shapes import status_events, without
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "status-no-timestamp",
    ("STA-1",),
    "AGENT_STATUS without timestamp",
    status_events(lambda _agent, body: without(body, "timestamp")),
)
