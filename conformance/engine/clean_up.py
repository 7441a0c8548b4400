"""Removes what a run made on a backend that stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from conformance.world.world import World

if TYPE_CHECKING:
    from conformance.world.site import Site


async def clean_up(site: Site) -> None:
    """Removes what this run made; a backend that cannot is left as it is, and so is one that ends with the run."""
    if site.target.bundled:
        return
    gate = asyncio.Semaphore(8)

    async def remove(user: str, node: str, path: str) -> None:
        world = World(site, "clean-up", users=(user,))
        async with gate:
            await world.user(0, node).rest.delete(path)

    agents = [(*place, f"/agents/{agent}") for place, made in site.made.items() for agent in made]
    others = [(user, "", path) for user, paths in site.written.items() for path in paths]
    await asyncio.gather(*(remove(*one) for one in agents + others))
