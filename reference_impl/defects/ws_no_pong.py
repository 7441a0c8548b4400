"""PING gets a generic ACK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import serving
from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.live.handlers import Handle
    from reference_impl.live.session import Session


def _generic(_handle: Handle) -> Handle:
    async def acknowledge(session: Session, _said: Any, message_id: str | None) -> None:
        session.ack(message_id)

    return acknowledge


DEFECT = Replacing("ws-no-pong", ("PING-1",), "PING gets a generic ACK", serving("PING", _generic))
