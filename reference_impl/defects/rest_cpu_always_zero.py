"""The cpuUsage of agent items is 0, whatever was reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._shapes import rest_items
from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


def _idle(metrics: Body | None) -> Body | None:
    return None if metrics is None else {**metrics, "cpuUsage": 0}


DEFECT = Replacing(
    "rest-cpu-always-zero",
    ("HB-2", "CNS-1"),
    "The cpuUsage of agent items is 0, whatever was reported",
    rest_items(lambda _agent, item: {**item, "last_metrics": _idle(item["last_metrics"])}),
)
