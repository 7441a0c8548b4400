"""The agent_type of agent items is in lower case."""

from __future__ import annotations

from reference_impl.defects._shapes import rest_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "rest-lowercase-type",
    ("CASE-1",),
    "The agent_type of agent items is in lower case",
    rest_items(lambda agent, item: {**item, "agent_type": agent.type.lower()}),
)
