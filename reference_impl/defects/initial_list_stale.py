"""dashboard:connected says OFFLINE for agents with a live socket."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.defects._shapes import snapshot_items
from reference_impl.defects._through import Replacing
from reference_impl.domain.vocabulary import AgentStatus

DEFECT = Replacing(
    "initial-list-stale",
    ("DSH-3",),
    "dashboard:connected says OFFLINE for agents with a live socket",
    snapshot_items(lambda shown, agent: shown.snapshot([replace(agent, status=AgentStatus.OFFLINE)], 0)["agents"][0]),
)
