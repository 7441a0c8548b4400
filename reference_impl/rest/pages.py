"""Large answers, written while they are read: the memory they take has a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response, StreamingResponse

from reference_impl.web.answers import JSON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from reference_impl.store.outputs import Found

_PIECE: Final = 64 * 1024
"""Bytes that are sent at a time."""


async def page(
    found: Found,
    read: Callable[[Sequence[int]], Awaitable[Sequence[Any]]],
    show: Callable[[Any], Any],
    *,
    limit: int,
    offset: int,
) -> Response:
    """Answer with a page of a list, read group by group (ENV-1).

    Args:
        found: which rows.
        read: reads a group of them.
        show: says how one looks.
        limit: as asked for.
        offset: as asked for.
    """
    groups = list(found.groups())

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"success":true,"data":['
        comma = b""
        for group in groups:
            for row in await read(group):
                yield comma + orjson.dumps(show(row))
                comma = b","
        yield b'],"pagination":' + orjson.dumps({"total": found.total, "limit": limit, "offset": offset}) + b"}"

    return await written(pieces(), at_once=len(groups) <= 1)


async def written(pieces: AsyncIterator[bytes], *, at_once: bool) -> Response:
    """Answer with JSON in pieces: put together if it is small, else one after the other."""
    if at_once:
        return Response(b"".join([piece async for piece in pieces]), media_type=JSON)
    return StreamingResponse(_larger(pieces), media_type=JSON)


async def _larger(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same in fewer pieces, since each is sent by itself."""
    waiting, size = [], 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size > _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
