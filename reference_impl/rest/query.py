"""Query parameters, read as strictly as JSON (VAL-1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query
from pydantic import BeforeValidator, Field, WithJsonSchema

from reference_impl.domain.times import RFC3339, parse_rfc3339
from reference_impl.domain.vocabulary import AGENT_ID, is_agent_id
from reference_impl.rest.path import is_uuid

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


def any_case(kind: type[StrEnum]) -> WithJsonSchema:
    """Say in the document that a word of an enumeration is read in any case."""
    words = ("".join(f"[{letter}{letter.lower()}]" if letter.isalpha() else letter for letter in word) for word in kind)
    return WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(words)})$"})


def _agent_id(value: Any) -> Any:
    if isinstance(value, str) and not is_agent_id(value):
        raise ValueError("must be an agent id")
    return value


def _uuid(value: Any) -> Any:
    if isinstance(value, str) and not is_uuid(value):
        raise ValueError("must be a UUID")
    return value


def _moment(value: Any) -> Any:
    return parse_rfc3339(value) if isinstance(value, str) else value


Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(_integer), Query()]
AuditLimit = Annotated[int, Field(ge=1, le=1_000), BeforeValidator(_integer), Query(alias="limit")]
OutputLimit = Annotated[int, Field(ge=1, le=10_000), BeforeValidator(_integer), Query(alias="limit")]
Offset = Annotated[int, Field(ge=0, le=2**53 - 1), BeforeValidator(_integer), Query()]

AgentIdFilter = Annotated[
    str | None,
    BeforeValidator(_agent_id),
    WithJsonSchema({"type": "string", "pattern": AGENT_ID}),
    Query(alias="agentId"),
]
CommandIdFilter = Annotated[
    str | None,
    BeforeValidator(_uuid),
    WithJsonSchema({"type": "string", "format": "uuid"}),
    Query(alias="commandId"),
]
Moment = Annotated[
    int | None,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": RFC3339}),
]
"""A time, as milliseconds since 1970; a route adds `Query(alias=…)`."""
