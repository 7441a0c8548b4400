"""The metrics of AGENT_STATUS say commandsProcessed, not commandsExecuted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._shapes import renamed, status_events
from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


def _raw(metrics: Body | None) -> Body | None:
    return None if metrics is None else renamed(metrics, "commandsExecuted", "commandsProcessed")


DEFECT = Replacing(
    "status-commands-processed",
    ("STA-1", "STA-3"),
    "The metrics of AGENT_STATUS say commandsProcessed, not commandsExecuted",
    status_events(lambda _agent, body: {**body, "metrics": _raw(body["metrics"])}),
)
