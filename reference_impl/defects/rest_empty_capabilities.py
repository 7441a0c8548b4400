"""The capabilities of agent items are empty, whatever was announced."""

from __future__ import annotations

from reference_impl.defects._shapes import rest_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "rest-empty-capabilities",
    ("AGT-4",),
    "The capabilities of agent items are empty, whatever was announced",
    rest_items(lambda _agent, item: {**item, "capabilities": []}),
)
