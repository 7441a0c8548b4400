"""AGENT_STATUS says healthMetrics, not metrics."""

from __future__ import annotations

from reference_impl.defects._shapes import renamed, status_events
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "status-health-metrics",
    ("STA-1",),
    "AGENT_STATUS says healthMetrics, not metrics",
    status_events(lambda _agent, body: renamed(body, "metrics", "healthMetrics")),
)
