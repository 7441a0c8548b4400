"""An agent that never reported has metrics of zero."""

from __future__ import annotations

from reference_impl.defects._shapes import rest_items
from reference_impl.defects._through import Replacing

ZEROS = dict.fromkeys(("commandsExecuted", "uptime", "memoryUsage", "cpuUsage"), 0)

DEFECT = Replacing(
    "metrics-never-null",
    ("AGT-3",),
    "An agent that never reported has a last_metrics of zeros",
    rest_items(lambda _agent, item: {**item, "last_metrics": item["last_metrics"] or ZEROS}),
)
