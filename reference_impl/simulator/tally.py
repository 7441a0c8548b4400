"""What a simulation has done so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts, for one line."""

    connected: int = 0
    heartbeats: int = 0
    left: int = 0
    ordered: int = 0
    cancelled: int = 0
    finished: int = 0
    printed: int = 0
    traced: int = 0
    reported: int = 0
    watching: int = 0
    seen: int = 0
    refused: int = 0
    failed: int = 0

    def line(self) -> str:
        """One line for a person."""
        return (
            f"{self.connected} connected, {self.heartbeats} heartbeats, {self.left} left; "
            f"{self.ordered} commands, {self.finished} finished, {self.cancelled} cancelled; "
            f"{self.printed} chunks, {self.traced} traces, {self.reported} reports; "
            f"{self.watching} watching, {self.seen} events seen; {self.refused} refused, {self.failed} failures"
        )
