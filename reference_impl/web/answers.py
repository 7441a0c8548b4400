"""The two bodies of REST (ENV-1..3), written in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_impl.domain.errors import Refusal

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as REST answers it."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The finished answer."""
        return Response(orjson.dumps(self.body), self.status, dict(self.headers), JSON)


def failure_of(refusal: Refusal) -> Failure:
    """Say a refusal over REST."""
    body: dict[str, Any] = {"success": False, "error": refusal.sentence, "code": refusal.code}
    if refusal.details is not None:
        body["details"] = refusal.details
    return Failure(refusal.status, body, refusal.headers)


def success(data: Any, status: int = 200) -> Response:
    """Answer with one thing."""
    return Response(orjson.dumps({"success": True, "data": data}), status, media_type=JSON)


def listing(data: Sequence[Any], *, total: int, limit: int, offset: int) -> Response:
    """Answer with a page; `total` counts all matches."""
    pagination = {"total": total, "limit": limit, "offset": offset}
    return Response(orjson.dumps({"success": True, "data": data, "pagination": pagination}), media_type=JSON)


def plain(data: Any, status: int = 200) -> Response:
    """Answer with JSON outside the envelope: health and documents."""
    return Response(orjson.dumps(data), status, media_type=JSON)
