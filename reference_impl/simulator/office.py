"""Running the people of a simulation: clients over REST, dashboards over sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from reference_impl.simulator.fleet import RETRY_S, TROUBLE
from reference_impl.simulator.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reference_impl.simulator.people import Order, Watch
    from reference_impl.simulator.tally import Tally

_EARLY = frozenset({404, 409})
"""An agent that has not come yet is unknown, a queue may be full, a command already done."""


class Client:
    """Gives commands over REST."""

    def __init__(self, url: str, token: str, tally: Tally) -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._tally = tally

    async def work(self, orders: Iterable[Order]) -> None:
        """Give one command after the other."""
        cancelling: set[asyncio.Task[None]] = set()
        async with aiohttp.ClientSession(headers=self._headers) as session:
            try:
                for order in orders:
                    await asyncio.sleep(order.wait_s)
                    created = await self._post(session, "/commands", order.body)
                    if created is None:
                        continue
                    self._tally.ordered += 1
                    if order.cancel_after_s is not None:
                        task = asyncio.create_task(self._cancel(session, created["id"], order.cancel_after_s))
                        cancelling.add(task)
                        task.add_done_callback(cancelling.discard)
            finally:
                for task in cancelling:
                    task.cancel()
                await asyncio.gather(*cancelling, return_exceptions=True)

    async def _cancel(self, session: aiohttp.ClientSession, command_id: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if await self._post(session, f"/commands/{command_id}/cancel", {"reason": "No longer needed"}):
            self._tally.cancelled += 1

    async def _post(self, session: aiohttp.ClientSession, path: str, body: Any) -> dict[str, Any] | None:
        try:
            async with session.post(self._base + path, json=body) as answer:
                if answer.ok:
                    return dict((await answer.json())["data"])
                self._tally.refused += answer.status not in _EARLY
        except (aiohttp.ClientError, TimeoutError):
            self._tally.failed += 1
            await asyncio.sleep(RETRY_S)
        return None


class Dashboard:
    """Watches, and counts what it sees."""

    def __init__(self, url: str, token: str, tally: Tally) -> None:
        self._url = url
        self._token = token
        self._tally = tally

    async def watch(self, watches: Iterable[Watch]) -> None:
        """Open, look, look away; whatever goes wrong, try again a moment later."""
        for one in watches:
            try:
                await self._open(one)
            except TROUBLE:
                self._tally.failed += 1
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(one.away_s)

    async def _open(self, one: Watch) -> None:
        wire = await Wire.open(self._url, self._token, self._told)
        self._tally.watching += 1
        try:
            answer = await wire.ask("DASHBOARD_INIT", one.init, "DASHBOARD_READY")
            self._tally.refused += answer["type"] == "ERROR"
            await asyncio.wait([wire.reading], timeout=one.watch_s)
        finally:
            self._tally.watching -= 1
            await wire.close(cleanly=False)

    def _told(self, message: dict[str, Any]) -> None:
        inside = message["payload"]["messages"] if message["type"] == "BATCH" else [message]
        self._tally.seen += len(inside)
