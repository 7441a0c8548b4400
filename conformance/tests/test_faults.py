"""Faults of sockets are what they say: a backend sees them as a network would show them, the timeline tells of them."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from conformance.contract import load_contract
from conformance.sequences.cases import drawn, provocation_of
from conformance.sequences.draw import scripts
from conformance.sequences.faults import KILLED, LATE, OF_SOCKETS, RESTARTED, is_faulty
from conformance.sequences.model import Cast, Model, Move
from conformance.sequences.play import EVENT_SECONDS, play
from conformance.sequences.script import each_step, first_error
from conformance.target import Target
from conformance.tests.backends.launch import backend
from conformance.tests.running import reference, run
from conformance.tests.test_runs import LESS
from conformance.timeline import Closed, Frame, Note
from conformance.world.credentials import Keyring
from conformance.world.site import Site
from conformance.world.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from conformance.timeline import Timeline
    from conformance.world.link import Link

CONTRACT = load_contract()


class Backend:
    """Takes one socket after the other, keeps what it heard, and does on each what a test says."""

    def __init__(self, greeting: Callable[[ServerConnection], Awaitable[None]]) -> None:
        self._greeting = greeting
        self.heard: list[Any] = []
        self.ends: list[ConnectionClosed] = []
        self.ended = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        """One socket."""
        await self._greeting(socket)
        try:
            while True:
                message = json.loads(await socket.recv())
                self.heard.append(message)
                answer = {"messageId": message["id"], "success": True, "agentId": message["payload"].get("agentId")}
                ack = {"type": "ACK", "id": f"s{len(self.heard)}", "timestamp": 0, "payload": answer}
                await socket.send(json.dumps(ack))
        except ConnectionClosed as end:
            self.ends.append(end)
            self.ended.set()


async def nothing(_: ServerConnection) -> None:
    """No greeting."""


@asynccontextmanager
async def world_of(greeting: Callable[[ServerConnection], Awaitable[None]] = nothing) -> AsyncIterator[Any]:
    """A backend with a world in which it is the target."""
    backend = Backend(greeting)
    async with serve(backend.serve, "127.0.0.1", 0, ping_interval=None, close_timeout=0.3) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        target = Target(f"http://127.0.0.1:{port}", jwt_secret="s" * 32, users=("alice",))
        async with ClientSession() as session:
            world = World(Site(target, CONTRACT, Keyring(target), session), "faults")
            yield backend, world
            await world.close()


def notes(t: Timeline, kind: str) -> list[Note]:
    return [n for n in t.notes if n.kind == kind]


async def until_ended(backend: Backend) -> ConnectionClosed:
    async with asyncio.timeout(5):
        await backend.ended.wait()
    return backend.ends[-1]


@pytest.mark.parametrize("how", ["cut", "reset", "drop"])
async def test_an_end_without_a_handshake_has_no_close_frame_and_no_half_message(how: str) -> None:
    """The backend hears what was said whole before, nothing of what was cut, and no close frame."""
    async with world_of() as (backend, world):
        link: Link = await world.user().socket("agent")
        await link.ask("PING", {"timestamp": 1})
        await getattr(link, how)()
        end = await until_ended(backend)
        assert [m["type"] for m in backend.heard] == ["PING"]
        assert end.rcvd is None
        closed = [e for e in world.timeline().events if isinstance(e, Closed)]
        assert [(c.by, c.code) for c in closed] == [("fault", None)]


async def test_a_half_open_peer_answers_nothing_and_is_told_of_its_end() -> None:
    """No PONG of either kind, no close frame; what it is told is on the timeline when it came, and so is 4008."""

    async def asks_and_closes(socket: ServerConnection) -> None:
        await socket.recv()
        pong = asyncio.ensure_future(await socket.ping())
        await socket.send(json.dumps({"type": "PING", "id": "p", "timestamp": 0, "payload": {"timestamp": 1}}))
        await asyncio.wait([pong], timeout=0.2)
        answered.append(pong.done())
        await socket.close(4008, "replaced")

    answered: list[bool] = []
    async with world_of(asks_and_closes) as (backend, world):
        link: Link = await world.user().socket("agent")
        link.fall_silent()
        assert not link.is_open
        assert link.is_there
        assert await link.send_late("PONG", {"timestamp": 0})  # the backend goes on
        closed = await link.ended(within=3.0)
        assert closed is not None
        assert (closed.by, closed.code) == ("backend", 4008)
        assert await link.send_late("AGENT_HEARTBEAT", {})
        assert (await until_ended(backend)).rcvd is None
        frames = [e for e in world.timeline().events if isinstance(e, Frame)]
        assert [(f.type, f.is_sent) for f in frames] == [("PONG", True), ("PING", False), ("AGENT_HEARTBEAT", True)]
        assert frames[-1].seq > closed.seq
        assert answered == [False]


async def test_what_a_stalled_reader_hears_late_is_no_fault_of_the_backend() -> None:
    """It hears all of it, and no rule asks what it was told and when: it was watched up to the stall."""
    async with world_of() as (_, world):
        link: Link = await world.user().socket("agent")
        link.stall(0.3)
        sent = await link.ask("PING", {"timestamp": 1})
        t: Timeline = world.timeline()
        answer = link.frames[0]
        assert answer.at - sent.at >= 0.25
        (stall,) = notes(t, "stalled")
        (connection,) = t.connections
        assert (connection.until, connection.received, connection.sent) == (stall.at, [], [sent])


def connects() -> dict[str, Any]:
    payload = {"agentId": {"$agent": "agent-1"}}
    return {"actor": "agent-1", "cause": "agent.connected", "say": "AGENT_CONNECT", "payload": payload}


def script(*steps: dict[str, Any]) -> dict[str, Any]:
    made = {"format": 1, "agents": {"agent-1": 0}, "dashboards": {}, "steps": list(steps)}
    assert first_error(made) == ""
    return made


async def test_a_message_is_repeated_byte_for_byte_on_another_connection() -> None:
    """On the same one it needs an id of its own, for that is what an id is for."""
    ping = {"actor": "agent-1", "cause": "agent.ping", "say": "PING", "payload": {"timestamp": 7}}
    again = {"actor": "agent-1", "cause": "fault.repeated", "repeat": "PING"}
    drop = {"actor": "agent-1", "cause": "agent.lost", "do": "drop"}
    async with world_of() as (backend, world):
        await play(world, script(connects(), ping, again, drop, connects(), again))
        pings = [m for m in backend.heard if m["type"] == "PING"]
        first, same, other = (m for m in pings if m["payload"] == {"timestamp": 7})
        assert first["id"] != same["id"]
        assert first["payload"] == same["payload"]
        assert other == first


async def test_a_play_lasts_until_what_has_not_come_is_late() -> None:
    """What is missing of the last step is found only then: nothing that comes later shows that it was passed over."""
    async with world_of() as (_, world):
        await play(world, script(connects()))
        t: Timeline = world.timeline()
        last = next(e for e in t.events if isinstance(e, Frame) and e.type == "AGENT_HEARTBEAT")
        assert t.end > t.bound(last.at, EVENT_SECONDS)


async def test_an_agent_whose_line_is_half_open_says_no_heartbeat_at_the_end() -> None:
    """It would never leave this machine, and nobody could answer it."""
    half = {"actor": "agent-1", "cause": "fault.half-open", "do": "half-open"}
    async with world_of() as (_, world):
        await play(world, script(connects(), half))
        t: Timeline = world.timeline()
        assert "AGENT_HEARTBEAT" not in {e.type for e in t.events if isinstance(e, Frame)}


async def test_what_is_late_comes_on_the_connection_that_was_replaced() -> None:
    """The player waits until the backend has closed it; a connection that was not replaced is never late."""
    sockets: list[ServerConnection] = []

    async def replaces(socket: ServerConnection) -> None:
        sockets.append(socket)
        if len(sockets) == 2:
            asyncio.get_running_loop().call_soon(lambda: closing.append(asyncio.ensure_future(sockets[0].close(4008))))

    closing: list[Any] = []
    half = {"actor": "agent-1", "cause": "fault.half-open", "do": "half-open"}
    late = {"actor": "agent-1", "cause": LATE, "say": "AGENT_HEARTBEAT", "payload": {"n": 1}, "on": "earlier"}
    gone = {"actor": "agent-1", "cause": "fault.vanished", "do": "drop", "on": "earlier"}
    async with world_of(replaces) as (_, world):
        await play(world, script(connects(), late, half, connects(), late, gone))
        t: Timeline = world.timeline()
        assert [n.data["step"] for n in notes(t, "left-out")] == [LATE]  # the first: nothing was replaced by then
        first, second = (c for c in t.connections if c.role == "agent")
        assert first.closed is not None
        assert first.closed.code == 4008
        assert [f.type for f in first.late] == ["AGENT_HEARTBEAT"]
        assert second.closed is None


def test_what_breaks_needs_a_target_that_may_be_harmed() -> None:
    """On this machine, or with permission: else nothing faulty is drawn, and nothing faulty that was kept is played."""
    near, far = Target("http://127.0.0.1:1"), Target("https://example.com")
    allowed = Target("https://example.com", destructive=True)
    for target, expected in ((near, True), (far, False), (allowed, True)):
        found = [p.document or {} for p in drawn(CONTRACT, target, count=12, seed=2, users=1)]
        assert any(is_faulty(s) for d in found for s in each_step(d)) == expected
    for step in (
        {"actor": "agent-1", "cause": "agent.lost", "do": "cut"},
        {"actor": "agent-1", "cause": "agent.lost", "do": "half-open"},  # whatever it is called
        {"actor": "agent-1", "cause": "agent.ping", "repeat": "PING"},
    ):
        assert provocation_of(script(connects(), step), "x").needs == {"faults"}
    assert (
        provocation_of(script(connects(), {"actor": "agent-1", "cause": "x", "do": "drop"}), "x").needs == frozenset()
    )


def test_a_restart_is_played_alone_and_only_where_it_can_be() -> None:
    """It needs a backend that can be restarted, or killed; nobody else's socket restarts it."""
    for how, needs in (("restart", {"restart"}), ("kill", {"restart", "kill"})):
        one = provocation_of(script(connects(), {"actor": "backend", "cause": RESTARTED, "do": how}), "x")
        assert one.alone
        assert one.needs == needs
    steps = [{"actor": "agent-1", "cause": RESTARTED, "do": "restart"}]
    assert first_error({"format": 1, "agents": {"agent-1": 0}, "dashboards": {}, "steps": steps})


