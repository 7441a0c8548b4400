"""How many frames a second the tester takes, records and judges: ten sockets, AGENT_STATUS of a thousand agents.

Run: python benchmarks/tester_frames.py [frames]. A process of its own sends as fast as it is read; what is told is the
tester's own processor time for each frame, so that another process beside it does no harm.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson
from websockets.asyncio.server import ServerConnection, serve

from conformance.contract import load_contract
from conformance.target import Target
from conformance.terms import Terms
from conformance.world import recorder
from conformance.world.credentials import Keyring
from conformance.world.link import Link
from conformance.world.rest import open_session
from conformance.world.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

SOCKETS = 10


def messages(count: int) -> Iterator[str]:
    """AGENT_STATUS as a backend sends them."""
    for number in range(count):
        payload = {
            "agentId": f"cf.abc.1.{number % 1000}",
            "status": "ONLINE",
            "timestamp": 1_760_000_000_000 + number,
            "metrics": {"commandsExecuted": number, "uptime": 60, "memoryUsage": 512, "cpuUsage": 12.5},
            "name": "Agent",
            "type": "CLAUDE",
            "version": "1.2.0",
            "capabilities": ["basic", "interrupt", "trace"],
            "activityState": "IDLE",
            "queuedCommands": 0,
            "lastHeartbeat": "2025-10-09T08:00:00.000Z",
        }
        message = {"type": "AGENT_STATUS", "id": f"m{number}", "timestamp": payload["timestamp"], "payload": payload}
        yield orjson.dumps(message).decode()


def backend(pipe: Connection, count: int) -> None:
    """Sends that many frames on each socket, then ends it."""
    ready = list(messages(count))

    async def talk(ws: ServerConnection) -> None:
        for message in ready:
            await ws.send(message)
        await ws.close()

    async def main() -> None:
        async with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
            pipe.send(next(iter(server.sockets)).getsockname()[1])
            await server.serve_forever()

    asyncio.run(main())


async def tester(port: int) -> dict[str, Any]:
    """Reads them all."""
    recorder.MAX_EVENTS, recorder.MAX_BYTES = 10_000_000, 10**10
    target, contract = Target(url=f"http://127.0.0.1:{port}", tokens=("a.b.c",)), load_contract()
    async with open_session() as session:
        site = Site(target, contract, Keyring(target), session)
        log = recorder.Recorder(contract)
        links = [Link(site, log, f"dashboard-{n}") for n in range(SOCKETS)]
        began, cpu = time.perf_counter(), time.process_time()
        for link in links:
            await link.open(user="user-1", channel="dashboard", role="dashboard")
        await asyncio.gather(*(link.ended(within=120) for link in links))
        spent, used = time.perf_counter() - began, time.process_time() - cpu
        frames = sum(len(link.frames) for link in links)
    timeline = log.timeline(Terms())
    cpu = time.process_time()
    found = sum(len(c.about(f"cf.abc.1.{n}", "AGENT_STATUS")) for c in timeline.connections for n in range(1000))
    return {
        "frames": frames,
        "frames a second": round(frames / spent),
        "tester's µs a frame": round(used / frames * 1e6, 1),
        "µs a frame to find them by agent": round((time.process_time() - cpu) / max(found, 1) * 1e6, 1),
    }


def main() -> None:
    """Prints the figures as one JSON object."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=backend, args=(theirs, count // SOCKETS), daemon=True)
    process.start()
    figures = asyncio.run(tester(ours.recv()))
    process.terminate()
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main()
