"""The opponents are what they say they are."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conformance.tests.backends.launch import backend
from conformance.tests.backends.tokens import mint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Json = dict[str, Any]
CAPABILITIES = {"maxTokens": 4096, "supportsInterrupt": True, "supportsTrace": False}
HEALTH = {"cpuUsage": 25, "memoryUsage": 1024, "uptime": 3600, "commandsProcessed": 10}
names = (f"agent-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def second() -> Iterator[str]:
    with backend("second") as url:
        yield url


@pytest.fixture(scope="module")
def front(second: str) -> Iterator[str]:
    with backend("front", "--upstream", second) as url:
        yield url


KINDS = {
    "reject-all": (403, b"{"),
    "accept-all": (200, b'{"success": true'),
    "empty-object": (200, b"{}"),
    "invalid-utf8": (200, b'{"success": true'),
    "redirect-loop": (302, b""),
    "html-errors": (502, b"<!doctype"),
    "web-page": (200, b"<!doctype"),
    "refuses-token": (401, b"{"),
    "silent-socket": (200, b"{"),
    "endless-body": (200, b'{"success": true'),
    "deflate-bomb": (200, b'{"success": true'),
}
BELOW_HTTP = {"tls-on-plain": b"\x15\x03\x01", "close-at-once": b"", "hang": None}


@pytest.fixture(scope="module")
def degenerate() -> Iterator[dict[str, str]]:
    """Every kind, started side by side."""
    kinds = [*KINDS, *BELOW_HTTP, "huge-frame"]
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        started = pool.map(lambda kind: stack.enter_context(backend("degenerate", "--kind", kind)), kinds)
        yield dict(zip(kinds, started, strict=True))


@pytest.fixture(params=["second", "front"])
def either(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@asynccontextmanager
async def opened(url: str, path: str, user: str = "alice") -> AsyncIterator[ClientConnection]:
    async with connect(
        f"{url.replace('http', 'ws')}{path}?token={mint(user)}", max_size=None, max_queue=None
    ) as socket:
        yield socket


@asynccontextmanager
async def dashboard(url: str, user: str = "alice") -> AsyncIterator[tuple[ClientConnection, list[Json]]]:
    async with opened(url, "/ws/dashboard", user) as socket:
        await say(socket, "DASHBOARD_INIT")
        await heard(socket, "DASHBOARD_READY")
        yield socket, (await heard(socket, "dashboard:connected"))["agents"]


async def say(socket: ClientConnection, kind: str, **payload: object) -> None:
    await socket.send(json.dumps({"type": kind, "payload": payload}))


async def heard(socket: ClientConnection, kind: str) -> Json:
    """The payload of the next message of that kind."""
    async with asyncio.timeout(3):
        while (message := json.loads(await socket.recv()))["type"] != kind:
            pass
    return dict(message["payload"])


async def announce(socket: ClientConnection, name: str) -> str:
    """Connect an agent; the id it has from then on."""
    about = {"agentType": "CLAUDE", "version": "1.0", "hostMachine": "here", "capabilities": CAPABILITIES}
    await say(socket, "AGENT_CONNECT", agentId=name, **about)
    return str((await heard(socket, "ACK"))["agentId"])


async def rest(url: str, method: str, path: str, user: str = "alice", **more: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {mint(user)}"}
    async with aiohttp.request(method, f"{url}/api/v1{path}", headers=headers, **more) as response:
        return response.status, await response.json() if response.status != 204 else None


async def test_an_agent_lives(either: str) -> None:
    """From connect to delete, REST and a dashboard say the same of an agent, under one id that it did not choose."""
    name = next(names)
    async with dashboard(either) as (board, before):
        async with opened(either, "/ws/agent") as agent:
            agent_id = await announce(agent, name)
            assert agent_id not in {name, *(item["agentId"] for item in before)}
            await heard(board, "AGENT_STATUS")
            await say(agent, "AGENT_HEARTBEAT", agentId=name, healthMetrics=HEALTH)
            await heard(agent, "SERVER_HEARTBEAT")
            status = await heard(board, "AGENT_STATUS")
            assert (status["agentId"], status["status"], status["metrics"]["uptime"]) == (agent_id, "ONLINE", 3600)
            _, single = await rest(either, "GET", f"/agents/{agent_id}")
            assert single["data"]["last_metrics"]["commandsExecuted"] == 10
            assert (await rest(either, "DELETE", f"/agents/{agent_id}"))[0] == 409
        assert (await heard(board, "AGENT_DISCONNECT"))["agentId"] == agent_id
        assert (await rest(either, "DELETE", f"/agents/{agent_id}"))[0] == 204
        assert (await rest(either, "GET", f"/agents/{agent_id}"))[0] == 404


async def test_two_users_may_announce_one_id(either: str) -> None:
    """The same announced id makes two agents for two users, and each sees but his own."""
    name = next(names)
    async with opened(either, "/ws/agent") as mine, opened(either, "/ws", "bob") as his:
        one, other = await announce(mine, name), await announce(his, name)
        assert one != other
        assert (await rest(either, "GET", f"/agents/{other}"))[0] == 404
        assert (await rest(either, "GET", f"/agents/{other}", "bob"))[0] == 200


async def test_a_replaced_connection_closes_with_4008(either: str) -> None:
    """A second connection under the made id is the same agent, and the first one ends."""
    name = next(names)
    async with opened(either, "/ws/agent") as first, opened(either, "/ws/agent") as later:
        agent_id = await announce(first, name)
        assert await announce(later, agent_id) == agent_id
        with pytest.raises(ConnectionClosed) as closed:
            await heard(first, "nothing of this kind")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4008
        _, single = await rest(either, "GET", f"/agents/{agent_id}")
        assert single["data"]["status"] == "ONLINE"


async def test_a_subscription_holds_under_the_ids_clients_know(either: str) -> None:
    """A dashboard that subscribes to one agent, by the id it was told, hears of that one alone."""
    async with dashboard(either) as (board, _), opened(either, "/ws/agent") as one, opened(either, "/ws/agent") as two:
        wanted, other = await announce(one, next(names)), await announce(two, next(names))
        await say(board, "DASHBOARD_UNSUBSCRIBE", type="agent", all=True)
        assert (await heard(board, "ACK"))["subscriptions"]["agents"] == []
        await say(board, "DASHBOARD_SUBSCRIBE", type="agent", id=wanted)
        assert (await heard(board, "ACK"))["subscriptions"]["agents"] == [wanted]
        await say(two, "AGENT_HEARTBEAT", agentId=other, healthMetrics=HEALTH)
        await heard(two, "SERVER_HEARTBEAT")
        await say(one, "AGENT_HEARTBEAT", agentId=wanted, healthMetrics=HEALTH)
        assert (await heard(board, "AGENT_STATUS"))["agentId"] == wanted


async def test_a_bad_token_is_refused_at_the_handshake(either: str) -> None:
    """Neither opens a socket for a token that is none; both say 401."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{either.replace('http', 'ws')}/ws/agent?token=none")
    assert refused.value.response.status_code == 401


