"""An agent as a frozen value: what the store keeps and every channel shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reference_impl.domain.vocabulary import ActivityState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_impl.domain.vocabulary import AgentStatus, AgentType, CommandType


@dataclass(frozen=True, slots=True)
class Metrics:
    """The four numbers of an agent, in the units the agent sent (UNIT-2), and when they came."""

    commands_executed: int | float
    uptime: int | float
    memory_usage: int | float
    cpu_usage: int | float
    last_updated: int
    average_response_time: int | float | None = None


@dataclass(frozen=True, slots=True)
class Flags:
    """Capabilities in the form an agent announces them."""

    max_tokens: int | float
    supports_interrupt: bool
    supports_trace: bool

    def names(self) -> tuple[str, ...]:
        """Say them as the string array of every channel (AGT-4)."""
        named = {"interrupt": self.supports_interrupt, "trace": self.supports_trace}
        return ("basic", *(name for name, has in named.items() if has))


@dataclass(frozen=True, slots=True)
class Running:
    """A command that an agent is executing."""

    command_id: str
    type: CommandType
    started_at: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What an agent is doing, as its commands say it (CMD-10)."""

    executing: tuple[Running, ...] = ()
    """The one that started first comes first."""
    queued: int = 0

    @property
    def state(self) -> ActivityState:
        """In one word."""
        if self.executing:
            return ActivityState.PROCESSING
        return ActivityState.QUEUED if self.queued else ActivityState.IDLE


IDLE: Final = Activity()


@dataclass(frozen=True, slots=True)
class Agent:
    """Everything known about one agent; times are milliseconds since 1970."""

    agent_id: str
    user_id: str
    name: str
    type: AgentType
    status: AgentStatus
    version: str
    capabilities: tuple[str, ...]
    created_at: int
    updated_at: int
    last_heartbeat: int | None = None
    metrics: Metrics | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The rest of the metadata column (host machine, announced flags, last error), kept as found."""
    activity: Activity = field(default=IDLE, compare=False)
    """Looked up when the agent is told of; no part of what is stored."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What an agent says about itself when it connects (CON-1)."""

    agent_id: str
    name: str | None
    type: AgentType
    version: str
    host_machine: str
    flags: Flags


@dataclass(frozen=True, slots=True)
class Failure:
    """What an agent reports in AGENT_ERROR (AER-1)."""

    error_type: str
    message: str
    recoverable: bool
    details: Mapping[str, Any] | None = None
