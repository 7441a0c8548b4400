"""Generated message cases: ours through a whole run, and the ceiling of a client that sends the same frames.

Taken in turn on one server. Ours is all of it: payloads are put together from those of the schemas, bound to the
conversation, sent in bursts, each answer goes onto the timeline, and all rules judge. The bare client sends the same
messages on as many connections, reads until its last PING is answered and looks at nothing.
Most cases break one keyword; one in four keeps its schema. Beside the rate stands what each spent of a processor, for
a rate means little on a machine that others use too.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
from websockets.asyncio.client import connect

from benchmarks.spent import Clock, Spent, line
from conformance.contract import load_contract
from conformance.engine.bundled import bundled_reference
from conformance.engine.events import CaseFinished, CaseStarted
from conformance.engine.run import AT_ONCE, Options, Run
from conformance.generate.messages import drawn, samples
from conformance.loop import run
from conformance.rules import all_rules
from conformance.world.credentials import Keyring

if TYPE_CHECKING:
    from conformance.connection import Connection
    from conformance.target import Target
    from conformance.timeline import Timeline

LAST = 999_999_999
"""The number of the bare client's last PING on a connection."""
OURS, BARE = "ours: generated, sent, recorded, judged by all rules", "a bare client, the same messages"


async def of_ours(target: Target, count: int, seed: int) -> tuple[Spent, list[Timeline], Counter[str]]:
    """A run of the drawn messages alone, its timelines, and what its rules found."""
    contract, pid = load_contract(), target.held.pid  # type: ignore[union-attr]
    made = tuple(drawn(contract, target, count=count, seed=seed))
    timelines: list[Timeline] = []
    found: Counter[str] = Counter()
    begun = ended = None
    options = Options(level="full", only="messages/*", generated=made)
    async for event in Run(target, all_rules().values(), contract, options).events():
        if isinstance(event, CaseStarted) and event.case.startswith("messages/"):
            begun = begun or Clock(pid)
        elif isinstance(event, CaseFinished) and event.timeline is not None and event.case.startswith("messages/"):
            ended = Clock(pid)
            timelines.append(event.timeline)
            found.update(f.rule for f in event.findings)
            found.update(filter(None, (event.cut, event.error, *event.unmet)))
    if begun is None or ended is None:
        sys.exit("no message was sent")
    cases = sum(n.data["messages"] for t in timelines for n in t.notes if n.kind == "generated")
    return begun.until(ended, cases), timelines, found


async def of_a_bare_client(target: Target, timelines: list[Timeline]) -> Spent:
    """The same messages on as many connections, as many cases at once."""
    keyring, gate, pid = Keyring(target), asyncio.Semaphore(AT_ONCE), target.held.pid  # type: ignore[union-attr]
    cases = sum(n.data["messages"] for t in timelines for n in t.notes if n.kind == "generated")
    ready = [[(c, written) for c in t.connections if (written := anew(c))] for t in timelines]

    async def replay(connections: list[tuple[Connection, list[bytes]]]) -> None:
        async with gate:
            open_ones = []
            for connection, frames in connections:
                token = keyring.token(connection.user)
                url = f"{target.url.replace('http', 'ws', 1)}/ws/{connection.channel}?token={token}"
                ws = await connect(url, compression=None, max_size=None, max_queue=None, ping_interval=None)
                open_ones.append(ws)
                async with ws.send_context():
                    for frame in frames:
                        ws.protocol.send_text(frame)
                    ws.transport.write(b"".join(ws.protocol.data_to_send()))
                while f'"sequence":{LAST}' not in str(await ws.recv()):
                    pass
            await asyncio.gather(*(ws.close() for ws in open_ones))

    begun = Clock(pid)
    await asyncio.gather(*map(replay, ready))
    return begun.until(Clock(pid), cases)


def anew(connection: Connection) -> list[bytes]:
    """What was sent on a connection, and a last PING by which to know that all of it was dealt with."""
    sent = [f.value for f in connection.sent if isinstance(f.value, dict)]
    last: dict[str, Any] = {"type": "PING", "id": "last", "timestamp": 1, "payload": {"timestamp": 1, "sequence": LAST}}
    return [orjson.dumps(value) for value in (*sent, last)] if sent else []


async def measured(rounds: int, count: int) -> dict[str, list[Spent]]:
    """Both in turn, on one server."""
    for message in load_contract().messages.values():
        if message.side.startswith("from-"):
            samples(load_contract(), message)  # the enumeration is made once in a process
    spent: dict[str, list[Spent]] = {OURS: [], BARE: []}
    async with bundled_reference() as target:
        for seed in range(rounds):
            ours, timelines, found = await of_ours(target, count, seed)
            spent[OURS].append(ours)
            spent[BARE].append(await of_a_bare_client(target, timelines))
            for what, times in found.items():
                sys.stderr.write(f"round {seed}: {times} times {what}\n")
    return spent


def main() -> None:
    """Prints the median, worst and best rate of each, and microseconds of a processor for a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1500, help="payloads drawn for each message type")
    options = parser.parse_args()
    spent = run(measured(options.rounds, options.count))
    for name, rounds in spent.items():
        sys.stdout.write(line(name, rounds))


if __name__ == "__main__":
    main()
