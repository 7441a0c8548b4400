"""The agentId in a payload is trusted over the connection's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from reference_impl.defects._steps import serving
from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.domain.messages import AgentError, AgentHeartbeat
    from reference_impl.live.handlers import Handle
    from reference_impl.live.session import AgentLink, Session
    from reference_impl.parts import Parts


def _trusting(handle: Handle) -> Handle:
    async def as_claimed(session: Session, said: AgentHeartbeat | AgentError, message_id: str | None) -> None:
        own, claimed = session.link, session.core.parts.presence.get(said.agent_id)
        session.link = cast("AgentLink", claimed) if claimed else own
        try:
            await handle(session, said, message_id)
        finally:
            session.link = own

    return as_claimed


def _apply(parts: Parts) -> Parts:
    return serving("AGENT_ERROR", _trusting)(serving("AGENT_HEARTBEAT", _trusting)(parts))


DEFECT = Replacing("agent-spoof", ("CON-6",), "payload.agentId is trusted over the connection's", _apply)
