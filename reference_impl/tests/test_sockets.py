"""Sockets: who gets in, which messages are served, what is refused and how."""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING

import pytest
import websockets

from reference_impl.tests.harness import Json, announcement, beat, serving, signed
from reference_impl.tests.test_rest import BAD_TOKENS

if TYPE_CHECKING:
    from reference_impl.tests.harness import World


async def test_bad_tokens_are_told_and_closed(world: World) -> None:
    """A bad token is told UNAUTHORIZED and closed with 4001, an expired one with 4002."""
    for (name, token), path in product(BAD_TOKENS.items(), ["/ws", "/ws/agent", "/ws/dashboard"]):
        socket = await world.socket(path, token=token or "x")
        code, heard = await socket.ended()
        assert code == (4002 if name == "expired" else 4001), name
        assert [message["payload"]["code"] for message in heard] == ["UNAUTHORIZED"]


async def test_token_in_the_header(world: World) -> None:
    """A token may come in the Authorization header."""
    where = world.url.replace("http", "ws") + "/ws/dashboard"
    async with websockets.connect(where, additional_headers={"Authorization": f"Bearer {signed('alice')}"}) as socket:
        await socket.send('{"type": "DASHBOARD_INIT", "payload": {}}')
        assert "DASHBOARD_READY" in await socket.recv(decode=True)
    async with websockets.connect(where) as socket:
        assert "UNAUTHORIZED" in await socket.recv(decode=True)


async def test_foreign_origin_is_refused(world: World) -> None:
    """A page of another origin gets no socket; one of the allow-list or of the server itself does."""
    where = f"{world.url.replace('http', 'ws')}/ws?token={signed('alice')}"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(where, origin=websockets.Origin("https://evil.example"))
    assert refused.value.response.status_code == 403
    for origin in ("http://localhost:3000", world.url):
        await (await websockets.connect(where, origin=websockets.Origin(origin))).close()


async def test_unknown_version(world: World) -> None:
    """A version that does not exist closes with 4006."""
    code, heard = await (await world.socket("/ws/dashboard", query="&v=7")).ended()
    assert (code, heard[0]["payload"]["code"]) == (4006, "UNSUPPORTED_VERSION")


