"""The status of agent items is in lower case."""

from __future__ import annotations

from reference_impl.defects._shapes import rest_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "rest-lowercase-status",
    ("CASE-1",),
    "The status of agent items is in lower case",
    rest_items(lambda agent, item: {**item, "status": agent.status.lower()}),
)
