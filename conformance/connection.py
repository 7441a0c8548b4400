"""One socket on a timeline: how it was opened, what was said on it in order, how it ended."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

from propcache.api import cached_property

from conformance import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.timeline import Closed, Frame, Note, Opened


class Connection:
    """One socket on a timeline: its opening, its frames in order, its end."""

    def __init__(self, opened: Opened, end: float) -> None:
        self.opened = opened
        self.id = opened.connection
        self.user = opened.user
        self.credential = opened.credential
        self.channel = opened.channel
        self._end = end
        self.frames: list[Frame] = []
        self.closed: Closed | None = None
        self.stalled: Note | None = None
        """From when on the tester did not read: what it was told when since then, nobody can say."""
        self.remembered: dict[Any, Any] = {}
        """What views have found on it (see `remembered`)."""

    @cached_property
    def sent(self) -> list[Frame]:
        """Frames from the tester, as long as the connection stood."""
        return list(self._leaving())

    def _leaving(self) -> Iterator[Frame]:
        last = self.closed.seq if self.closed else math.inf
        return (f for f in self.frames if f.is_sent and f.seq < last)

    @cached_property
    def late(self) -> list[Frame]:
        """What the tester still wrote on it after its end: nobody has to hear it."""
        return [f for f in self.frames if f.is_sent and self.closed is not None and f.seq > self.closed.seq]

    @cached_property
    def received(self) -> list[Frame]:
        """Messages from the backend, those inside a BATCH among them, after the BATCH itself; none after a stall."""
        return list(self._coming())

    def _coming(self) -> Iterator[Frame]:
        last = self.stalled.seq if self.stalled else math.inf
        return (f for f in self.frames if not f.is_sent and f.seq < last)

    @cached_property
    def _by_kind(self) -> dict[str, list[Frame]]:
        found: dict[str, list[Frame]] = {}
        for frame in self.received:
            found.setdefault(frame.kind, []).append(frame)
        return found

    @cached_property
    def _by_agent(self) -> dict[tuple[str, str], list[Frame]]:
        found: dict[tuple[str, str], list[Frame]] = {}
        for kind, frames in self._by_kind.items():
            for frame in frames:
                if (agent_id := reading.agent_id(frame.payload)) is not None:
                    found.setdefault((agent_id, kind), []).append(frame)
        return found

    @property
    def until(self) -> float:
        """Up to when this connection was watched."""
        ends = [e.at for e in (self.closed, self.stalled) if e is not None]
        return min(ends, default=self._end)

    @cached_property
    def init(self) -> Frame | None:
        """The first role message sent on it (AGENT_CONNECT or DASHBOARD_INIT)."""
        return next((f for f in self._leaving() if f.type in {"AGENT_CONNECT", "DASHBOARD_INIT"}), None)

    @cached_property
    def role(self) -> str:
        """Agent or dashboard, by its role message, else by what the tester meant it to be."""
        if self.init is None:
            return self.opened.role
        return "agent" if self.init.type == "AGENT_CONNECT" else "dashboard"

    @cached_property
    def accepted(self) -> Frame | None:
        """The backend's yes to the role message: ACK for an agent; DASHBOARD_READY (or what stands for it) else."""
        if self.init is None:
            return None
        later = (f for f in self._coming() if f.seq > self.init.seq)
        if self.role == "agent":
            return next((f for f in later if f.kind == "ACK" and f.payload.get("success") is not False), None)
        return next((f for f in later if f.kind in {"DASHBOARD_READY", "ACK"}), None)

    @cached_property
    def agent_id(self) -> str | None:
        """The id of the agent on this connection: the ACK's (CON-1), else the announced one."""
        if self.role != "agent" or self.init is None:
            return None
        for frame in (self.accepted, self.init):
            value = frame.payload.get("agentId") if frame else None
            if isinstance(value, str) and value:
                return value
        return None

    @cached_property
    def snapshots(self) -> list[Frame]:
        """Every `dashboard:connected` received."""
        return self.of_kind("dashboard:connected")

    def of_kind(self, *kinds: str, after: int = -1, before: float = math.inf) -> list[Frame]:
        """Frames from the backend of these kinds, after an event's `seq` and up to a time."""
        found = [f for f in _joined(self._by_kind.get(k, ()) for k in kinds) if f.seq > after]
        return found if before == math.inf else [f for f in found if f.at <= before]

    def about(self, agent_id: str, *kinds: str, after: int = -1) -> list[Frame]:
        """Frames of these kinds that speak of this agent."""
        return [f for f in _joined(self._by_agent.get((agent_id, k), ()) for k in kinds) if f.seq > after]


def _joined(parts: Iterable[Sequence[Frame]]) -> Iterable[Frame]:
    """Several runs of frames as one, in order."""
    runs = [run for run in parts if run]
    return sorted(chain.from_iterable(runs), key=lambda f: f.seq) if len(runs) > 1 else runs[0] if runs else ()
