"""Agent items carry last_ping, not last_heartbeat."""

from __future__ import annotations

from reference_impl.defects._shapes import renamed, rest_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "rest-last-ping",
    ("AGT-1", "AGT-2"),
    "Agent items carry last_ping, not last_heartbeat",
    rest_items(lambda _agent, item: renamed(item, "last_heartbeat", "last_ping")),
)
