"""What races have in common: something is looked up, a moment passes, and it is acted upon as if it still held."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._through import Through

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reference_impl.hub import Link, Presence

QUERY_S: Final = 0.03
"""About one query to a database that is busy."""
_SEEN: ContextVar[dict[str, Link | None] | None] = ContextVar("seen", default=None)


async def a_query() -> None:
    """Take as long as a query does."""
    await asyncio.sleep(QUERY_S)


class AsItWas(Through):
    """Who is connected; where that was looked up before, as it was then."""

    def get(self, agent_id: str) -> Any:
        seen = _SEEN.get() or {}
        return seen[agent_id] if agent_id in seen else self.inner.get(agent_id)


@contextmanager
def seeing(presence: Presence, agent_ids: Iterable[str]) -> Iterator[None]:
    """Look these agents' connections up now; within, they stay what they are."""
    seen = {agent_id: presence.get(agent_id) for agent_id in agent_ids}
    token = _SEEN.set(seen)
    try:
        yield
    finally:
        _SEEN.reset(token)
        seen.clear()  # what was begun meanwhile, and goes on, sees what is
