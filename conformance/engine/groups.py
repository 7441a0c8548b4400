"""Which users a case plays: a group of its own while it lasts, where the target has one to spare."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from conformance.engine.plan import Case
    from conformance.rule import Provocation

OF_THE_FIRST = frozenset({"account", "mail"})
"""Needs that the profile names for the first user alone."""
BEYOND_USERS = frozenset({"restart", "rest-limit", "load", "destructive"})
"""Needs of cases that other users feel too, or would if the backend were wrong."""

SPARE_AT_ONCE = 40
"""How many drawn sequences are played at the same time: they wait for more of their time than they ask for."""
Numbered = tuple[int, "Case"]
"""A case with its number in the plan."""


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

        The bundled reference has servers of their own for what is felt beyond a user; what is generated asks for none,
        and a stop in it is felt, by contract, by its own user only.
        What measures delays has company there as well: it is soon enough for that, and what comes late is looked at
        again, alone.
        """
        if provocation.heavy or (provocation.timed and not self._bundled):
            return False
        felt = {"restart"} if provocation.document is not None else frozenset() if self._bundled else BEYOND_USERS
        far = provocation.needs & felt
        return not provocation.alone or (self._are_several and not far)

    def waits(self, cases: Iterable[Numbered]) -> list[Numbered]:
        """The cases that go on beside all phases, with users of their own."""
        return [n for n in cases if self._are_several and n[1].provocation.waits]

    def phases(self, cases: Iterable[Numbered], at_once: int) -> Iterator[tuple[list[Numbered], int]]:
        """The cases that run at the same time, and how many: side by side, in turn, while there is time; then load.

        Long ones are first, so that none is left over when all others have ended: a budget says how long it may take.
        """
        ordered = sorted(cases, key=lambda numbered: -numbered[1].provocation.budget)
        spare = [n for n in ordered if n[1].provocation.spare]
        ordered = [n for n in ordered if not n[1].provocation.spare]
        apart = [n for n in ordered if not self.bears_company(n[1].provocation)]
        yield [n for n in ordered if n not in apart], at_once
        apart.sort(key=lambda numbered: numbered[1].provocation.disturbs)
        yield [n for n in apart if not n[1].provocation.heavy], 1
        yield spare, SPARE_AT_ONCE if self._are_several and at_once > 1 else at_once
        yield [n for n in apart if n[1].provocation.heavy], 1  # a backend takes its time to recover from it

    @asynccontextmanager
    async def lent(self, provocation: Provocation) -> AsyncIterator[tuple[str, ...]]:
        """The users that a case plays, for as long as it lasts; it waits for some only if it needs them alone."""
        waits = provocation.alone or not self._free.empty()
        if not self._are_several or provocation.needs & OF_THE_FIRST or not waits:
            yield self._first
            return
        group = await self._free.get()
        try:
            yield group
        finally:
            self._free.put_nowait(group)
