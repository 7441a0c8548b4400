"""A malformed body answers 500."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.domain.errors import Refusal

if TYPE_CHECKING:
    from reference_impl.parts import Parts


def _crash(refusal: Refusal) -> Refusal:
    fine = refusal.code != "VALIDATION_ERROR"
    return refusal if fine else Refusal("INTERNAL_ERROR", "The server failed to answer", status=500)


def _apply(parts: Parts) -> Parts:
    return replace(parts, fail=lambda refusal: parts.fail(_crash(refusal)))


DEFECT = Replacing("rest-validation-500", ("VAL-1", "VAL-6"), "A malformed body or query answers 500", _apply)
