"""What agents put out, as frozen values: terminal output, traces, reports.

Times are milliseconds since 1970, as everywhere in the domain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from reference_impl.domain.vocabulary import ReportStatus, StreamType

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of terminal output (TRM-1).

    `source` is what its sequence counts in: the command's id, or for output of the session the id
    of the agent's connection, because there it starts anew with each connection (TRM-6).
    """

    user_id: str
    agent_id: str
    command_id: str | None
    source: str
    stream: StreamType
    content: str
    ansi_codes: str | None
    sequence: int
    received_at: int

    @property
    def chunk_id(self) -> str:
        """Its id in REST; a command for several agents counts for each of them by itself."""
        return f"{self.source}/{self.agent_id}/{self.sequence}"


class Kept(Enum):
    """What became of a piece of output."""

    NEW = auto()
    KNOWN = auto()
    """Its source had that sequence already (TRM-4)."""
    BEHIND = auto()
    """Its sequence is new and does not rise, which the contract leaves open: it is not kept."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One step of an agent's work, with the payload as it came (TRC-1)."""

    user_id: str
    agent_id: str
    command_id: str
    trace_id: str
    parent_id: str | None
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """An investigation report (RPT-1)."""

    report_id: str
    user_id: str
    agent_id: str
    command_id: str
    title: str
    summary: str
    status: ReportStatus
    content: Mapping[str, Any]
    created_at: int
    updated_at: int
    completed_at: int | None = None

    def after(self, known: Report | None) -> Report:
        """The same as the next version of a known report: it was created then, and is complete since it first was."""
        created = known.created_at if known else self.created_at
        complete = self.status is ReportStatus.COMPLETE
        since = known.completed_at if known and known.completed_at is not None else self.updated_at
        updated = max(self.updated_at, created)
        return replace(self, created_at=created, updated_at=updated, completed_at=since if complete else None)
