"""The items of dashboard:connected carry the names of REST."""

from __future__ import annotations

from reference_impl.defects._shapes import snapshot_items
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "initial-list-raw",
    ("DSH-2",),
    "The items of dashboard:connected carry the names of REST",
    snapshot_items(lambda shown, agent: shown.listed(agent)),
)
