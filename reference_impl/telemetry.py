"""Prometheus counters of one server, in a registry of its own (contract section 7)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest


class Telemetry:
    """The plan's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counters = {
            "AGENT_STATUS": ("websocket_events_agent_status", "AGENT_STATUS events sent"),
            "AGENT_DISCONNECT": ("websocket_events_agent_disconnect", "AGENT_DISCONNECT events sent"),
            "dashboard:connected": ("websocket_events_dashboard_connected", "Snapshots sent"),
        }
        self._events = {kind: Counter(name, text, registry=self._registry) for kind, (name, text) in counters.items()}

    def event(self, kind: str) -> None:
        """Count one event of this message type, if the plan counts it."""
        if counter := self._events.get(kind):
            counter.inc()

    def exposition(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self._registry)
