"""What clients may send: the payload of each message as a strict model (HB-3, WSX-1).

Unknown properties are ignored, as JSON Schema does by default: a newer client must not be cut
off for saying more. A property that is optional may be left out, but may not be null.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints
from pydantic.alias_generators import to_camel

from reference_impl.domain.agents import Announcement, Failure, Flags, Metrics
from reference_impl.domain.vocabulary import AGENT_ID, AgentType

if TYPE_CHECKING:
    from collections.abc import Callable


def number(
    *, low: float | None = None, high: float | None = None, above: float | None = None, whole: bool = False
) -> Callable[[Any], int | float]:
    """Make a validator for a JSON number that keeps 3 apart from 3.0 and takes neither true nor NaN."""

    def validate(value: Any) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError("a number is required")
        if whole:
            if value != int(value):
                raise ValueError("a whole number is required")
            value = int(value)
        if low is not None and value < low:
            raise ValueError(f"must not be below {low:g}")
        if above is not None and value <= above:
            raise ValueError(f"must be above {above:g}")
        if high is not None and value > high:
            raise ValueError(f"must not be above {high:g}")
        number: int | float = value
        return number

    return validate


Amount = Annotated[int | float, PlainValidator(number(low=0))]
Percent = Annotated[int | float, PlainValidator(number(low=0, high=100))]
Duration = Annotated[int | float, PlainValidator(number(above=0))]
Count = Annotated[int, PlainValidator(number(low=0, high=2**53 - 1, whole=True))]
"""Also a timestamp: what a JSON integer can hold in every language."""
AgentId = Annotated[str, StringConstraints(pattern=AGENT_ID)]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Payload(BaseModel):
    """The base of all payloads: camelCase on the wire, no coercion of types."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True, alias_generator=to_camel, extra="ignore", frozen=True, allow_inf_nan=False
    )


class Capabilities(Payload):
    """What an agent can do, as it says it."""

    max_tokens: Count
    supports_interrupt: bool
    supports_trace: bool


class AgentConnect(Payload):
    """AGENT_CONNECT (CON-1)."""

    agent_id: AgentId
    name: Name = ""
    agent_type: Literal["CLAUDE", "GEMINI", "CODEX", "CUSTOM"]
    version: str
    host_machine: str
    capabilities: Capabilities

    def announcement(self) -> Announcement:
        """Say it in the words of the domain."""
        said = self.capabilities
        flags = Flags(said.max_tokens, said.supports_interrupt, said.supports_trace)
        name = self.name or None
        return Announcement(self.agent_id, name, AgentType(self.agent_type), self.version, self.host_machine, flags)


class HealthMetrics(Payload):
    """The numbers of a heartbeat (HB-3)."""

    cpu_usage: Percent
    memory_usage: Amount
    uptime: Amount
    commands_processed: Count
    average_response_time: Amount = 0


class AgentHeartbeat(Payload):
    """AGENT_HEARTBEAT (HB-1)."""

    agent_id: AgentId
    health_metrics: HealthMetrics

    def metrics(self, now: int) -> Metrics:
        """Turn what the agent sent into what is stored: `commandsProcessed` → `commandsExecuted` (STA-3)."""
        sent = self.health_metrics
        average = sent.average_response_time if "average_response_time" in sent.model_fields_set else None
        return Metrics(sent.commands_processed, sent.uptime, sent.memory_usage, sent.cpu_usage, now, average)


class AgentError(Payload):
    """AGENT_ERROR (AER-1)."""

    agent_id: AgentId
    error_type: Literal["CONNECTION", "EXECUTION", "RESOURCE", "UNKNOWN"]
    message: str
    recoverable: bool
    details: dict[str, Any] = Field(default_factory=dict)

    def failure(self) -> Failure:
        """Say it in the words of the domain."""
        details = self.details if "details" in self.model_fields_set else None
        return Failure(self.error_type, self.message, self.recoverable, details)


class Ping(Payload):
    """PING and PONG (PING-1)."""

    timestamp: Count
    sequence: Count = 0

    def echo(self) -> dict[str, Any]:
        """What the PONG says: the same, and no sequence where none was sent."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class TokenRefresh(Payload):
    """TOKEN_REFRESH from a client (WSA-5)."""

    access_token: Text
    expires_in: Duration = 0


class Everything(Payload):
    """`{all: true}` in place of a list (SUB-1)."""

    all: Literal[True]


class Wanted(Payload):
    """The `subscriptions` of DASHBOARD_INIT; a key left out means everything (SUB-1)."""

    agents: list[AgentId] | Everything = Everything(all=True)
    commands: list[Uuid] | Everything = Everything(all=True)
    terminals: bool = True
    traces: bool = True


class DashboardInit(Payload):
    """DASHBOARD_INIT (DSH-1)."""

    dashboard_id: Text = ""
    user_id: str = ""
    subscriptions: Wanted = Wanted()
    accept_batches: bool = False


class Subscribe(Payload):
    """DASHBOARD_SUBSCRIBE and DASHBOARD_UNSUBSCRIBE (SUB-3)."""

    type: Literal["agent", "command", "trace", "terminal"]
    id: str = ""
    all: bool = False

    @property
    def subject(self) -> str | None:
        """The one id meant, or None for everything: `all`, or no id at all."""
        return None if self.all or "id" not in self.model_fields_set else self.id
