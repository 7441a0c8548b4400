"""Terminal output as REST shows it, beside what was streamed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from conformance import reading
from conformance.rest_views import judged, number, owner_of
from conformance.stream_views import WITHIN, Piece, carriage, commands, outputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.timeline import Exchange, Frame, Timeline

OK = 200
LIMIT: Final = 1000
"""TRM-7: how many pieces a page has when no limit is given."""
BOTH = ("getTerminalOutput", "getCommandOutput")


@dataclass(frozen=True, slots=True)
class History:
    """An answer with terminal output of an agent, or of a command, to its owner."""

    where: Exchange
    rows: list[dict[str, Any]]
    of: str
    """The agent or command that the path names."""

    @property
    def is_agents(self) -> bool:
        """Whether the path names an agent."""
        return self.where.operation == "getTerminalOutput"

    @property
    def limit(self) -> int:
        """How many rows it may have."""
        return number(self.where, "limit", LIMIT)

    @property
    def offset(self) -> int:
        """How many rows it was to leave out."""
        return number(self.where, "offset", 0)

    @property
    def is_whole(self) -> bool:
        """Whether it holds all there is."""
        return not self.offset and "since" not in self.where.query and len(self.rows) < self.limit

    def concerns(self, p: Piece) -> bool:
        """Whether a piece belongs into it, were all on one page."""
        query = self.where.query
        asked = query.get("commandId")
        return (
            (p.agent_id if self.is_agents else p.command) == self.of
            and query.get("streamType", p.payload["streamType"]) == p.payload["streamType"]
            and (asked is None or reading.same_id(asked) == p.command)
        )


def histories(t: Timeline, *operations: str) -> Iterator[History]:
    """Each whole 200 answer of these operations to the owner of what they ask for."""
    for e in judged(t):
        if e.operation not in (operations or BOTH) or e.status != OK:
            continue
        found = reading.rows(e.value)
        of = reading.same_id(subject(e))
        owner = owner_of(t, of, e.at) if e.operation == "getTerminalOutput" else commands(t).get(of, ("", None))[0]
        if found is not None and owner == e.user:
            yield History(e, [row for row in found if isinstance(row, dict)], of)


def subject(e: Exchange) -> str:
    """The id in a path's second segment."""
    parts = e.path.split("/")
    return parts[2] if len(parts) > 2 else ""  # noqa: PLR2004 - "", resource, id


def settled(p: Piece, e: Exchange, t: Timeline) -> bool:
    """Whether a piece had been dealt with, and all was quiet, before a request."""
    done = p.ack.at if p.ack else p.sent.at
    return e.at - done >= WITHIN or any(n.kind == "quiet" and done < n.at < e.at for n in t.notes)


def streamed(p: Piece, t: Timeline) -> Frame | None:
    """The message by which a dashboard was told of a piece, if one was."""
    for dashboard in t.dashboards_of(p.said.connection.user):
        if frames := carriage(t, dashboard).get(p.sent.seq):
            return frames[0]
    return None


def row_key(row: dict[str, Any]) -> tuple[Any, Any, Any]:
    """What tells a row from others: agent, command (or the agent, for its session), sequence."""
    agent, command, part = reading.piece(row)
    return agent, agent if command is None else command, part


def expected(h: History, t: Timeline) -> list[Piece]:
    """The pieces that must be in it: new, accepted or streamed, and settled."""
    return [
        p
        for p in outputs(t)
        if h.concerns(p) and p.nature == "new" and not p.is_refused and settled(p, h.where, t)
        if p.ack or streamed(p, t)
    ]


def possible(h: History, t: Timeline) -> list[Piece]:
    """All pieces that may be in it: those that must, and those of which the contract or the time says nothing."""
    return [
        p
        for p in outputs(t)
        if h.concerns(p) and p.sent.at < h.where.ended and not (p.is_refused and settled(p, h.where, t))
        if p.nature != "repeat"
    ]


def is_new(agent_id: str, t: Timeline) -> bool:
    """Whether an agent had no history before this timeline."""
    return any(n.kind == "new-agent" and n.data.get("agent") == agent_id for n in t.notes)


def moment(value: object) -> datetime | None:
    """An RFC 3339 time; None for anything else."""
    try:
        when = datetime.fromisoformat(value.upper()) if isinstance(value, str) else None
    except ValueError:
        return None
    return when if when and when.tzinfo else None
