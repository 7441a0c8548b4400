"""The last look of every case: once nothing more comes, what REST and a fresh dashboard show of its agents (CNS-1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.views import deletions, narrowed

if TYPE_CHECKING:
    from conformance.timeline import Timeline
    from conformance.world.world import World

MOST = 6
"""Agents of a user that are looked at: the latest."""


async def last_look(world: World) -> None:
    """Reads each agent for whose events a dashboard still listens, so that what it was told can be compared."""
    watched = _watched(world.timeline())
    if not watched:
        return
    await world.quiet()
    for (name, node), agents in watched.items():
        user = world.user(world.users.index(name), node)
        await asyncio.gather(*(user.rest.get(f"/agents/{agent}") for agent in agents[-MOST:]))
        await user.dashboard()


def _watched(t: Timeline) -> dict[tuple[str, str], list[str]]:
    """User and node → the agents of this case that a dashboard there watches."""
    listening = [d for d in t.dashboards if d.snapshots and d.closed is None and not narrowed(d)]
    found: dict[tuple[str, str], list[str]] = {
        (d.user, d.opened.node): [] for d in listening if d.user in t.owners.values()
    }
    for place, agents in found.items():
        agents += [a for a, owner in t.owners.items() if owner == place[0] and not deletions(t, a)]
    return {place: agents for place, agents in found.items() if agents}
