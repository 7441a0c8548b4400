"""ERROR without originalMessageId."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.domain.errors import Refusal
    from reference_impl.live.session import Session
    from reference_impl.parts import Parts


def _apply(parts: Parts) -> Parts:
    def refuse(session: Session, refusal: Refusal, _message_id: str | None) -> None:
        parts.refuse(session, refusal, None)

    return replace(parts, refuse=refuse)


DEFECT = Replacing("ws-error-uncorrelated", ("WSX-1",), "ERROR without originalMessageId", _apply)
