"""Agent items carry id, not agent_id."""

from __future__ import annotations

from reference_impl.defects._shapes import renamed, rest_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "rest-raw-id",
    ("AGT-1", "AGT-2"),
    "Agent items carry id, not agent_id",
    rest_items(lambda _agent, item: renamed(item, "agent_id", "id")),
)