def test_faults_are_drawn_alike_from_the_same_seed() -> None:
    """Byte for byte, valid as scripts, each with one restart where restarts are asked for; without permission none."""
    first, again = (scripts(CONTRACT, count=8, size=6, seed_=5, faults=True, restarts=[KILLED]) for _ in "12")
    assert json.dumps(first) == json.dumps(again)
    assert {first_error(s) for s in first} == {""}
    assert [sum(s["cause"] == KILLED for s in each_step(d)) for d in first] == [1] * 8
    causes = {s["cause"] for d in scripts(CONTRACT, count=8, size=6, seed_=5) for s in each_step(d)}
    assert not causes & {*OF_SOCKETS, KILLED}


def test_the_model_knows_what_a_half_open_connection_can_do() -> None:
    """Its agent can come back or vanish; once it is back, the old connection can only be late or end."""
    world = Model(CONTRACT, Cast({"agent-1": 0}, {"dashboard-1": 0}), faults=True)
    world.take(Move("agent.connected", "agent-1", "agent-1"))
    assert {m.cause for m in world.moves()} & OF_SOCKETS == {"fault.half-open", "fault.repeated"}
    world.take(Move("fault.half-open", "agent-1", "agent-1"))
    assert {m.cause for m in world.moves() if m.legal and m.actor == "agent-1"} == {"agent.replaced", "agent.lost"}
    assert world.agents["agent-1"] == "ONLINE"
    world.take(Move("agent.replaced", "agent-1", "agent-1"))
    late = {(m.cause, m.says) for m in world.moves() if m.cause in {"fault.late", "fault.vanished"}}
    assert {("fault.late", "agent.heartbeat"), ("fault.vanished", "")} <= late
    world.take(Move(RESTARTED, "backend"))
    assert world.agents["agent-1"] == "OFFLINE"
    assert not {m.cause for m in world.moves()} & OF_SOCKETS


