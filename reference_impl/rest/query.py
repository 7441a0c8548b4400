"""Query parameters, read as strictly as JSON (VAL-1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query
from pydantic import BeforeValidator

if TYPE_CHECKING:
    from enum import StrEnum

_INTEGER: Final = re.compile(r"-?[0-9]{1,4000}")
_FARTHEST: Final = 2**63 - 1


def _integer(value: Any) -> Any:
    """Take digits only: no blanks, no `1.0`, no `1_000`."""
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise ValueError("must be an integer")
        return min(int(value), _FARTHEST)
    return value


def one_of(kind: type[StrEnum], value: str | None) -> Any:
    """Read a word of an enumeration in any case (AGT-13)."""
    if value is None:
        return None
    word = value.upper()
    if word not in kind.__members__ or not value.isascii():
        raise ValueError(f"must be one of {', '.join(kind)}")
    return kind(word)


Limit = Annotated[int, BeforeValidator(_integer), Query(ge=1, le=100)]
Offset = Annotated[int, BeforeValidator(_integer), Query(ge=0)]
