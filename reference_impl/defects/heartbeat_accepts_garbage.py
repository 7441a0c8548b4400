"""Numbers out of range are stored: a processor at 4000 %, memory below nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.domain.messages import AgentHeartbeat, HealthMetrics
from reference_impl.domain.vocabulary import Role
from reference_impl.live.handlers import Handler, agent_heartbeat

if TYPE_CHECKING:
    from reference_impl.parts import Parts


class _Numbers(HealthMetrics):
    cpu_usage: int | float
    memory_usage: int | float
    uptime: int | float
    commands_processed: int


class _Heartbeat(AgentHeartbeat):
    health_metrics: _Numbers


def _apply(parts: Parts) -> Parts:
    served = {**parts.handlers[Role.AGENT], "AGENT_HEARTBEAT": Handler(_Heartbeat, agent_heartbeat)}
    return replace(parts, handlers={**parts.handlers, Role.AGENT: served})


DEFECT = Replacing("heartbeat-accepts-garbage", ("HB-3",), "cpu 4000 and negative memory are stored", _apply)
