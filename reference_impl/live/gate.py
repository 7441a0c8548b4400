"""What a socket may send: how much at once and how often (WSX-5, WSX-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.domain.errors import Refusal
from reference_impl.domain.pacing import RateLimit
from reference_impl.domain.vocabulary import Role

if TYPE_CHECKING:
    from reference_impl.live.session import Session


class Gate:
    """Counts one socket's messages; on `/ws`, before the role is known, an agent's limits hold."""

    def __init__(self, session: Session, endpoint: Role | None) -> None:
        parts = session.core.parts
        limits, window = parts.settings.limits, parts.settings.timings.rate_window_s
        self._session = session
        self._endpoint = endpoint
        self._clock = parts.clock
        self._bytes = {Role.AGENT: limits.agent_message_bytes, Role.DASHBOARD: limits.dashboard_message_bytes}
        self._rates = {
            Role.AGENT: RateLimit(limits.agent_messages_per_s, window),
            Role.DASHBOARD: RateLimit(limits.dashboard_messages_per_s, window),
        }

    def admits(self, message: str | bytes) -> bool:
        """Whether the message is to be served; if not, the answer has been given."""
        role = self._session.role or self._endpoint or Role.AGENT
        connection = self._session.connection
        if _longer(message, self._bytes[role]):
            connection.close(1009, "The message is too large")
            return False
        rate, now = self._rates[role], self._clock.monotonic()
        if rate.accept(now):
            return True
        refusal = Refusal(
            "RATE_LIMIT",
            "Too many messages",
            close=4004 if rate.exhausted else None,
            details={"retryAfter": rate.retry_after(now)},
        )
        if rate.exhausted:
            self._session.end(refusal)
        elif rate.answer_due(now):
            connection.error(refusal)
        return False


def _longer(message: str | bytes, limit: int) -> bool:
    """Whether the message has more bytes than the limit, counted only when it may have."""
    if isinstance(message, bytes) or len(message) * 4 <= limit:
        return len(message) > limit
    return len(message) > limit or len(message.encode()) > limit
