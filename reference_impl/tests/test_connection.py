"""One socket's outgoing side: what waits has a bound, and may go together (TRM-5, STA-7)."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from reference_impl.clock import SystemClock
from reference_impl.ids import RandomIds
from reference_impl.live.codec import JsonCodec
from reference_impl.live.connection import Connection
from reference_impl.settings import Limits
from reference_impl.tests.harness import beat
from reference_impl.tests.putting_out import output

if TYPE_CHECKING:
    from reference_impl.live.connection import Message
    from reference_impl.tests.harness import Json, World

LIMITS = Limits(batch_messages=3, batch_bytes=4_000, queue_messages=20, queue_bytes=20_000)


class Client:
    """Takes frames one by one, when it is told to read."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.sent: list[Json] = []
        self.cut: list[int] = []
        self.reads, self.closed = asyncio.Event(), asyncio.Event()
        self.codec = JsonCodec(SystemClock(), RandomIds())
        self.connection = Connection(
            self._take, lambda code, _reason: self.cut.append(code), self.codec, SystemClock(), limits, 1
        )

    async def _take(self, message: Message) -> None:
        await self.reads.wait()
        if message["type"] == "websocket.close":
            self.closed.set()
            return
        self.sent.append(orjson.loads(message["text"]))

    def tell(self, *numbers: int, pad: str = "") -> None:
        for number in numbers:
            self.connection.enqueue(self.codec.encode("AGENT_STATUS", {"number": number, "pad": pad}), event=True)

    async def everything(self) -> list[Any]:
        """Let it read until nothing waits; the numbers it got, those of a BATCH in a list of their own."""
        self.reads.set()
        self.connection.start()
        self.connection.close(1000, "")
        await asyncio.wait_for(self.closed.wait(), 5)
        await self.connection.stop()
        return [self._numbers(message) for message in self.sent]

    def _numbers(self, message: Json) -> Any:
        if message["type"] == "BATCH":
            return [self._numbers(inner) for inner in message["payload"]["messages"]]
        return message["payload"].get("number", message["type"])


async def test_events_that_wait_go_together() -> None:
    """With acceptBatches, events that wait go in BATCHes of bounded length, answers by themselves; the order holds."""
    client = Client()
    client.connection.accept_batches(True)
    client.tell(1, 2, 3, 4)
    client.connection.send("PONG", {"timestamp": 1})
    client.tell(5)
    assert await client.everything() == [[1, 2, 3], 4, "PONG", 5]


async def test_nobody_else_gets_batches() -> None:
    """Without acceptBatches, or once it is taken back, every message is a frame of its own."""
    for answers in ((), (True, False)):
        client = Client()
        for answer in answers:
            client.connection.accept_batches(answer)
        client.tell(1, 2, 3)
        assert await client.everything() == [1, 2, 3]


async def test_batches_have_a_size() -> None:
    """Large events share no BATCH that would be larger than it may be."""
    client = Client()
    client.connection.accept_batches(True)
    client.tell(1, 2, 3, pad="x" * 1_500)
    assert await client.everything() == [[1, 2], 3]


async def test_envelope_of_a_batch() -> None:
    """A BATCH has an id of its own, and a time between the last that it holds and the first that follows."""
    client = Client()
    client.connection.accept_batches(True)
    client.tell(1, 2, 3, 4, 5)
    await client.everything()
    first, second = client.sent
    inner = first["payload"]["messages"]
    assert first.keys() == inner[0].keys() == {"type", "id", "timestamp", "payload"}
    assert len({first["id"], second["id"], *(message["id"] for message in inner)}) == 5
    assert inner[-1]["timestamp"] <= first["timestamp"] <= second["timestamp"]


@pytest.mark.parametrize("pad", ["x" * 900, "ä" * 900, "日" * 900, "x" * 900 + "🚀"])
async def test_what_counts_is_memory(pad: str) -> None:
    """A client that does not read is cut once what waits takes more memory than it may, whatever the characters."""
    client = Client(Limits(queue_messages=1_000, queue_bytes=20_000))
    frame = sys.getsizeof(client.codec.encode("AGENT_STATUS", {"number": 10, "pad": pad}))
    room = 20_000 // frame
    client.tell(*range(10, 10 + room), pad=pad)
    assert (client.cut, client.connection.closing) == ([], None)
    assert 20_000 - frame < client.connection.backlog <= 20_000
    client.tell(99, pad=pad)
    assert client.cut == [1008]
    assert client.connection.backlog == 0
    client.tell(100, pad=pad)
    assert client.connection.backlog == 0


async def test_a_dashboard_that_accepts_batches(world: World) -> None:
    """Over a real socket a dashboard that accepts batches hears everything once and in order, another no BATCH ever."""
    batching = await world.dashboard(acceptBatches=True)
    plain = await world.dashboard()
    agent = await world.agent("a1")
    for sequence in range(40):
        await agent.ask("TERMINAL_OUTPUT", output("a1", "a1", sequence))
        await agent.ask("AGENT_HEARTBEAT", beat("a1", commandsProcessed=sequence))
    heard = {name: await socket.fence() for name, socket in (("batching", batching), ("plain", plain))}
    assert "BATCH" not in [message["type"] for message in heard["plain"]]

    def sequences(messages: list[Json]) -> list[int]:
        flat = [
            inner for one in messages for inner in (one["payload"]["messages"] if one["type"] == "BATCH" else [one])
        ]
        return [one["payload"]["sequence"] for one in flat if one["type"] == "TERMINAL_STREAM"]

    assert sequences(heard["plain"]) == sequences(heard["batching"]) == list(range(40))
