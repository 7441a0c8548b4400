"""How many requests a client may send, by key, in bounded memory (RATE-1)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_ROOM: Final = 50_000
"""Clients remembered at a time; one that is forgotten begins anew, with a full allowance."""


class Allowance:
    """So many requests a second each, and those of some seconds at once.

    For each client one number is kept: the moment up to which its requests are paid for.
    """

    def __init__(self, per_second: float, burst_s: float) -> None:
        self._each = 1 / per_second
        self._burst = burst_s
        self._paid: OrderedDict[str, float] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Count one request.

        Args:
            client: a user or an address.
            now: seconds.

        Returns:
            0 when it is let in, else the seconds until the next one would be; a refused request costs nothing.
        """
        paid = max(now, self._paid.get(client, now))
        if paid - now > self._burst - self._each:
            return paid - now - self._burst + self._each
        self._paid[client] = paid + self._each
        self._paid.move_to_end(client)
        if len(self._paid) > _ROOM:
            self._paid.popitem(last=False)
        return 0
