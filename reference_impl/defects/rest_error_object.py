"""The `error` of a failure is an object, which clients show as "[object Object]"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.domain.errors import Refusal
    from reference_impl.parts import Parts
    from reference_impl.web.answers import Failure


def _apply(parts: Parts) -> Parts:
    def fail(refusal: Refusal) -> Failure:
        right = parts.fail(refusal)
        return replace(right, body={**right.body, "error": {"message": refusal.sentence, "code": refusal.code}})

    return replace(parts, fail=fail)


DEFECT = Replacing("rest-error-object", ("ENV-2",), "The error of a failure is an object", _apply)
