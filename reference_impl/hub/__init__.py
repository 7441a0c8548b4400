"""Fan-out: from one event to all dashboards of a user; and who is connected.

Both are ports. `memory` serves one node, `shared` one of several that are joined by a bus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reference_impl.domain.events import Body, Event


class Member(Protocol):
    """A dashboard, as far as the hub knows it."""

    def wants(self, event: Event) -> bool:
        """Whether its subscriptions ask for the event (SUB-2)."""

    def deliver(self, event: Event) -> None:
        """Put the event into its queue, without waiting."""

    def start_over(self) -> None:
        """End it, because events are lost to it: it comes back for a fresh snapshot."""


class Hub(Protocol):
    """Brings each event to the dashboards of its user, and to nobody else (ISO-1).

    All methods return at once. `publish` has put the event into every queue when it returns: that
    is what makes a snapshot and the events after it exact (DSH-4).
    """

    def join(self, user_id: str, member: Member) -> None:
        """From now on the member hears the user's events; joining twice is joining once."""

    def leave(self, user_id: str, member: Member) -> None:
        """The member hears nothing more."""

    def publish(self, event: Event) -> int:
        """Deliver the event; says how many dashboards got it."""

    def audience(self, user_id: str) -> int:
        """How many dashboards the user has."""


class Link(Protocol):
    """A live agent connection, as far as others need it."""

    @property
    def agent_id(self) -> str:
        """Whose it is."""

    @property
    def connection_id(self) -> str:
        """Which connection of the agent it is, among all there ever were (CMD-5)."""

    def replaced(self) -> None:
        """End it, because a newer connection took its place (CON-4)."""

    def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
        """Queue a message for the agent, without waiting (CMD-1, CTL-1)."""

    def start_over(self) -> None:
        """End it, because messages are lost to it: the agent comes back and is told anew."""


class Presence(Protocol):
    """Which agents have a live connection (DSH-3)."""

    def get(self, agent_id: str) -> Link | None:
        """The agent's connection."""

    def put(self, link: Link) -> Link | None:
        """Make this the agent's connection; the one before, if any, is returned."""

    def drop(self, link: Link) -> bool:
        """Take it away if it is still the agent's connection; says whether it was (CON-4)."""
