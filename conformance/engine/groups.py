"""Which users a case plays: a group of its own while it lasts, where the target has several."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conformance.rule import Provocation

OF_THE_FIRST = frozenset({"account", "mail"})
"""Needs that the profile names for the first user alone."""
BEYOND_USERS = frozenset({"restart", "rest-limit", "load", "destructive"})
"""Needs of cases that other users feel too, or would if the backend were wrong."""


class Groups:
    """The groups of a run's users. The first belongs to nobody: it is shared by all who need it, or have no other."""

    def __init__(self, groups: tuple[tuple[str, ...], ...], *, bundled: bool = False) -> None:
        self._first, *own = groups
        self._free: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self._are_several = bool(own)
        self._bundled = bundled
        for group in own:
            self._free.put_nowait(group)

    def bears_company(self, provocation: Provocation) -> bool:
        """Whether other cases may run beside one.

        The bundled reference has servers of their own for what is felt beyond a user.
        """
        if provocation.heavy or provocation.timed:
            return False
        far = provocation.needs & BEYOND_USERS and not self._bundled
        return not provocation.alone or (self._are_several and not far)

    @asynccontextmanager
    async def lent(self, provocation: Provocation) -> AsyncIterator[tuple[str, ...]]:
        """The users that a case plays, for as long as it lasts."""
        if not self._are_several or provocation.needs & OF_THE_FIRST:
            yield self._first
            return
        group = await self._free.get()
        try:
            yield group
        finally:
            self._free.put_nowait(group)
