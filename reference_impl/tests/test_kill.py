"""Nothing that was acknowledged is lost when the server is killed, whatever was in flight (CNS-4).

Heartbeats are not among it: one may wait for the database for a fifth of a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
from websockets import ConnectionClosed

from reference_impl.tests.harness import World, announcement
from reference_impl.tests.putting_out import output

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reference_impl.tests.harness import Json, Socket

TIMES = 2
AGENTS = 10
COMMANDS = 5
"""In flight on each agent: as many as it is sent at once."""
CHUNKS = 6
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ONSEMBL_")}
SERVE = [sys.executable, "-m", "reference_impl", "serve", "--port", "0", "--log-level", "error", "--exit-with-stdin"]
GONE = (ConnectionClosed, aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError)


class Ledger:
    """What the server acknowledged.

    Args:
        moment: after so many acknowledgements `enough` is set.
        commands: id → user and content, of those that were given before.
    """

    def __init__(self, moment: int, commands: dict[str, tuple[str, str]]) -> None:
        self.commands = commands
        self.left = moment
        self.enough = asyncio.Event()
        self.started: set[str] = set()
        self.finished: set[str] = set()
        self.output: defaultdict[str, list[str]] = defaultdict(list)
        self.uncertain: defaultdict[str, list[str]] = defaultdict(list)
        """Sent, and not acknowledged: it may be there or not."""

    def acknowledged(self) -> None:
        """One more."""
        self.left -= 1
        if not self.left:
            self.enough.set()

    def open(self) -> dict[str, tuple[str, str]]:
        """The commands that no agent has started."""
        return {command: given for command, given in self.commands.items() if command not in self.started}


class Agent:
    """An agent with its commands: it acknowledges, streams and completes them, and asks for more."""

    def __init__(self, world: World, ledger: Ledger, name: str) -> None:
        self.world = world
        self.ledger = ledger
        self.name = name
        self.user = "alice" if name.endswith(("0", "2", "4", "6", "8")) else "bob"
        self.answers: dict[str, asyncio.Future[Json]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.socket: Socket

    async def work(self) -> None:
        """Until the server is gone."""
        with suppress(*GONE):
            self.socket = await self.world.socket("/ws/agent", self.user)
            await self.socket.say("AGENT_CONNECT", announcement(self.name))
            await self.socket.until("ACK")
            for _ in range(COMMANDS):
                self.go(self.ask())
            while True:
                self.take(json.loads(await self.socket.inner.recv()))
        for answer in self.answers.values():
            answer.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def take(self, message: Json) -> None:
        if message["type"] == "COMMAND_REQUEST":
            self.go(self.execute(message["payload"]["commandId"]))
        elif (answer := self.answers.pop(message["payload"].get("messageId"), None)) and not answer.done():
            answer.set_result(message)

    def go(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def says(self, kind: str, payload: object) -> None:
        """Say it, and return when it is acknowledged."""
        sent = await self.socket.say(kind, payload)
        self.answers[sent] = asyncio.get_running_loop().create_future()
        await self.answers[sent]
        self.ledger.acknowledged()

    async def ask(self) -> None:
        content = f"{self.name} {random.random()}"
        body = {"content": content, "type": "NATURAL", "targetAgents": [self.name]}
        status, answer = await self.world.rest("POST", "/commands", self.user, json=body)
        assert status == 201, answer
        self.ledger.commands[answer["data"]["id"]] = (self.user, content)
        self.ledger.acknowledged()

    async def execute(self, command: str) -> None:
        about = {"commandId": command, "agentId": self.name}
        await self.says("COMMAND_ACK", {**about, "status": "EXECUTING"})
        self.ledger.started.add(command)
        for number in range(CHUNKS):
            content = f"{command} {number} \x1b[1m🚀"
            self.ledger.uncertain[command] = [content]
            await self.says("TERMINAL_OUTPUT", output(self.name, command, number, content))
            self.ledger.uncertain[command] = []
            self.ledger.output[command].append(content)
        await self.says("COMMAND_COMPLETE", {**about, "status": "COMPLETED", "executionTime": 1, "tokensUsed": 1})
        self.ledger.finished.add(command)
        await self.ask()


@asynccontextmanager
async def killed_at_the_end(database: str) -> AsyncIterator[tuple[Process, World]]:
    """A server, as a process, that is killed when the block ends, if it is still there."""
    process = await asyncio.create_subprocess_exec(*SERVE, "--db", database, stdin=PIPE, stdout=PIPE, env=ENVIRONMENT)
    assert process.stdout is not None
    async with aiohttp.ClientSession() as session:
        world = World(json.loads(await process.stdout.readline())["url"], session, None)  # type: ignore[arg-type]
        try:
            yield process, world
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await world.close()


async def check(world: World, ledger: Ledger) -> None:
    """Everything that was acknowledged is there, and nobody seems to be connected (CON-7)."""
    for user in ("alice", "bob"):
        _, agents = await world.rest("GET", "/agents", user)
        assert {agent["status"] for agent in agents["data"]} == {"OFFLINE"}
    await asyncio.gather(*(check_command(world, ledger, command) for command in ledger.commands))


async def check_command(world: World, ledger: Ledger, command: str) -> None:
    user, content = ledger.commands[command]
    status, answer = await world.rest("GET", f"/commands/{command}", user)
    assert (status, answer["data"]["content"]) == (200, content)
    could_be = {"QUEUED", "FAILED", "COMPLETED"}
    if command in ledger.started:
        could_be -= {"QUEUED"}
    if command in ledger.finished:
        could_be -= {"FAILED"}
    assert answer["data"]["status"] in could_be
    _, kept = await world.rest("GET", f"/commands/{command}/output", user)
    acknowledged = ledger.output[command]
    assert [row["content"] for row in kept["data"]] in (acknowledged, acknowledged + ledger.uncertain[command])


async def test_nothing_acknowledged_is_lost(database: str) -> None:
    """Killed at twenty moments with fifty commands in flight, the server has all it had acknowledged."""
    moments = random.Random(11)
    ledger = Ledger(0, {})
    for number in range(TIMES):
        async with killed_at_the_end(database) as (process, world):
            if number:
                await check(world, ledger)
            ledger = Ledger(moments.randrange(60, 400), ledger.open())
            working = asyncio.gather(*(Agent(world, ledger, f"agent-{number}").work() for number in range(AGENTS)))
            await asyncio.wait_for(ledger.enough.wait(), 30)
            process.kill()
            await working
    async with killed_at_the_end(database) as (_, world):
        await check(world, ledger)