async def test_faults_are_answered_and_survived(either: str) -> None:
    """Bad JSON, a wrong direction, an unknown type and impossible metrics each get their ERROR on a living socket."""
    async with opened(either, "/ws/agent") as agent:
        await agent.send(json.dumps({"type": "PING", "payload": {"timestamp": 1}}))
        assert (await heard(agent, "ERROR"))["code"] == "NOT_INITIALIZED"
        name = await announce(agent, next(names))
        for text, code in [
            ("{", "INVALID_MESSAGE"),
            ('{"type": "AGENT_STATUS", "payload": {}}', "INVALID_MESSAGE_TYPE"),
            ('{"type": "LUNCH", "payload": {}}', "UNKNOWN_MESSAGE_TYPE"),
        ]:
            await agent.send(text)
            assert (await heard(agent, "ERROR"))["code"] == code
        await say(agent, "AGENT_HEARTBEAT", agentId=name, healthMetrics={**HEALTH, "cpuUsage": 101})
        assert (await heard(agent, "ERROR"))["code"] == "INVALID_MESSAGE"
        await say(agent, "PING", timestamp=7, sequence=8)
        assert (await heard(agent, "PONG")).items() >= {"timestamp": 7, "sequence": 8}.items()


async def test_a_page_holds_what_was_asked_for(either: str) -> None:
    """Pages neither repeat nor lose agents, and a limit of 0 is refused."""
    async with opened(either, "/ws/agent", "bob") as one, opened(either, "/ws/agent", "bob") as two:
        ids = {await announce(one, next(names)), await announce(two, next(names))}
        pages = [(await rest(either, "GET", f"/agents?limit=1&offset={at}&status=online", "bob"))[1] for at in (0, 1)]
        assert {page["data"][0]["agent_id"] for page in pages} == ids
        assert [page["pagination"]["total"] for page in pages] == [2, 2]
    assert (await rest(either, "GET", "/agents?limit=0", "bob"))[0] == 400


