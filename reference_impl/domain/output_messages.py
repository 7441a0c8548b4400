"""What agents put out, as payloads: TERMINAL_OUTPUT, TRACE_EVENT, INVESTIGATION_REPORT."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, PlainValidator, StringConstraints

from reference_impl.domain.messages import AgentId, Amount, Count, Payload, Uuid


def _whole(value: Any) -> int | float:
    """Take a JSON integer of any size as it is; 3.0 is one too."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError("a whole number is required")
    return value


Whole = Annotated[int | float, PlainValidator(_whole)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Summary = Annotated[str, StringConstraints(min_length=1, max_length=5000)]


class TerminalOutput(Payload):
    """TERMINAL_OUTPUT (TRM-1); the content is anything, also nothing."""

    command_id: AgentId
    """The command's id, or the agent's own for output of the session (TRM-6)."""
    agent_id: AgentId
    stream_type: Literal["STDOUT", "STDERR"]
    content: str
    sequence: Count
    ansi_codes: str = ""

    @property
    def codes(self) -> str | None:
        """The ANSI codes, if any were sent."""
        return self.ansi_codes if "ansi_codes" in self.model_fields_set else None


class TraceEvent(Payload):
    """TRACE_EVENT (TRC-1); dashboards see all of it, so unknown properties are kept."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    command_id: Uuid
    agent_id: AgentId
    trace_id: Uuid
    parent_id: Uuid | None
    type: Literal["LLM_PROMPT", "TOOL_CALL", "RESPONSE"]
    name: str
    content: dict[str, Any]
    started_at: Count
    completed_at: Count = 0
    duration_ms: Amount = 0
    tokens_used: Count = 0
    metadata: dict[str, Any] = Field(default_factory=dict)

    def as_sent(self) -> dict[str, Any]:
        """The payload, with nothing added and nothing left out."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class Section(Payload):
    """A section of a report."""

    title: str
    content: str
    order: Whole


class Finding(Payload):
    """A finding of a report."""

    type: Literal["issue", "insight", "recommendation"]
    severity: Literal["low", "medium", "high"]
    description: str
    evidence: list[str]


class Recommendation(Payload):
    """A recommendation of a report; its priority is a rank or a word."""

    priority: Whole | str
    action: str
    rationale: str


class Content(Payload):
    """The body of a report."""

    sections: list[Section]
    findings: list[Finding]
    recommendations: list[Recommendation]


class InvestigationReport(Payload):
    """INVESTIGATION_REPORT (RPT-1)."""

    command_id: Uuid
    agent_id: AgentId
    report_id: Uuid
    status: Literal["DRAFT", "IN_PROGRESS", "COMPLETE"]
    title: Title
    summary: Summary
    content: Content

    def body(self) -> dict[str, Any]:
        """The content as JSON."""
        return self.content.model_dump(by_alias=True)
