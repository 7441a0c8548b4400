"""The words on the wire (contract section 1): enumerations and the shape of an id (CASE-1)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class AgentType(StrEnum):
    """What kind of model drives an agent."""

    CLAUDE = "CLAUDE"
    GEMINI = "GEMINI"
    CODEX = "CODEX"
    CUSTOM = "CUSTOM"


class AgentStatus(StrEnum):
    """Whether an agent can be reached."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    CONNECTING = "CONNECTING"
    ERROR = "ERROR"


class ActivityState(StrEnum):
    """What an agent is doing."""

    IDLE = "IDLE"
    PROCESSING = "PROCESSING"
    QUEUED = "QUEUED"


class CommandType(StrEnum):
    """What kind of work a command asks for."""

    NATURAL = "NATURAL"
    INVESTIGATE = "INVESTIGATE"
    REVIEW = "REVIEW"
    PLAN = "PLAN"
    SYNTHESIZE = "SYNTHESIZE"


class CommandStatus(StrEnum):
    """How far a command is."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether nothing can follow."""
        return self in {CommandStatus.COMPLETED, CommandStatus.FAILED, CommandStatus.CANCELLED}


class ControlAction(StrEnum):
    """What an agent is told to do."""

    STOP = "STOP"
    RESTART = "RESTART"
    PAUSE = "PAUSE"
    RESUME = "RESUME"


class StreamType(StrEnum):
    """Which stream of a terminal a piece of output came from."""

    STDOUT = "STDOUT"
    STDERR = "STDERR"


class TraceType(StrEnum):
    """What a trace entry records."""

    LLM_PROMPT = "LLM_PROMPT"
    TOOL_CALL = "TOOL_CALL"
    RESPONSE = "RESPONSE"


class ReportStatus(StrEnum):
    """How far a report is."""

    DRAFT = "DRAFT"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETE = "COMPLETE"


class Role(StrEnum):
    """Which side of the system a socket belongs to."""

    AGENT = "agent"
    DASHBOARD = "dashboard"


AGENT_ID: Final = r"^[A-Za-z0-9._:-]{1,128}$"
_AGENT_ID: Final = re.compile(AGENT_ID[:-1] + r"\Z")


def is_agent_id(text: str) -> bool:
    """Whether the text has the form of an agent id."""
    return _AGENT_ID.match(text) is not None
