"""One socket from the role message to its end: the state that handlers work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference_impl.domain.audit import Origin
from reference_impl.domain.errors import Refusal, unauthorized
from reference_impl.domain.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_impl.auth import Principal
    from reference_impl.clock import Clock, Timer
    from reference_impl.domain.events import Body, Event
    from reference_impl.domain.vocabulary import Role
    from reference_impl.live.connection import Connection
    from reference_impl.parts import Core

START_OVER: Final = (1012, "A node of the server was lost; connect again")


class AgentLink:
    """The connection of one agent, and when it last gave a sign of life (DIS-3)."""

    def __init__(self, agent_id: str, connection_id: str, connection: Connection, clock: Clock) -> None:
        self.agent_id = agent_id
        self.connection_id = connection_id
        self._connection = connection
        self._clock = clock
        self._seen = clock.monotonic()
        self._timer: Timer | None = None

    def replaced(self) -> None:
        """A newer connection took the agent over (CON-4)."""
        self.rest()
        self._connection.close(4008, "Replaced by a newer connection of the same agent")

    def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
        """Queue a message for the agent (CMD-1, CTL-1)."""
        self._connection.send(type, payload)

    def start_over(self) -> None:
        """Messages are lost to it (CNS-5)."""
        self._connection.close(*START_OVER)

    def seen(self) -> None:
        """A heartbeat came."""
        self._seen = self._clock.monotonic()

    def silent_for(self) -> float:
        """Seconds since the last heartbeat, or since the connection."""
        return self._clock.monotonic() - self._seen

    def watch(self, silence_s: float, lost: Callable[[], None]) -> None:
        """Call `lost` once the agent has been silent for so long; looks again after each heartbeat."""
        left = silence_s - self.silent_for()
        if left <= 0:
            lost()
        else:
            self._timer = self._clock.call_later(left, lambda: self.watch(silence_s, lost))

    def rest(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()


class Session:
    """What is known about one socket; the hub's member when it is a dashboard's."""

    def __init__(self, core: Core, connection: Connection, principal: Principal, version: int) -> None:
        self.core = core
        self.connection = connection
        self.principal = principal
        self.version = version
        self.role: Role | None = None
        self.link: AgentLink | None = None
        self.dashboard_id = ""
        self.subscriptions = Subscriptions()
        self.origin = Origin()
        self.acked: Mapping[str, object] = {}
        """The last ACK, which says whether the message was accepted and what became of it."""
        self._expiry: Timer | None = None

    @property
    def user_id(self) -> str:
        """Whose socket it is."""
        return self.principal.user_id

    def wants(self, event: Event) -> bool:
        """Whether the dashboard subscribed to it (SUB-2)."""
        return self.core.parts.wants(self.subscriptions, event)

    def deliver(self, event: Event) -> None:
        """Queue an event for the dashboard."""
        if (frame := event.frame(self.version)) is not None:
            self.connection.enqueue(frame, event=True)

    def start_over(self) -> None:
        """Events are lost to it (CNS-5)."""
        self.connection.close(*START_OVER)

    def ack(self, message_id: str | None, **more: object) -> None:
        """Accept a message (ACK-1)."""
        body: dict[str, object] = {"success": True, **more}
        self.acked = body
        if message_id is not None:
            body["messageId"] = message_id
        self.connection.send("ACK", body)

    def end(self, refusal: Refusal) -> None:
        """Say why, and close."""
        self.connection.error(refusal)
        self.connection.close(refusal.close or 1011, refusal.sentence)

    def extend(self, principal: Principal) -> None:
        """Live as long as this token does (WSA-5)."""
        self.principal = principal
        if self._expiry is not None:
            self._expiry.cancel()
        left = principal.expires_at - self.core.parts.clock.now_ms() / 1000
        self._expiry = self.core.parts.clock.call_later(max(0.0, min(left, 86_400.0)), self._expire)

    def _expire(self) -> None:
        if self.principal.expires_at > self.core.parts.clock.now_ms() / 1000:  # a day at a time
            self.extend(self.principal)
        else:
            self.end(unauthorized("The token has expired", expired=True))

    def rest(self) -> None:
        """Cancel every timer; the socket is gone."""
        if self._expiry is not None:
            self._expiry.cancel()
        if self.link is not None:
            self.link.rest()
