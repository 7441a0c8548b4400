"""Pure counting of time: coalescing of AGENT_STATUS (STA-6) and the message rate limit (WSX-6)."""

from __future__ import annotations

from collections import deque
from typing import Final

_BURST: Final = 10
"""Up to ten heartbeats a second are no flood: each has its own AGENT_STATUS (CNS-3)."""
_PAIR: Final = 20
_PACE: Final = 0.25
"""While a flood lasts, the newest state goes out this often, well inside the 500 ms of STA-6."""


class Pacer:
    """Says when an agent's next AGENT_STATUS may go out.

    At most ten in any second go out at once; what comes on top waits for the window or a quarter
    of a second, whichever is sooner. Any two seconds then hold at most 24, twelve a second.
    """

    def __init__(self) -> None:
        self._sent: deque[float] = deque(maxlen=_PAIR)

    def due(self, now: float) -> float:
        """The moment from which the next one may be sent; not later than now means at once."""
        sent = self._sent
        if len(sent) < _BURST:
            return now
        window = sent[-_BURST] + 1.0
        if len(sent) == _PAIR:
            window = max(window, sent[0] + 2.0)
        return min(window, sent[-1] + _PACE)

    def sent(self, now: float) -> None:
        """Take note that one went out."""
        self._sent.append(now)


class RateLimit:
    """Counts the messages of one connection, second by second (WSX-6).

    A second may hold twice the limit once; the second after one over the limit may hold the limit
    only. The rest is excess. A second that holds excess is a strike; ten strikes, with no ten
    seconds in between that hold none, end the connection.
    """

    _STRIKES: Final = 10
    _ANSWER_EVERY: Final = 0.5

    def __init__(self, per_second: int, window_s: float = 2.0) -> None:
        self._slot = window_s / 2
        self._limit = max(1, round(per_second * self._slot))
        self._begun = float("-inf")
        self._before = 0
        self._count = 0
        self._strikes = 0
        self._struck = float("-inf")
        self._answered = float("-inf")

    def accept(self, now: float) -> bool:
        """Count one message; False means it is excess and must be dropped."""
        if now - self._begun >= 2 * self._slot:
            self._begun, self._before, self._count = now, 0, 0
        elif now - self._begun >= self._slot:
            self._begun, self._before, self._count = self._begun + self._slot, self._count, 0
        self._count += 1
        if self._count <= (self._limit if self._before > self._limit else 2 * self._limit):
            return True
        if self._struck < self._begun:
            self._strikes = 1 if now - self._struck > self._STRIKES * self._slot else self._strikes + 1
            self._struck = now
        return False

    def answer_due(self, now: float) -> bool:
        """Whether the sender must be told again: often enough for once a second, not once a message."""
        if now - self._answered < self._ANSWER_EVERY:
            return False
        self._answered = now
        return True

    @property
    def exhausted(self) -> bool:
        """Whether ten seconds held excess, which ends the connection with 4004."""
        return self._strikes >= self._STRIKES

    def retry_after(self, now: float) -> float:
        """Seconds until a message is accepted again."""
        return round(max(0.001, self._begun + self._slot - now), 3)
