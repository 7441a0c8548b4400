"""The optional body `{reason?}` of operations that may be given a reason (AGT-12, CMD-7, STP-1)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Body, Depends
from pydantic import BaseModel, ConfigDict

from reference_impl.rest.caller import optional_json_body


class Given(BaseModel):
    """The body."""

    model_config = ConfigDict(strict=True)

    reason: str = ""


Reason = Annotated[Given | None, Body()]
WithReason: Final = Depends(optional_json_body)


def reason_in(body: Given | None) -> str | None:
    """The reason, if one was given."""
    return body.reason if body is not None and "reason" in body.model_fields_set else None
