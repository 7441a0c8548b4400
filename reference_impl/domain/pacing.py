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
    """Counts the messages of one connection (WSX-6).

    Twice the limit within two seconds is allowed; the rest is excess. A second that holds excess
    is a strike; ten strikes with no quiet spell of ten seconds between them end the connection.
    """

    STRIKES: Final = 10
    _QUIET: Final = 10.0
    _ANSWER_EVERY: Final = 0.5

    def __init__(self, per_second: int, window_s: float = 2.0) -> None:
        self._window = window_s
        self._accepted: deque[float] = deque(maxlen=max(1, round(per_second * window_s)))
        self._strikes = 0
        self._second = float("-inf")
        self._answered = float("-inf")

    def accept(self, now: float) -> bool:
        """Count one message; False means it is excess and must be dropped."""
        accepted = self._accepted
        if len(accepted) < (accepted.maxlen or 1) or accepted[0] <= now - self._window:
            accepted.append(now)
            return True
        if now - self._second >= self._QUIET:
            self._strikes = 0
        if now - self._second >= 1.0:
            self._second = now
            self._strikes += 1
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
        return self._strikes >= self.STRIKES

    def retry_after(self, now: float) -> float:
        """Seconds until a message is accepted again."""
        return round(max(0.0, self._accepted[0] + self._window - now), 3)
