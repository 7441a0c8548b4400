"""What agents put out, one handler per message type (TRM-1, TRC-1, RPT-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference_impl.domain.output_messages import InvestigationReport, TerminalOutput, TraceEvent
from reference_impl.domain.vocabulary import Role
from reference_impl.live.handlers import Handler, Handlers, own

if TYPE_CHECKING:
    from reference_impl.live.session import Session


async def terminal_output(session: Session, said: TerminalOutput, message_id: str | None) -> None:
    """TERMINAL_OUTPUT → ACK, and TERMINAL_STREAM to dashboards."""
    link = own(session, said.agent_id)
    await session.core.output.write(session.user_id, link, said, lambda: session.ack(message_id))


async def trace_event(session: Session, said: TraceEvent, message_id: str | None) -> None:
    """TRACE_EVENT → ACK, and TRACE_STREAM to dashboards."""
    link = own(session, said.agent_id)
    await session.core.output.trace(session.user_id, link, said, lambda: session.ack(message_id))


async def investigation_report(session: Session, said: InvestigationReport, message_id: str | None) -> None:
    """INVESTIGATION_REPORT → ACK."""
    link = own(session, said.agent_id)
    await session.core.output.report(session.user_id, link, said, lambda: session.ack(message_id))


OUTPUT_HANDLERS: Final[Handlers] = {
    Role.AGENT: {
        "TERMINAL_OUTPUT": Handler(TerminalOutput, terminal_output),
        "TRACE_EVENT": Handler(TraceEvent, trace_event),
        "INVESTIGATION_REPORT": Handler(InvestigationReport, investigation_report),
    }
}
