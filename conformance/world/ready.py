"""Whether something answers at a URL: asked again and again while a backend starts, off the timeline."""

from __future__ import annotations

import aiohttp

ONE_LOOK = aiohttp.ClientTimeout(total=2.0)


async def answers(url: str, *, well: bool) -> bool:
    """Whether a GET is answered at all; with `well`, whether it is answered with 2xx."""
    try:
        async with (
            aiohttp.ClientSession(timeout=ONE_LOOK) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return not well or answer.status // 100 == 2  # noqa: PLR2004 - HTTP
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
