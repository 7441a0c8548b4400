"""Agent items carry type, not agent_type."""

from __future__ import annotations

from reference_impl.defects._shapes import renamed, rest_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "rest-raw-type",
    ("AGT-1", "AGT-2"),
    "Agent items carry type, not agent_type",
    rest_items(lambda _agent, item: renamed(item, "agent_type", "type")),
)
