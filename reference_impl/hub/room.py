"""What one node knows of one user: its own sockets, where the others are, what it has to tell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from reference_impl.domain.events import Event, Topic
from reference_impl.hub.bus import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from reference_impl.domain.events import Body
    from reference_impl.hub import Link, Member
    from reference_impl.hub.bus import Entered, Entry, Word


class Room:
    """Exact within a turn of the user; between turns it follows what others tell.

    An agent's **seat** names the one connection that is the agent's: node and number.
    """

    def __init__(self, user_id: str, encode: Callable[[str, Body], str]) -> None:
        self.user_id = user_id
        self.members: dict[Member, None] = {}
        self.links: dict[str, Link] = {}
        """This node's own, by seat; one that was replaced stays until its socket has ended."""
        self.seats: dict[str, str] = {}
        """Agent id → seat, on whichever node."""
        self.seen: int | None = None
        """The last entry that was applied; None while the room is not followed."""
        self.fence: int | None = None
        """The turn that is running on this node."""
        self.pending: list[Awaitable[None]] = []
        """Writes that must be done before the turn ends."""
        self.lock = asyncio.Lock()
        self.wanted = 0
        self.freed = asyncio.Event()
        self._encode = encode
        self._followed = False
        self._words: list[Word] = []
        self._moved: dict[str, str | None] = {}

    @property
    def occupied(self) -> bool:
        """Whether a socket of this node makes it worth following."""
        return bool(self.members or self.links)

    @property
    def idle(self) -> bool:
        """Whether it can be forgotten."""
        return not (self.occupied or self.wanted or self._words or self.seen is not None)

    def publish(self, event: Event, versions: Iterable[int]) -> int:
        """Deliver an event to this node's dashboards now, and to the others' when the turn ends."""
        self._words.append(
            [
                "event",
                event.type,
                event.topic.name,
                event.subject,
                {str(version): event.body(version) for version in versions},
            ]
        )
        return self._deliver(event)

    def say(self, word: Word) -> None:
        """Tell the other nodes something when the turn ends."""
        self._words.append(word)

    def move(self, agent_id: str, seat: str | None) -> None:
        """Say where the agent's connection is from now on."""
        if seat is None:
            self.seats.pop(agent_id, None)
        else:
            self.seats[agent_id] = seat
        self._moved[agent_id] = seat
        self._words.append(["moved", agent_id, seat])

    def begin(self, entered: Entered) -> None:
        """Bring the room up to date: the turn begins."""
        if entered.entries is None:
            if self.seen is not None:
                self.start_over()
            self.seats = dict(entered.seats)
        for entry in entered.entries or ():
            self.hear(entry)
        self.seen = entered.number
        self.fence = entered.fence

    def outcome(self) -> Outcome:
        """Take what the turn leaves behind; from now on nothing more belongs to it."""
        self.fence = None
        self._followed = self.occupied
        words, self._words = self._words, []
        moved, self._moved = self._moved, {}
        return Outcome(words, moved, self._followed)

    def end(self, number: int | None) -> None:
        """The turn has ended; None: it was lost, and nobody was told."""
        if number is None:
            self.start_over()
        if number is None or not self._followed:
            self.seen = None
            self.seats = {}
        else:
            self.seen = max(number, self.seen or 0)

    def hear(self, entry: Entry) -> bool:
        """Apply what another node told, each entry once and in order; False if one before it is missing."""
        if self.seen is None or entry.number <= self.seen:
            return True
        if entry.number > self.seen + 1:
            return False
        self.seen = entry.number
        for word in entry.words:
            self._apply(word)
        return True

    def start_over(self) -> None:
        """End every socket of the user here: what they should have been told is lost, so they come back for all."""
        for link in list(self.links.values()):
            link.start_over()
        for member in list(self.members):
            member.start_over()

    def _apply(self, word: Word) -> None:
        kind, *facts = word
        _APPLY[kind](self, *facts)

    def _event(self, kind: str, topic: str, subject: str, bodies: dict[str, Body | None]) -> None:
        def render(version: int) -> Body | None:
            return bodies.get(str(version))

        self._deliver(Event(self.user_id, kind, Topic[topic], subject, render, self._encode))

    def _deliver(self, event: Event) -> int:
        told = [member for member in self.members if member.wants(event)]
        for member in told:
            member.deliver(event)
        return len(told)

    def _moved_there(self, agent_id: str, seat: str | None) -> None:
        if seat is None:
            self.seats.pop(agent_id, None)
        else:
            self.seats[agent_id] = seat

    def _said(self, seat: str, kind: str, payload: Body) -> None:
        if link := self.links.get(seat):
            link.send(kind, payload)

    def _replaced(self, seat: str) -> None:
        if link := self.links.get(seat):
            link.replaced()


_APPLY: dict[str, Callable[..., Any]] = {
    "event": Room._event,  # noqa: SLF001 - the words of its own
    "moved": Room._moved_there,  # noqa: SLF001
    "said": Room._said,  # noqa: SLF001
    "replaced": Room._replaced,  # noqa: SLF001
    "over": Room.start_over,
}
