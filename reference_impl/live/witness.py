"""Every accepted message that changes something leaves an audit entry, and every socket turned away (AUD-1).

The entry is committed before the answer goes out: what is sent to the connection while such a message
is served waits in its queue until then. The next message need not wait. No handler knows of it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from reference_impl.domain.audit import LOST, MESSAGES, REFUSED, AuditEntry, event_type, said_in, text
from reference_impl.domain.errors import Refusal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Mapping

    from reference_impl.domain.agents import Agent
    from reference_impl.domain.audit import Origin
    from reference_impl.live.codec import Envelope
    from reference_impl.live.session import Session
    from reference_impl.parts import Parts

DELETED: Final = "deleted"
"""The reason of an AGENT_DISCONNECT that is no loss (DIS-4)."""


@asynccontextmanager
async def witnessed(session: Session, envelope: Envelope) -> AsyncIterator[None]:
    """Write down what a message did, before its answer is written out; a refused one did nothing."""
    if envelope.type not in MESSAGES:
        try:
            yield
        except Refusal as refusal:
            if envelope.type == "TOKEN_REFRESH":
                facts = {"message": envelope.type, "reason": refusal.sentence}
                await session.core.parts.audit.add(_entry(session, REFUSED, facts))
            raise
        return
    session.acked, written = {}, None
    with session.connection.holding() as gate:
        try:
            yield
            if session.acked.get("success", True) is True:
                written = _entry(session, event_type(envelope.type), said_in(envelope.payload), envelope.payload)
        finally:
            if written is None:
                gate.set()
    if written is not None:
        session.core.background(_written_down(session, written, gate))


async def _written_down(session: Session, entry: AuditEntry, gate: asyncio.Event) -> None:
    """Commit the entry, then let the answer out, also when it could not be written: what was done is done."""
    try:
        await session.core.parts.audit.add(entry)
    finally:
        gate.set()


def _entry(
    session: Session, kind: str, facts: Mapping[str, Any], payload: Mapping[str, Any] | None = None
) -> AuditEntry:
    parts, said = session.core.parts, payload or {}
    own = session.link.agent_id if session.link is not None else None
    return AuditEntry(
        id=parts.ids.unique(),
        event_type=kind,
        created_at=parts.clock.now_ms(),
        user_id=session.user_id,
        agent_id=text(said.get("agentId")) or own,
        command_id=text(said.get("commandId")) or text(session.acked.get("commandId")),
        details={"socket": session.role, **facts},
        origin=session.origin,
    )


def turned_away(parts: Parts, origin: Origin, refusal: Refusal) -> AuditEntry:
    """What is to be written down of a socket whose token opens nothing."""
    facts = {"socket": None, "reason": refusal.sentence}
    return AuditEntry(parts.ids.unique(), REFUSED, parts.clock.now_ms(), details=facts, origin=origin)


def lost(parts: Parts, agent: Agent, reason: str) -> None:
    """Write down that an agent was lost, the one change that nobody asked for; a deletion is written down as such."""
    if reason != DELETED:
        entry = AuditEntry(
            id=parts.ids.unique(),
            event_type=LOST,
            created_at=parts.clock.now_ms(),
            user_id=agent.user_id,
            agent_id=agent.agent_id,
            details={"reason": reason},
        )
        parts.audit.later(entry)
