"""Fan-out and presence within one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_impl.domain.events import Event
    from reference_impl.hub import Link, Member


class MemoryHub:
    """Dashboards by user; insertion-ordered, so that all runs deliver in the same order."""

    def __init__(self) -> None:
        self._members: dict[str, dict[Member, None]] = {}

    def join(self, user_id: str, member: Member) -> None:
        """From now on the member hears the user's events."""
        self._members.setdefault(user_id, {})[member] = None

    def leave(self, user_id: str, member: Member) -> None:
        """The member hears nothing more."""
        members = self._members.get(user_id, {})
        members.pop(member, None)
        if not members:
            self._members.pop(user_id, None)

    def publish(self, event: Event) -> int:
        """Deliver to those of the user who want it."""
        told = [member for member in self._members.get(event.user_id, ()) if member.wants(event)]
        for member in told:
            member.deliver(event)
        return len(told)

    def audience(self, user_id: str) -> int:
        """How many dashboards the user has."""
        return len(self._members.get(user_id, ()))


class MemoryPresence:
    """The one live connection of each agent."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    def get(self, agent_id: str) -> Link | None:
        """The agent's connection."""
        return self._links.get(agent_id)

    def put(self, link: Link) -> Link | None:
        """Make this the agent's connection and return the one before."""
        before = self._links.get(link.agent_id)
        self._links[link.agent_id] = link
        return before if before is not link else None

    def drop(self, link: Link) -> bool:
        """Take it away, unless a newer connection has replaced it (CON-4)."""
        if self._links.get(link.agent_id) is not link:
            return False
        del self._links[link.agent_id]
        return True
