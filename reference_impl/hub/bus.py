"""What joins several nodes: the port, and the values that pass through it.

Nodes share one database. What the database cannot give them passes over a bus: whose turn it is
with a user, what happened in the turns of others, who holds which agent's socket, who is alive.

All of it is ordered by the turns of one user. What a node has to tell goes out when its turn
ends, numbered, together with the end of the turn; whoever takes the next turn is handed what it
has not seen yet before the turn begins. So within a turn every node knows exactly what happened
before it, as if there were one node, and nothing depends on how quickly a message travels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Word = Sequence[Any]
"""One thing that a node tells the others, as JSON: `["event", …]`, `["said", …]`, … (see `room`)."""


class BusError(Exception):
    """The bus does not answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one node told in one turn of a user."""

    number: int
    node: str
    words: Sequence[Word]


@dataclass(frozen=True, slots=True)
class Entered:
    """A turn that was taken.

    Args:
        fence: larger than that of every turn of this user before; the database refuses older ones.
        number: of the user's last entry.
        entries: those the node has not seen; None if they cannot be had any more, or it asked for none.
        seats: agent id → seat, when `entries` is None.
    """

    fence: int
    number: int
    entries: Sequence[Entry] | None
    seats: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn leaves behind.

    Args:
        words: what the other nodes are told.
        seats: agent id → its new seat, or None where it has none any more.
        follow: whether this node wants to be told what happens in the turns of others.
    """

    words: Sequence[Word] = ()
    seats: Mapping[str, str | None] = field(default_factory=dict)
    follow: bool = False


class Listener(Protocol):
    """Whom the bus tells."""

    def heard(self, user_id: str, entry: Entry) -> None:
        """Another node told something."""

    def freed(self, user_id: str) -> None:
        """A turn that this node waits for may be had."""

    def deaf(self) -> None:
        """For a while nothing could be heard: what was told meanwhile must be asked for."""


class Bus(Protocol):
    """Joins the nodes; every method may raise BusError."""

    @property
    def node(self) -> str:
        """This node's id: a new one each time it joins."""

    async def join(self, listener: Listener) -> bool:
        """Become one of the nodes; says whether there is no other."""

    async def enter(self, user_id: str, seen: int | None) -> Entered | float:
        """Take the user's turn, or say after how many seconds to ask again at the latest."""

    async def renew(self, user_id: str, fence: int) -> None:
        """Keep the turn for another while."""

    async def leave(self, user_id: str, fence: int, outcome: Outcome) -> int | None:
        """End the turn and tell; the number of the user's last entry, or None if the turn was lost before."""

    async def keep(self) -> bool:
        """Stay alive for another while; False if this node was taken for dead."""

    async def dead(self) -> Sequence[str]:
        """Nodes whose time is over and that nobody else is burying; and former lives of this node."""

    async def users_of(self, node: str) -> Sequence[str]:
        """The users that a node followed."""

    async def forget(self, node: str) -> None:
        """Remove what there is of a node."""

    async def ping(self) -> None:
        """Raise if the bus does not answer (HLT-1)."""

    async def close(self) -> None:
        """Be no node any more."""
