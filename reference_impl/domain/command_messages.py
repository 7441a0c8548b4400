"""What clients may send about commands and control, as strict models (see `messages`)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from reference_impl.domain.command_machine import Ending
from reference_impl.domain.commands import Constraints, Wish
from reference_impl.domain.messages import AgentId, Amount, Count, Payload, Uuid
from reference_impl.domain.vocabulary import CommandStatus, CommandType, ControlAction

_LARGEST: Final = 2**53 - 1
"""What a JSON integer can hold in every language."""


def _whole(value: Any) -> Any:
    """Take 50.0 for 50, as JSON Schema does; what is no integer stays as it is, and is refused."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Content = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Priority = Annotated[int, Field(ge=0, le=100), BeforeValidator(_whole)]
Positive = Annotated[int, Field(ge=1, le=_LARGEST), BeforeValidator(_whole)]
Kind = Literal["NATURAL", "INVESTIGATE", "REVIEW", "PLAN", "SYNTHESIZE"]


class Limits(Payload):
    """`executionConstraints`; a limit that is left out is not set."""

    time_limit_ms: Positive = 1
    token_budget: Positive = 1
    max_retries: Annotated[int, Field(ge=0, le=_LARGEST), BeforeValidator(_whole)] = 0

    def constraints(self) -> Constraints:
        """Say them in the words of the domain."""
        return Constraints(**self.model_dump(exclude_unset=True))


class CommandRequest(Payload):
    """COMMAND_REQUEST from a dashboard (CMD-1)."""

    agent_id: AgentId
    content: Content
    type: Kind
    command_id: Uuid = ""
    priority: Priority = 50
    execution_constraints: Limits = Limits()

    def wish(self) -> Wish:
        """Say it in the words of the domain."""
        limited = "execution_constraints" in self.model_fields_set
        return Wish(
            content=self.content,
            type=CommandType(self.type),
            targets=(self.agent_id,),
            priority=self.priority,
            constraints=self.execution_constraints.constraints() if limited else None,
            command_id=self.command_id or None,
        )


class CommandCancel(Payload):
    """COMMAND_CANCEL from a dashboard (CMD-7)."""

    command_id: Uuid
    reason: str = ""


class CommandAck(Payload):
    """COMMAND_ACK from an agent (CMD-2)."""

    command_id: Uuid
    agent_id: AgentId
    status: Literal["RECEIVED", "QUEUED", "EXECUTING"]
    queue_position: Count = 0


class CommandComplete(Payload):
    """COMMAND_COMPLETE from an agent (CMD-2)."""

    command_id: Uuid
    agent_id: AgentId
    status: Literal["COMPLETED", "FAILED", "CANCELLED"]
    execution_time: Amount
    tokens_used: Count
    error: str = ""
    output_stats: dict[str, Any] = Field(default_factory=dict)

    def ending(self) -> Ending:
        """Say it in the words of the domain."""
        error = self.error if "error" in self.model_fields_set else None
        return Ending(CommandStatus(self.status), error, self.execution_time, self.tokens_used)


class AgentControl(Payload):
    """AGENT_CONTROL from a dashboard (CTL-1)."""

    agent_id: AgentId
    action: Literal["STOP", "RESTART", "PAUSE", "RESUME"]
    reason: str = ""

    @property
    def control(self) -> ControlAction:
        """The action in the words of the domain."""
        return ControlAction(self.action)


class EmergencyStop(Payload):
    """EMERGENCY_STOP from a dashboard (STP-1)."""

    reason: str = ""


def reason_of(said: CommandCancel | AgentControl | EmergencyStop) -> str | None:
    """The reason, if one was given."""
    return said.reason if "reason" in said.model_fields_set else None
