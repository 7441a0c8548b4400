"""An unknown agent id answers 500."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.domain.errors import Refusal

if TYPE_CHECKING:
    from reference_impl.parts import Parts


def _crash(refusal: Refusal) -> Refusal:
    found = refusal.code != "AGENT_NOT_FOUND"
    return refusal if found else Refusal("INTERNAL_ERROR", "The server failed to answer", status=500)


def _apply(parts: Parts) -> Parts:
    return replace(parts, fail=lambda refusal: parts.fail(_crash(refusal)))


DEFECT = Replacing("rest-404-is-500", ("AGT-5", "VAL-6"), "An unknown agent id answers 500", _apply)
