"""AGENT_STATUS without capabilities."""

from __future__ import annotations

from reference_impl.defects._shapes import status_events, without
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "status-no-capabilities",
    ("STA-1",),
    "AGENT_STATUS without capabilities",
    status_events(lambda _agent, body: without(body, "capabilities")),
)