TOO_EARLY: list[tuple[str, str, Json]] = [
    ("/ws", "PING", {"timestamp": 1}),
    ("/ws", "AGENT_HEARTBEAT", beat("a1")),
    ("/ws", "NO_SUCH_TYPE", {}),
    ("/ws/agent", "AGENT_HEARTBEAT", {}),
    ("/ws/agent", "TERMINAL_OUTPUT", {}),
    ("/ws/dashboard", "DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True}),
    ("/ws/dashboard", "TOKEN_REFRESH", {"accessToken": "x"}),
]


async def test_nothing_before_the_role_message(world: World) -> None:
    """Before its role message a socket is served nothing, and can still say it afterwards."""
    for path, kind, payload in TOO_EARLY:
        socket = await world.socket(path)
        answer = await socket.ask(kind, payload)
        assert (answer["type"], answer["payload"]["code"]) == ("ERROR", "NOT_INITIALIZED"), (path, kind)
        if path == "/ws/agent":
            assert (await socket.ask("AGENT_CONNECT", announcement("a1")))["type"] == "ACK"
        else:
            assert (await socket.ask("DASHBOARD_INIT", {}))["type"] == "DASHBOARD_READY"


async def test_first_message_decides_the_role(world: World) -> None:
    """On /ws the first message makes the socket an agent's or a dashboard's, and the other role's is refused."""
    agent = await world.socket("/ws")
    assert (await agent.ask("AGENT_CONNECT", announcement("a1")))["type"] == "ACK"
    assert (await agent.ask("DASHBOARD_INIT", {}))["payload"]["code"] == "INVALID_MESSAGE_TYPE"
    dashboard = await world.socket("/ws")
    assert (await dashboard.ask("DASHBOARD_INIT", {}))["type"] == "DASHBOARD_READY"
    await dashboard.hear()
    assert (await dashboard.ask("AGENT_CONNECT", announcement("a2")))["payload"]["code"] == "INVALID_MESSAGE_TYPE"
    wrong = await world.socket("/ws/dashboard")
    assert (await wrong.ask("AGENT_CONNECT", announcement("a2")))["payload"]["code"] == "INVALID_MESSAGE_TYPE"


async def test_silent_socket_is_closed(database: str) -> None:
    """A socket that never says its role is told AUTH_TIMEOUT and closed with 4001; one that does stays."""
    async with serving(database, timings={"init_timeout_s": 0.1}) as world:
        dashboard = await world.dashboard()
        code, heard = await (await world.socket("/ws")).ended()
        assert (code, heard[0]["payload"]["code"]) == (4001, "AUTH_TIMEOUT")
        assert await dashboard.fence() == []


async def test_expiry_and_refresh(world: World) -> None:
    """A connection ends with its token, unless a newer token of the same user came."""
    soon = signed("alice", exp=time.time() + 1.2)
    left = await world.socket("/ws/dashboard", token=soon)
    kept = await world.socket("/ws/dashboard", token=soon)
    for socket in (left, kept):
        await socket.ask("DASHBOARD_INIT", {})
        await socket.hear()
    for bad in (signed("bob"), signed("alice", exp=1), "garbage"):
        assert (await left.ask("TOKEN_REFRESH", {"accessToken": bad}))["payload"]["code"] == "FORBIDDEN"
    assert (await kept.ask("TOKEN_REFRESH", {"accessToken": signed("alice"), "expiresIn": 3600}))["type"] == "ACK"
    code, heard = await left.ended()
    assert (code, heard[-1]["payload"]["code"]) == (4002, "UNAUTHORIZED")
    assert await kept.fence() == []


BAD_FRAMES = {
    "no JSON": "{",
    "empty": "",
    "text": '"x"',
    "list": "[]",
    "null": "null",
    "no type": '{"payload": {}}',
    "empty type": '{"type": "", "payload": {}}',
    "type is a number": '{"type": 5, "payload": {}}',
    "no payload": '{"type": "PING"}',
    "payload is a list": '{"type": "PING", "payload": []}',
    "payload is null": '{"type": "PING", "payload": null}',
    "id is a number": '{"type": "PING", "id": 5, "payload": {"timestamp": 1}}',
    "id is empty": '{"type": "PING", "id": "", "payload": {"timestamp": 1}}',
    "timestamp is text": '{"type": "PING", "timestamp": "now", "payload": {"timestamp": 1}}',
    "timestamp is negative": '{"type": "PING", "timestamp": -1, "payload": {"timestamp": 1}}',
    "deep": '{"type": "PING", "payload": {"timestamp": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}}",
    "rather deep": '{"type": "PING", "payload": {"timestamp": 1, "x": ' + "[" * 300 + "]" * 300 + "}}",
    "NaN": '{"type": "PING", "payload": {"timestamp": NaN}}',
    "infinite": '{"type": "PING", "payload": {"timestamp": 1e999}}',
    "many digits": '{"type": "PING", "payload": {"timestamp": ' + "9" * 5000 + "}}",
    "too large": '{"type": "PING", "payload": {"timestamp": 1e300}}',
    "lone surrogate": '{"type": "PING", "payload": {"timestamp": 1, "x": "\\ud800"}}',
    "key twice": '{"type": "PING", "payload": {"timestamp": 1, "timestamp": 2}}',
    "ping without timestamp": '{"type": "PING", "payload": {}}',
    "ping with text": '{"type": "PING", "payload": {"timestamp": "1"}}',
    "ping with a fraction": '{"type": "PING", "payload": {"timestamp": 1.5}}',
    "sequence is null": '{"type": "PING", "payload": {"timestamp": 1, "sequence": null}}',
}


async def test_bad_frames_are_answered(world: World) -> None:
    """A frame that is no message is told INVALID_MESSAGE, and the connection stays usable."""
    socket = await world.dashboard()
    for name, frame in BAD_FRAMES.items():
        await socket.inner.send(frame)
        answer = await socket.hear()
        assert (answer["type"], answer["payload"]["code"]) == ("ERROR", "INVALID_MESSAGE"), name
        assert answer["payload"]["recoverable"] is True
        await socket.say("PONG", {"timestamp": 1})
    await socket.inner.send(b"\x00\x01")
    assert (await socket.hear())["payload"]["code"] == "INVALID_MESSAGE"
    assert await socket.fence() == []


async def test_error_names_the_message(world: World) -> None:
    """An error carries the id of the message it refuses, whenever one could be read."""
    socket = await world.dashboard()
    for kind, payload in (("PING", {}), ("PING", []), ("NO_SUCH_TYPE", {}), ("AGENT_STATUS", {})):
        answer = await socket.ask(kind, payload, id="mine")
        assert answer["payload"]["originalMessageId"] == "mine"
    assert "originalMessageId" not in (await socket.ask("PING", {}, id=None))["payload"]


async def test_types_that_are_not_served(world: World) -> None:
    """A type the contract does not know, and one of another role or direction, differ."""
    socket = await world.dashboard()
    for kind, code in (
        ("NO_SUCH_TYPE", "UNKNOWN_MESSAGE_TYPE"),
        ("ping", "UNKNOWN_MESSAGE_TYPE"),
        ("AGENT_STATUS", "INVALID_MESSAGE_TYPE"),
        ("ACK", "INVALID_MESSAGE_TYPE"),
        ("AGENT_HEARTBEAT", "INVALID_MESSAGE_TYPE"),
        ("COMMAND_ACK", "INVALID_MESSAGE_TYPE"),
    ):
        answer = await socket.ask(kind, {})
        assert (answer["type"], answer["payload"]["code"]) == ("ERROR", code), kind


async def test_ping(world: World) -> None:
    """PING is answered with what it said, on either side, with or without an id."""
    for socket in (await world.agent("a1"), await world.dashboard()):
        pong = await socket.ask("PING", {"timestamp": 5, "sequence": 2})
        assert (pong["type"], pong["payload"]) == ("PONG", {"timestamp": 5, "sequence": 2})
        await socket.inner.send('{"type": "PING", "payload": {"timestamp": 7}}')
        assert (await socket.hear())["payload"] == {"timestamp": 7}


async def test_envelopes_of_the_server(world: World) -> None:
    """Every message has four fields, an id of its own, and a timestamp that never goes back."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    for number in range(20):
        await agent.ask("AGENT_HEARTBEAT", beat("a1", commandsProcessed=number))
    heard = await dashboard.fence()
    assert {tuple(message) for message in heard} == {("type", "id", "timestamp", "payload")}
    assert len({message["id"] for message in heard}) == len(heard)
    stamps = [message["timestamp"] for message in heard]
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] - time.time() * 1000) < 60_000


async def test_sizes(world: World) -> None:
    """A dashboard may send 512 KiB and an agent 1 MiB; more closes with 1009, and others live on."""

    def ping(size: int) -> str:
        frame = '{"type": "PING", "payload": {"timestamp": 1, "x": ""}}'
        return frame[:-3] + "x" * (size - len(frame)) + '"}}'

    bystander = await world.dashboard()
    for socket, limit in ((await world.dashboard(), 512 * 1024), (await world.agent("a1"), 1024 * 1024)):
        await socket.inner.send(ping(limit))
        assert (await socket.until("PONG"))["payload"]["timestamp"] == 1
        await socket.inner.send(ping(limit + 1))
        assert (await socket.ended())[0] == 1009
    await bystander.until("AGENT_DISCONNECT")
    huge = await world.dashboard()
    await huge.inner.send(ping(3 * 1024 * 1024))
    assert (await huge.ended())[0] == 1009
    assert await bystander.fence() == []


async def test_rate_limit(world: World) -> None:
    """What comes on top of twice the rate in two seconds is dropped and told, and the connection survives."""
    dashboard = await world.dashboard()
    for number in range(130):
        await dashboard.say("PING", {"timestamp": number})
    answers = [await dashboard.hear() for _ in range(100)]
    assert [answer["type"] for answer in answers] == ["PONG"] * 99 + ["ERROR"]  # DASHBOARD_INIT was the first of 100
    assert answers[-1]["payload"]["code"] == "RATE_LIMIT"
    assert 0 < answers[-1]["payload"]["details"]["retryAfter"] <= 2


async def test_slow_reader_is_cut(database: str) -> None:
    """A dashboard that does not read is cut, while another goes on; the server keeps nothing for it."""
    limits = {"queue_messages": 50}
    async with serving(database, limits=limits) as world:
        fast = await world.dashboard()
        slow = await world.dashboard()
        slow.inner.transport.pause_reading()
        agent = await world.agent("a1")
        said = {"agentId": "a1", "errorType": "UNKNOWN", "message": "x" * 200_000, "recoverable": True}
        for _ in range(95):
            await agent.ask("AGENT_ERROR", said)
            assert (await fast.until("AGENT_ERROR"))["payload"]["message"] == said["message"]
        assert world.parts.hub.audience("alice") == 1
        slow.inner.transport.resume_reading()
        assert (await slow.ended())[0] == 1008
