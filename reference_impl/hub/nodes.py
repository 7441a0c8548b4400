"""Staying alive among other nodes, and burying those that died (CON-7, CNS-5)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reference_impl.hub.bus import Bus
    from reference_impl.hub.shared import SharedTurns
    from reference_impl.logs import Log


class Survivor(Protocol):
    """What is done when connections were lost together with their node."""

    async def nobody(self) -> None:
        """There is no other node, so no agent can be connected."""

    async def absent(self, user_id: str) -> None:
        """Some agents of the user have lost their connection."""

    async def recover(self) -> None:
        """What the lost node was in the middle of is to be gone on with."""


class Nodes(Protocol):
    """The life of this node among the others."""

    async def start(self, survivor: Survivor) -> None:
        """Join."""

    async def ping(self) -> None:
        """Raise if the others cannot be reached (HLT-1)."""

    async def stop(self) -> None:
        """Leave."""


class OneNode:
    """There are no others."""

    async def start(self, survivor: Survivor) -> None:
        """Nobody is connected yet (CON-7)."""
        await survivor.nobody()
        await survivor.recover()

    async def ping(self) -> None:
        """Nothing can fail."""

    async def stop(self) -> None:
        """Nothing is to be left."""


class ManyNodes:
    """Gives a sign of life three times per lease, and looks whether others fail to."""

    def __init__(self, bus: Bus, turns: SharedTurns, log: Log, lease_s: float) -> None:
        self._bus = bus
        self._turns = turns
        self._log = log
        self._lease = lease_s
        self._task: asyncio.Task[None] | None = None
        self._over = False

    async def start(self, survivor: Survivor) -> None:
        """Join, and bury the node's own former life, if it had one."""
        if await self._bus.join(self._turns):
            await survivor.nobody()
        await self._bury(survivor)
        await survivor.recover()
        self._task = asyncio.create_task(self._live(survivor))

    async def ping(self) -> None:
        """Raise if the bus does not answer."""
        await self._bus.ping()

    async def stop(self) -> None:
        """Tell what is left to be told, then be gone."""
        self._over = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._turns.settle()
        await self._bus.close()

    async def _live(self, survivor: Survivor) -> None:
        while not self._over:  # Redis' client may take a cancellation for a failure
            await asyncio.sleep(self._lease / 3)
            try:
                if not await self._bus.keep():
                    await self._rise(survivor)
                if await self._bury(survivor):
                    await survivor.recover()
            except Exception:  # noqa: BLE001 - the bus or the database is down; tried again, as long as it takes
                self._log.exception("node_troubled", node=self._bus.node)

    async def _rise(self, survivor: Survivor) -> None:
        """Others took this node for dead, or Redis forgot it: all who are connected here come back anew."""
        self._log.warning("node_taken_for_dead", node=self._bus.node)
        if await self._bus.join(self._turns):
            await survivor.nobody()
        self._turns.start_over()

    async def _bury(self, survivor: Survivor) -> bool:
        """Take the agents of dead nodes for lost, each in a turn of its user; whether there were any nodes."""
        dead = await self._bus.dead()
        for node in dead:
            self._log.warning("node_lost", node=node)
            for user_id in await self._bus.users_of(node):
                await self._turns.vacate(user_id, node)
                await survivor.absent(user_id)
            await self._bus.forget(node)
        return bool(dead)
