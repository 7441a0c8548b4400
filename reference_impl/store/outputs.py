"""Where what agents put out is kept: the port.

A query names the user it is for. Pages may be large and their rows too, so a page is first found
(`Found`) and then read in groups, each of bounded size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reference_impl.domain.forest import Node
    from reference_impl.domain.output import Chunk, Kept, Report, Trace
    from reference_impl.domain.vocabulary import ReportStatus, StreamType

_GROUP_ROWS: Final = 500
_GROUP_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Room:
    """How many rows of each kind are kept for each user."""

    output: int
    traces: int
    reports: int


@dataclass(frozen=True, slots=True)
class OutputQuery:
    """Which page of which terminal output: of an agent, of a command, or of both (TRM-7)."""

    user_id: str
    agent_id: str | None = None
    command_id: str | None = None
    stream: StreamType | None = None
    since: int | None = None
    limit: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """Which page of which reports (RPT-2)."""

    user_id: str
    agent_id: str | None = None
    status: ReportStatus | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, by position with their sizes, and how many match altogether."""

    rows: Sequence[tuple[int, int]]
    total: int

    def groups(self) -> Iterator[Sequence[int]]:
        """The positions, in groups that can be read at once."""
        return grouped(self.rows)


def grouped(rows: Iterable[tuple[int, int]]) -> Iterator[Sequence[int]]:
    """Split rows, given by position and size, into groups of bounded size; a row larger than that is one by itself."""
    group = _Group()
    for position, size in rows:
        if group.positions and (len(group.positions) >= _GROUP_ROWS or group.size + size > _GROUP_BYTES):
            yield group.positions
            group = _Group()
        group.positions.append(position)
        group.size += size
    if group.positions:
        yield group.positions


@dataclass(slots=True)
class _Group:
    positions: list[int] = field(default_factory=list)
    size: int = 0


class OutputStore(Protocol):
    """The output of all users; what a method did is committed when it returns.

    Each user has room for so many rows of each kind; beyond that the oldest go.
    """

    async def append(self, chunk: Chunk) -> Kept:
        """Keep a chunk, if its sequence is above all of its source (TRM-4)."""

    async def find_output(self, query: OutputQuery) -> Found:
        """Find a page of terminal output, oldest first."""

    async def chunks(self, positions: Sequence[int]) -> Sequence[Chunk]:
        """Read chunks, in this order; those that are gone are left out."""

    async def save_trace(self, trace: Trace) -> bool:
        """Insert, or update by trace id within the command; False if that id is another agent's there."""

    async def find_traces(self, user_id: str, command_id: str) -> Sequence[Node]:
        """All entries of a command, in the order they came."""

    async def traces(self, positions: Sequence[int]) -> Sequence[Trace]:
        """Read entries, in this order."""

    async def save_report(self, report: Report) -> bool:
        """Insert, or update by report id; False if that id is another agent's or user's (RPT-1)."""

    async def report(self, user_id: str, report_id: str) -> Report | None:
        """The user's report."""

    async def find_reports(self, query: ReportQuery) -> Found:
        """Find a page of reports, newest first."""

    async def reports(self, positions: Sequence[int]) -> Sequence[Report]:
        """Read reports, in this order."""
