"""AGENT_STATUS without version."""

from __future__ import annotations

from reference_impl.defects._shapes import status_events, without
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "status-no-version",
    ("STA-1",),
    "AGENT_STATUS without version",
    status_events(lambda _agent, body: without(body, "version")),
)
