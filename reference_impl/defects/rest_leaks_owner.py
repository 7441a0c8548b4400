"""Agent items carry the owner's user_id."""

from __future__ import annotations

from reference_impl.defects._shapes import rest_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "rest-leaks-owner",
    ("AGT-2",),
    "Agent items carry the owner's user_id",
    rest_items(lambda agent, item: {**item, "user_id": agent.user_id}),
)
