"""Prometheus counters of one server (contract section 7)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

_COUNTED: Final = {
    "AGENT_STATUS": ("websocket_events_agent_status", "AGENT_STATUS events sent"),
    "AGENT_DISCONNECT": ("websocket_events_agent_disconnect", "AGENT_DISCONNECT events sent"),
    "dashboard:connected": ("websocket_events_dashboard_connected", "Snapshots sent"),
}


class Telemetry:
    """The plan's counters; Prometheus' client is imported once somebody asks for them."""

    def __init__(self) -> None:
        self._events = dict.fromkeys(_COUNTED, 0)
        self._created = time.time()

    def event(self, kind: str) -> None:
        """Count one event of this message type, if the plan counts it."""
        if kind in self._events:
            self._events[kind] += 1

    def collect(self) -> Iterator[Metric]:
        """The counters as Prometheus' client knows them."""
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - see the class

        for kind, (name, text) in _COUNTED.items():
            yield CounterMetricFamily(name, text, self._events[kind], created=self._created)

    def exposition(self) -> bytes:
        """Write everything in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - see the class

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)
