"""The bus over Redis: one script per step, and one channel on which a node hears the others."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from reference_impl.hub import redis_scripts as scripts
from reference_impl.hub.bus import BusError, Entered, Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.hub.bus import Listener, Outcome

_PREFIX: Final = "onsembl:"
_CONNECTIONS: Final = 32
_AGAIN_S: Final = 0.1


class RedisBus:
    """A node among others on one Redis.

    Args:
        url: of Redis.
        name: the node's own, the same after a restart: then its former life is buried at once.
        lease_s: how long a node, or a turn, lasts without a sign of life.
    """

    def __init__(self, url: str, name: str, lease_s: float) -> None:
        pool = BlockingConnectionPool.from_url(url, max_connections=_CONNECTIONS, timeout=None, protocol=2)
        self._redis = Redis(connection_pool=pool)
        self._name = name.replace("#", "_")
        self._lease = str(round(lease_s * 1000))
        self._scripts = {
            name: self._redis.register_script(getattr(scripts, name))
            for name in ("ENTER", "RENEW", "LEAVE", "JOIN", "KEEP", "DEAD", "FORGET")
        }
        self._listening: asyncio.Task[None] | None = None
        self.node = ""
        self._hearing = ""

    async def join(self, listener: Listener) -> bool:
        """Become one of the nodes, under a new id."""
        await self._stop_listening()
        self.node = f"{self._name}#{uuid.uuid4().hex[:12]}"
        self._hearing = self.node
        subscribed = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(listener, subscribed))
        others = await self._call("JOIN", self._lease)
        await subscribed.wait()
        return bool(others == 0)

    async def enter(self, user_id: str, seen: int | None) -> Entered | float:
        """Take the user's turn, or say how long to wait."""
        answer = await self._call("ENTER", user_id, self._lease, -1 if seen is None else seen)
        if answer[0] == 0:
            return float(answer[1]) / 1000
        _, fence, number, complete, *rest = answer
        if complete:
            return Entered(int(fence), int(number), [_entry(orjson.loads(one)) for one in rest], {})
        words = [_text(word) for word in rest[0]]
        return Entered(int(fence), int(number), None, dict(zip(words[::2], words[1::2], strict=True)))

    async def renew(self, user_id: str, fence: int) -> None:
        """Keep the turn for another while."""
        await self._call("RENEW", user_id, self._lease, fence)

    async def leave(self, user_id: str, fence: int, outcome: Outcome) -> int | None:
        """End the turn and tell."""
        seats = [part for agent, seat in outcome.seats.items() for part in (agent, seat or "")]
        words = orjson.dumps(outcome.words)
        number = int(await self._call("LEAVE", user_id, fence, int(outcome.follow), words, *seats))
        return None if number < 0 else number

    async def keep(self) -> bool:
        """Stay alive for another while."""
        return bool(await self._call("KEEP", self._lease))

    async def dead(self) -> Sequence[str]:
        """Nodes to bury."""
        return [_text(node) for node in await self._call("DEAD", self._lease)]

    async def users_of(self, node: str) -> Sequence[str]:
        """The users that a node followed."""
        with _told():
            found = await self._redis.smembers(f"{_PREFIX}node:{node}:users")
        return sorted(_text(user) for user in found)

    async def forget(self, node: str) -> None:
        """Remove what there is of a node."""
        await self._call("FORGET", node)

    async def ping(self) -> None:
        """Raise if Redis does not answer."""
        with _told():
            await self._redis.ping()

    async def close(self) -> None:
        """Be no node any more."""
        with suppress(BusError):
            await self.forget(self.node)
        await self._stop_listening()
        await self._redis.aclose()

    async def _call(self, script: str, *arguments: Any) -> Any:
        with _told():
            return await self._scripts[script](args=[_PREFIX, self.node, *arguments])

    async def _listen(self, listener: Listener, subscribed: asyncio.Event) -> None:
        node = self._hearing
        while node == self._hearing:  # see `nodes`: a cancellation may be taken for a failure
            try:
                async with self._redis.pubsub() as heard:
                    await heard.subscribe(f"{_PREFIX}node:{node}")
                    async for message in heard.listen():
                        if message["type"] == "message":
                            _pass_on(orjson.loads(message["data"]), listener)
                        elif subscribed.is_set():
                            listener.deaf()
                        else:
                            subscribed.set()
            except (RedisError, OSError):
                await asyncio.sleep(_AGAIN_S)

    async def _stop_listening(self) -> None:
        self._hearing = ""
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening


def _text(said: bytes | str) -> str:
    return said if isinstance(said, str) else said.decode()


def _pass_on(told: Sequence[Any], listener: Listener) -> None:
    if told[0] == "freed":
        listener.freed(told[1])
    else:
        listener.heard(told[1], _entry(told[2]))


def _entry(told: Sequence[Any]) -> Entry:
    number, node, words = told
    return Entry(number, node, words)


class _told:  # noqa: N801 - it reads as a word
    """Turn what Redis raises into BusError."""

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise anew."""
        if isinstance(error, RedisError | OSError):
            raise BusError(f"Redis does not answer: {error}") from error