async def test_too_large_closes_with_1009(either: str) -> None:
    """More than 512 KiB in UTF-8 from a dashboard closes it with 1009."""
    async with dashboard(either) as (board, _):
        await board.send("é" * (2**18 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await heard(board, "nothing of this kind")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_flood_of_heartbeats_is_thinned(second: str) -> None:
    """Fifty heartbeats at once cause a dozen AGENT_STATUS at most, and the last one's numbers arrive."""
    async with dashboard(second) as (board, _), opened(second, "/ws/agent") as agent:
        name = await announce(agent, next(names))
        for number in range(50):
            await say(agent, "AGENT_HEARTBEAT", agentId=name, healthMetrics={**HEALTH, "commandsProcessed": number})
        count = 1
        while (await heard(board, "AGENT_STATUS")).get("metrics", None) is None:
            pass
        while (await heard(board, "AGENT_STATUS"))["metrics"]["commandsExecuted"] != 49:
            count += 1
        assert count < 12


async def test_the_front_adds_fields_and_keeps_ids_when_told_to(second: str) -> None:
    """Behind a front with --keep-ids an agent has the backend's own id, and every item has a field more."""
    with backend("front", "--upstream", second, "--keep-ids") as url:
        async with opened(url, "/ws/agent") as agent:
            agent_id = await announce(agent, next(names))
            _, item = await rest(url, "GET", f"/agents/{agent_id}")
    assert item["data"].items() >= {"agent_id": agent_id, "_via": "front"}.items()


async def test_the_front_turns_a_close_into_a_refusal() -> None:
    """A backend that opens, says ERROR and closes with 4001 answers 401 at the handshake from behind the front."""

    async def refuse(request: web.Request) -> web.WebSocketResponse:
        opening = web.WebSocketResponse()
        await opening.prepare(request)
        await opening.send_json({"type": "ERROR", "id": "1", "timestamp": 1, "payload": {"code": "UNAUTHORIZED"}})
        await opening.close(code=4001)
        return opening

    app = web.Application()
    app.router.add_get("/ws", refuse)
    async with TestServer(app) as server:
        with backend("front", "--upstream", str(server.make_url(""))) as url, pytest.raises(InvalidStatus) as refused:
            await connect(f"{url.replace('http', 'ws')}/ws")
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [("status", ("status", "online")), ("ids", ("agent_id", None)), ("metrics", ("last_metrics", None))],
)
async def test_one_thing_is_wrong(wrong: str, seen: tuple[str, str | None]) -> None:
    """In a list of another envelope exactly the one thing that was asked for is wrong."""
    with backend("second", "--list-envelope", "agents", "--one-wrong", wrong, "--only-shared-socket") as url:
        with pytest.raises(InvalidStatus):
            await connect(f"{url.replace('http', 'ws')}/ws/agent?token={mint('alice')}")
        async with opened(url, "/ws") as agent:
            await announce(agent, next(names))
            _, body = await rest(url, "GET", "/agents")
    assert body["agents"][0].get(seen[0]) == seen[1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_degenerate_server_answers_as_its_name_says(degenerate: dict[str, str], kind: str) -> None:
    """GET /agents of a degenerate server has the status and the first bytes that its kind promises."""
    headers = {"Authorization": f"Bearer {mint('alice')}"}
    status, start = KINDS[kind]
    target = f"{degenerate[kind]}/api/v1/agents"
    async with aiohttp.request("GET", target, headers=headers, allow_redirects=False) as response:
        assert response.status == status
        assert await response.content.read(len(start)) == start


@pytest.mark.parametrize("kind", BELOW_HTTP)
def test_some_are_below_http(degenerate: dict[str, str], kind: str) -> None:
    """Over plain TCP these answer an alert, the end, or nothing."""
    place, said = urlsplit(degenerate[kind]), BELOW_HTTP[kind]
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=0.3) as raw:
        if said != b"":
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
        if said is None:
            with pytest.raises(TimeoutError):
                raw.recv(3)
        else:
            assert raw.recv(3) == said


async def test_a_frame_may_be_huge(degenerate: dict[str, str]) -> None:
    """The huge frame has 64 MiB, upon connection."""
    async with opened(degenerate["huge-frame"], "/ws/agent") as agent:
        assert len(await agent.recv()) == 64 * 2**20
