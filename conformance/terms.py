"""What holds for a target beside the contract."""

from __future__ import annotations

from dataclasses import dataclass

SLACK = 0.25
"""Seconds for the tester's own delays; more is for a backend that is far away."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for this target beside the contract: tolerances of the tester, promises of the profile. Seconds."""

    slack: float = SLACK
    """Added to every time bound, for the tester's own delays."""
    clock_tolerance: float = 60.0
    """UNIT-1: how far the backend's clock may be from the tester's."""
    init_timeout: float = 30.0
    """WSA-3: how long a socket may stay without a role message."""
    heartbeat_interval: float = 30.0
    """DIS-3: the interval where the backend advertises none."""
    queue_room: int = 1000
    """CMD-5: how many commands may wait for an agent."""
    cancel_grace: float = 30.0
    """CMD-7: how long a cancelled command may still be executed by its agent."""
    level: str = "core"
