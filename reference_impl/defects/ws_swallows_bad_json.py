"""Malformed frames get no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.live.codec import Malformed

if TYPE_CHECKING:
    from reference_impl.domain.errors import Refusal
    from reference_impl.live.session import Session
    from reference_impl.parts import Parts


def _apply(parts: Parts) -> Parts:
    def refuse(session: Session, refusal: Refusal, message_id: str | None) -> None:
        if not isinstance(refusal, Malformed):
            parts.refuse(session, refusal, message_id)

    return replace(parts, refuse=refuse)


DEFECT = Replacing("ws-swallows-bad-json", ("WSX-1",), "Malformed frames get no answer", _apply)