BEAT = {"cpuUsage": 71, "memoryUsage": 17, "uptime": 7171, "commandsProcessed": 717}
HELLO = {
    "agentId": {"$agent": "agent-1"},
    "agentType": "CLAUDE",
    "version": "1",
    "hostMachine": "h",
    "capabilities": {"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": True},
}
OF_AGENT = {"actor": "agent-1", "cause": "agent.connected"}
BACK_AGAIN = {
    "format": 1,
    "agents": {"agent-1": 0},
    "dashboards": {"dashboard-1": 0},
    "steps": [
        {"actor": "dashboard-1", "cause": "dashboard.init", "say": "DASHBOARD_INIT", "payload": {}},
        {**OF_AGENT, "say": "AGENT_CONNECT", "payload": HELLO},
        {**OF_AGENT, "do": "half-open"},
        {**OF_AGENT, "say": "AGENT_CONNECT", "payload": HELLO},
        {
            **OF_AGENT,
            "say": "AGENT_HEARTBEAT",
            "payload": {"agentId": {"$agent": "agent-1"}, "healthMetrics": BEAT},
            "on": "earlier",
        },
        {**OF_AGENT, "do": "drop", "on": "earlier"},
        {**OF_AGENT, "repeat": "AGENT_CONNECT"},
        {"actor": "dashboard-1", "cause": "dashboard.ping", "do": "stall"},
        {**OF_AGENT, "do": "cut"},
    ],
}


