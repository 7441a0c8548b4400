"""Handshakes on a timeline: what dashboards asked and were given until the next time; whether a socket came in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.remembered import remembered
from conformance.views import is_restarted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.timeline import Frame, Timeline

SNAPSHOT = "to-dashboard.dashboard_connected"


class Handshake(NamedTuple):
    """A valid DASHBOARD_INIT and what came between it and the next one."""

    dashboard: Connection
    init: Frame
    again: bool
    ready: Frame | None
    snapshot: Frame | None


def in_time(c: Connection, t: Timeline) -> bool:
    """Whether a socket surely said what it is before the time for that was over, after which it is closed (WSA-3)."""
    return c.init is not None and c.init.at + t.terms.slack < c.opened.at + t.terms.init_timeout


@remembered
def handshakes(t: Timeline) -> Iterator[Handshake]:
    """Every valid DASHBOARD_INIT that was answered, be it by an ACK, or waited for long enough."""
    within = t.contract.within("dashboard.init", SNAPSHOT)
    for dashboard in t.dashboards:
        inits = [f for f in dashboard.sent if f.type == "DASHBOARD_INIT"]
        for index, init in enumerate(inits):
            if not t.contract.shapes.accepts("messages/from-dashboard/DASHBOARD_INIT.json", init.payload):
                continue
            if init.payload.get("userId", dashboard.user) != dashboard.user:
                continue
            end = inits[index + 1].at if index + 1 < len(inits) else float("inf")
            ready = next(iter(dashboard.of_kind("DASHBOARD_READY", after=init.seq, before=end)), None)
            snapshot = next(iter(dashboard.of_kind("dashboard:connected", after=init.seq, before=end)), None)
            watched = min(dashboard.until, end) >= t.bound(init.at, within)
            closed = dashboard.closed is not None and dashboard.closed.by == "backend"
            cut = closed and (index > 0 or in_time(dashboard, t)) and not is_restarted(t, init.at, dashboard.until)
            acks = dashboard.of_kind("ACK", after=init.seq, before=end)
            otherwise = init.id is not None and any(f.payload.get("messageId") == init.id for f in acks)
            if ((ready or otherwise) and snapshot) or watched or cut:
                yield Handshake(dashboard, init, bool(index), ready, snapshot)
