"""The handlers of what is said about commands and control (ACK-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference_impl.domain.command_messages import (
    AgentControl,
    CommandAck,
    CommandCancel,
    CommandComplete,
    CommandRequest,
    EmergencyStop,
    reason_of,
)
from reference_impl.domain.vocabulary import Role
from reference_impl.live.handlers import Handler, Handlers, own

if TYPE_CHECKING:
    from reference_impl.live.session import Session


async def command_request(session: Session, said: CommandRequest, message_id: str | None) -> None:
    """COMMAND_REQUEST from a dashboard (CMD-1, CMD-6)."""
    await session.core.commands.create(
        session.user_id, said.wish(), lambda command: session.ack(message_id, commandId=command.command_id)
    )


async def command_cancel(session: Session, said: CommandCancel, message_id: str | None) -> None:
    """COMMAND_CANCEL from a dashboard (CMD-7)."""
    await session.core.commands.cancel(
        session.user_id,
        said.command_id,
        reason_of(said),
        lambda command: session.ack(message_id, commandId=command.command_id),
    )


async def command_ack(session: Session, said: CommandAck, message_id: str | None) -> None:
    """COMMAND_ACK from an agent (CMD-2)."""
    link = own(session, said.agent_id)
    started = said.status == "EXECUTING"
    await session.core.commands.acknowledge(
        session.user_id, link, said.command_id, started=started, answer=lambda: session.ack(message_id)
    )


async def command_complete(session: Session, said: CommandComplete, message_id: str | None) -> None:
    """COMMAND_COMPLETE from an agent (CMD-2)."""
    link = own(session, said.agent_id)
    await session.core.commands.complete(
        session.user_id, link, said.command_id, said.ending(), lambda: session.ack(message_id)
    )


async def agent_control(session: Session, said: AgentControl, message_id: str | None) -> None:
    """AGENT_CONTROL from a dashboard (CTL-1)."""
    await session.core.control.control(
        session.user_id, said.agent_id, said.control, reason_of(said), lambda: session.ack(message_id)
    )


async def emergency_stop(session: Session, said: EmergencyStop, message_id: str | None) -> None:
    """EMERGENCY_STOP from a dashboard (STP-1)."""
    await session.core.control.emergency_stop(
        session.user_id, reason_of(said), lambda _stopped: session.ack(message_id)
    )


COMMAND_HANDLERS: Final[Handlers] = {
    Role.AGENT: {
        "COMMAND_ACK": Handler(CommandAck, command_ack),
        "COMMAND_COMPLETE": Handler(CommandComplete, command_complete),
    },
    Role.DASHBOARD: {
        "COMMAND_REQUEST": Handler(CommandRequest, command_request),
        "COMMAND_CANCEL": Handler(CommandCancel, command_cancel),
        "AGENT_CONTROL": Handler(AgentControl, agent_control),
        "EMERGENCY_STOP": Handler(EmergencyStop, emergency_stop),
    },
}