@pytest.mark.parametrize(
    ("defect", "clause"), [("", ""), ("late-close-kills-new", "CON-4"), ("two-sockets-both-served", "CON-4")]
)
def test_a_script_with_faults_tells_right_from_wrong(defect: str, clause: str, tmp_path: Path) -> None:
    """The reference keeps to the contract whatever breaks; backends with a defect are found by it."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "back.json").write_text(json.dumps(BACK_AGAIN))
    only = ("--level", "full", "--corpus", str(tmp_path / "kept"), "--only", "corpus/*")
    with reference(tmp_path, *(("--defect", defect) if defect else ())) as url:
        told = run(tmp_path / "run", url, *only)
    assert told.failed(core=False) >= ({clause} if clause else set()), told.out
    assert bool(told.failed(core=False)) == bool(clause), told.out


def test_a_backend_that_serves_what_comes_late_is_red_and_one_that_is_only_different_is_not(tmp_path: Path) -> None:
    """CON-4: who was replaced must not speak for the agent; ids, fields and delays of one's own are no breach."""
    only = ("--level", "full", "--only", "connection.late-changes-nothing", *LESS)
    with backend("second") as right:
        with backend("front", "--upstream", right, "--serve-late", "--delay-ms", "0") as url:
            wrong = run(tmp_path / "wrong", url, *only)
        with backend("front", "--upstream", right) as url:
            other = run(tmp_path / "other", url, *only)
    assert {f["rule"] for f in wrong.found("CON-4")} == {"connection.late-changes-nothing"}
    assert wrong.failed(core=False) <= {"CON-4", "ACK-1"}  # the answer to what is late goes to the new connection
    assert other.failed(core=False) == set()
    assert other.report["clauses"]["CON-4"]["outcome"] == "passed"
