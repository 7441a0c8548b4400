"""From a text frame to its handler, and every failure to its answer (WSX-1..3, WSA-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from reference_impl.domain.catalogue import FROM_CLIENT, KNOWN, ROLE_MESSAGE
from reference_impl.domain.errors import Refusal, invalid_message
from reference_impl.live.codec import Envelope, Malformed
from reference_impl.live.witness import witnessed

if TYPE_CHECKING:
    from reference_impl.domain.vocabulary import Role
    from reference_impl.live.handlers import Handler
    from reference_impl.live.session import Session


async def dispatch(session: Session, text: str, endpoint: Role | None) -> None:
    """Serve one message, or refuse it; a fault of ours is told as one, and logged (WSX-7, WSX-8)."""
    parts = session.core.parts
    message_id: str | None = None
    try:
        envelope = parts.codec.decode(text)
        message_id = envelope.id
        handler = _handler(session, envelope, endpoint)
        payload = _payload(handler, envelope)
        async with witnessed(session, envelope):
            await handler.handle(session, payload, message_id)
    except Malformed as refusal:
        parts.refuse(session, refusal, refusal.message_id)
    except Refusal as refusal:
        parts.refuse(session, refusal, message_id)
    except Exception:
        parts.log.exception("message_failed", user=session.user_id)
        parts.refuse(session, Refusal("INTERNAL_ERROR", "The server failed to serve the message"), message_id)


def refuse(session: Session, refusal: Refusal, message_id: str | None) -> None:
    """Answer a message that is not served: ERROR, and the end of the connection where a clause says so."""
    session.connection.error(refusal, message_id)
    if refusal.close is not None:
        session.connection.close(refusal.close, refusal.sentence)


def _handler(session: Session, envelope: Envelope, endpoint: Role | None) -> Handler:
    """Find the handler; what is refused here has changed nothing."""
    parts, kind = session.core.parts, envelope.type
    role = session.role or endpoint or ROLE_MESSAGE.get(kind)
    if session.role is None and kind not in parts.before_init:
        raise Refusal("NOT_INITIALIZED", "The first message must be AGENT_CONNECT or DASHBOARD_INIT")  # WSA-2
    if kind not in KNOWN:
        raise Refusal("UNKNOWN_MESSAGE_TYPE", "The contract has no such message type")  # WSX-2
    if role is None or kind not in FROM_CLIENT[role]:
        raise Refusal("INVALID_MESSAGE_TYPE", f"{kind} cannot be sent here")  # WSX-3
    handler = parts.handlers[role].get(kind)
    if handler is None:
        raise Refusal("INVALID_STATE", f"{kind} is part of the contract, but this server does not serve it yet")
    return handler


def _payload(handler: Handler, envelope: Envelope) -> Any:
    try:
        return handler.model.model_validate(envelope.payload)
    except ValidationError as error:
        errors = [
            {"pointer": pointer("/payload", found["loc"]), "message": found["msg"]}
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        where = errors[0]["pointer"]
        raise invalid_message(f"The payload of {envelope.type} is wrong at {where}", errors) from None


def pointer(base: str, path: tuple[int | str, ...]) -> str:
    """Write pydantic's path as a JSON pointer."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "/".join((base, *steps))
