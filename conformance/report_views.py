"""Reports on a timeline: what agents sent, whose each is, and how REST shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.dialogue import Said, is_valid, said_on
from conformance.rest_views import judged
from conformance.stream_views import own_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.connection import Connection
    from conformance.timeline import Exchange, Frame, Timeline

OK = 200


@dataclass(frozen=True, slots=True)
class Reported:
    """An INVESTIGATION_REPORT in shape that an agent sent in its own name."""

    said: Said
    agent: Connection

    @property
    def sent(self) -> Frame:
        """The message."""
        return self.said.sent

    @property
    def payload(self) -> dict[str, Any]:
        """What it says."""
        return self.said.sent.payload

    @property
    def id(self) -> Any:
        """The report's id."""
        return reading.same_id(self.payload["reportId"])

    @property
    def ack(self) -> Frame | None:
        """The backend's yes."""
        answers = self.said.answers
        no = any(a.kind == "ERROR" or a.payload.get("success") is False for a in answers)
        return None if no else next((a for a in answers if a.kind == "ACK"), None)


def reported(t: Timeline) -> list[Reported]:
    """Every one, in the order of sending."""
    return t.remember(_reported)


def _reported(t: Timeline) -> list[Reported]:
    found = [
        Reported(s, agent)
        for agent in t.agents
        for s in said_on(agent)
        if s.sent.type == "INVESTIGATION_REPORT" and s.ready and is_valid(s, t)
        if s.sent.payload["agentId"] in own_names(agent)
    ]
    return sorted(found, key=lambda r: r.sent.seq)


def makers(t: Timeline) -> Mapping[Any, Reported]:
    """Each report's id, with the first message that made it."""
    return t.remember(_makers)


def _makers(t: Timeline) -> Mapping[Any, Reported]:
    found: dict[Any, Reported] = {}
    for r in reported(t):
        if r.ack is not None:
            found.setdefault(r.id, r)
    return found


def is_own(r: Reported, t: Timeline) -> bool:
    """Whether a report is the sender's: new, or made by the same agent."""
    maker = makers(t).get(r.id, r)
    return maker.agent.agent_id == r.agent.agent_id and maker.agent.user == r.agent.user


def said_last(report: Any, e: Exchange, t: Timeline) -> Reported | None:
    """The last message about a report when it was asked for; None where one was under way, or none had come."""
    mine = [r for r in reported(t) if r.id == report and r.sent.at < e.ended and is_own(r, t)]
    if not mine or any(r.said.answers and r.ack is None for r in mine):
        return None
    return mine[-1] if all(r.ack and r.ack.at < e.at for r in mine) else None


def lists(t: Timeline) -> Iterator[tuple[Exchange, list[dict[str, Any]]]]:
    """Each list of reports."""
    for e in judged(t):
        if e.operation == "listReports" and e.status == OK and (rows := reading.rows(e.value)) is not None:
            yield e, [row for row in rows if isinstance(row, dict)]


def looks(t: Timeline) -> Iterator[tuple[Exchange, dict[str, Any]]]:
    """Each report as GET /reports/{reportId} gave it."""
    for e in judged(t):
        data = e.value.get("data") if isinstance(e.value, dict) else None
        if e.operation == "getReport" and e.status == OK and isinstance(data, dict):
            yield e, data
