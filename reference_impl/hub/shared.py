"""Turns, fan-out and presence of one node among several, over a bus."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from reference_impl.hub.bus import BusError
from reference_impl.hub.room import Room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable

    from reference_impl.domain.events import Body, Event
    from reference_impl.hub import Link, Member
    from reference_impl.hub.bus import Bus, Entry
    from reference_impl.logs import Log

T = TypeVar("T")

_room: ContextVar[Room | None] = ContextVar("room", default=None)
"""The room of the user whose turn the running task has, or had."""


def current() -> Room | None:
    """The room of the turn that is running; None outside of turns."""
    room = _room.get()
    return room if room is not None and room.fence is not None else None


def fence() -> tuple[str, int] | None:
    """Whose turn is running, and its fence."""
    room = _room.get()
    return None if room is None or room.fence is None else (room.user_id, room.fence)


def within_turn(write: Awaitable[None]) -> None:
    """See to it that a write is done when the running turn ends."""
    _turn().pending.append(write)


class SharedTurns:
    """One thing at a time per user, on whichever node (DSH-4, STA-5, CNS-5)."""

    def __init__(self, bus: Bus, encode: Callable[[str, Body], str], log: Log, lease_s: float) -> None:
        self._bus = bus
        self._encode = encode
        self._log = log
        self._lease = lease_s
        self._rooms: dict[str, Room] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def room(self, user_id: str) -> Room:
        """The user's room; a new one if there is none."""
        if user_id not in self._rooms:
            self._rooms[user_id] = Room(user_id, self._encode)
        return self._rooms[user_id]

    def known(self, user_id: str) -> Room | None:
        """The user's room, if there is one."""
        return self._rooms.get(user_id)

    @asynccontextmanager
    async def of(self, user_id: str) -> AsyncIterator[None]:
        """Take a turn; first come, first served, as nearly as nodes can tell."""
        room = self.room(user_id)
        room.wanted += 1
        before = _room.set(room)
        try:
            async with room.lock:
                fence = await self._entered(room)
                renewing = asyncio.create_task(self._renew(user_id, fence))
                try:
                    yield
                finally:
                    renewing.cancel()
                    await self._whole(self._leave(room, fence))
        finally:
            _room.reset(before)
            room.wanted -= 1
            if room.idle:
                self._rooms.pop(user_id, None)

    def touch(self, user_id: str) -> None:
        """Take a turn beside the caller, in which nothing happens but that the room is brought up to date."""
        self._hold(self._touch(user_id))

    def heard(self, user_id: str, entry: Entry) -> None:
        """Another node told something; if something before it is missing, ask."""
        room = self._rooms.get(user_id)
        if room is not None and not room.hear(entry):
            self.touch(user_id)

    def freed(self, user_id: str) -> None:
        """A turn can be had."""
        if room := self._rooms.get(user_id):
            room.freed.set()

    def deaf(self) -> None:
        """Ask for what was told meanwhile."""
        for user_id, room in self._rooms.items():
            if room.seen is not None:
                self.touch(user_id)

    def start_over(self) -> None:
        """End every socket: this node was taken for dead."""
        for room in self._rooms.values():
            room.start_over()
            room.seen = None

    async def vacate(self, user_id: str, node: str) -> None:
        """Take the seats of one node away."""
        async with self.of(user_id):
            room = self.room(user_id)
            for agent_id in [agent_id for agent_id, seat in room.seats.items() if seat.startswith(f"{node}/")]:
                room.move(agent_id, None)

    async def settle(self) -> None:
        """Wait for what goes on beside the callers."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    async def _entered(self, room: Room) -> int:
        """Take the turn; a caller that is cancelled meanwhile gives it back at once."""
        entering = self._hold(self._enter(room))
        try:
            return await asyncio.shield(entering)
        except asyncio.CancelledError:
            with suppress(BusError):
                await self._leave(room, await entering)
            raise

    async def _enter(self, room: Room) -> int:
        while True:
            room.freed.clear()
            entered = await self._bus.enter(room.user_id, room.seen)
            if not isinstance(entered, float):
                room.begin(entered)
                return entered.fence
            with suppress(TimeoutError):
                await asyncio.wait_for(room.freed.wait(), entered)

    async def _leave(self, room: Room, fence: int) -> None:
        pending, room.pending = room.pending, []
        for failure in await asyncio.gather(*pending, return_exceptions=True):
            if failure is not None:
                self._log.warning("write_failed", error=repr(failure))
        number = None
        try:
            number = await self._bus.leave(room.user_id, fence, room.outcome())
        except BusError as error:
            self._log.warning("turn_not_ended", error=str(error))
        room.end(number)

    async def _renew(self, user_id: str, fence: int) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            with suppress(BusError):
                await self._bus.renew(user_id, fence)

    async def _touch(self, user_id: str) -> None:
        with suppress(BusError):
            async with self.of(user_id):
                pass

    async def _whole(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it to its end, even if the caller is cancelled: the turn ends before the next begins."""
        task = self._hold(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await task
            raise

    def _hold(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class SharedHub:
    """Dashboards of this node, told what happens on all."""

    def __init__(self, turns: SharedTurns, versions: Iterable[int]) -> None:
        self._turns = turns
        self._versions = tuple(versions)

    def join(self, user_id: str, member: Member) -> None:
        """From now on the member hears the user's events, those of other nodes from the next turn on."""
        room = self._turns.room(user_id)
        room.members[member] = None
        self._outside(room)

    def leave(self, user_id: str, member: Member) -> None:
        """The member hears nothing more."""
        room = self._turns.known(user_id)
        if room is not None and member in room.members:
            del room.members[member]
            if not room.occupied:
                self._outside(room)

    def publish(self, event: Event) -> int:
        """Deliver here at once, elsewhere when the turn ends; says how many dashboards of this node got it."""
        room = self._turns.room(event.user_id)
        told = room.publish(event, self._versions)
        self._outside(room)
        return told

    def audience(self, user_id: str) -> int:
        """How many dashboards of this node the user has."""
        room = self._turns.known(user_id)
        return len(room.members) if room else 0

    def _outside(self, room: Room) -> None:
        """What was done outside of a turn goes out with one of its own."""
        if room.fence is None:
            self._turns.touch(room.user_id)


class Elsewhere:
    """An agent's connection on another node."""

    def __init__(self, agent_id: str, seat: str, room: Room) -> None:
        self.agent_id = agent_id
        self.connection_id = seat.rpartition("/")[2]
        self._seat = seat
        self._room = room

    def replaced(self) -> None:
        """Have it ended (CON-4)."""
        self._room.say(["replaced", self._seat])

    def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
        """Have a message queued for the agent."""
        self._room.say(["said", self._seat, type, payload])

    def start_over(self) -> None:
        """Its own node does that."""


class SharedPresence:
    """Which agents have a live connection, on whichever node; to be asked within the user's turn."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._own: dict[Link, str] = {}

    def get(self, agent_id: str) -> Link | None:
        """The agent's connection; `Elsewhere` if it is another node's."""
        room = current()
        if room is None or (seat := room.seats.get(agent_id)) is None:
            return None
        return room.links.get(seat) or Elsewhere(agent_id, seat, room)

    def put(self, link: Link) -> Link | None:
        """Make this the agent's connection; the one before, if any, is returned."""
        room = _turn()
        before = self.get(link.agent_id)
        if before is link:
            return None
        seat = self._own[link] = f"{self._bus.node}/{link.connection_id}"
        room.links[seat] = link
        room.move(link.agent_id, seat)
        return before

    def drop(self, link: Link) -> bool:
        """Take it away if it is still the agent's connection (CON-4)."""
        room = _turn()
        seat = self._own.pop(link, None)
        if seat is None:
            return False
        room.links.pop(seat, None)
        if room.seats.get(link.agent_id) != seat:
            return False
        room.move(link.agent_id, None)
        return True


def _turn() -> Room:
    if (room := current()) is None:
        raise LookupError("This is done within the user's turn only")
    return room
