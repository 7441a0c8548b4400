"""Whatever a client sends over REST, the answer is no 5xx, on either database (VAL-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reference_impl.rest.unicode import half_pairs
from reference_impl.tests.harness import announcement

if TYPE_CHECKING:
    from reference_impl.tests.harness import Json, World

JSON = {"Content-Type": "application/json"}
PATHS = [
    "/agents/{}",
    "/agents/{}/stop",
    "/agents/{}/restart",
    "/agents/{}/terminal-output",
    "/commands/{}",
    "/commands/{}/cancel",
    "/commands/{}/output",
    "/commands/{}/traces",
    "/presets/{}",
    "/reports/{}",
    "/reports/{}/export",
    "/constraints/{}",
    "/{}",
]
LISTS = ["/agents", "/commands", "/presets", "/reports", "/constraints", "/audit-logs", "/agents/a1/terminal-output"]
FILTERS = [
    "type",
    "status",
    "agentId",
    "commandId",
    "streamType",
    "since",
    "from",
    "to",
    "eventType",
    "limit",
    "offset",
]
BODIES: list[tuple[str, str, Json]] = [
    ("PATCH", "/agents/a1", {"name": "x"}),
    ("POST", "/agents/a1/restart", {"reason": "x"}),
    ("POST", "/commands", {"content": "x", "type": "PLAN", "targetAgents": ["a1"]}),
    ("POST", "/presets", {"name": "x", "content": "x", "type": "PLAN", "variables": [{"name": "x"}]}),
    ("POST", "/constraints", {"name": "x", "description": "x"}),
    ("POST", "/system/emergency-stop", {"reason": "x"}),
    ("POST", "/auth/magic-link", {"email": "a@b"}),
    ("POST", "/auth/verify", {"token": "x"}),
    ("POST", "/auth/refresh", {"refreshToken": "x"}),
    ("POST", "/auth/logout", {"refreshToken": "x"}),
    ("POST", "/auth/device/authorize", {"clientId": "x", "scope": "x"}),
    ("POST", "/auth/device/confirm", {"userCode": "x"}),
    ("POST", "/auth/device/token", {"deviceCode": "x"}),
]


def spoilt(value: Any, text: str) -> list[Any]:
    """The same with one of its texts changed, each in turn."""
    if isinstance(value, str):
        return [text]
    if isinstance(value, dict):
        return [{**value, key: other} for key, item in value.items() for other in spoilt(item, text)]
    return [[*value[:at], other] for at, item in enumerate(value) for other in spoilt(item, text)]


async def answered(world: World, method: str, path: str, **options: Any) -> int:
    response = await world.raw(method, path, **options)
    assert response.status < 500, (method, path, options, await response.text())
    return response.status


@pytest.fixture
async def peopled(world: World) -> World:
    """A server with an agent whose texts are odd too."""
    socket = await world.socket("/ws/agent")
    odd = {"name": "n\0\ufdd0", "version": "\ufdd00\0", "hostMachine": "\0"}
    assert (await socket.ask("AGENT_CONNECT", announcement("a1", **odd)))["payload"]["success"] is True
    failure = {"agentId": "a1", "errorType": "UNKNOWN", "message": "\0", "recoverable": True, "details": {"\0": "\0"}}
    assert (await socket.ask("AGENT_ERROR", failure))["payload"]["success"] is True
    found = (await world.rest("GET", "/agents/a1"))[1]["data"]
    assert (found["name"], found["version"]) == ("n\0\ufdd0", "\ufdd00\0")
    return world


async def test_odd_ids_name_nothing(peopled: World) -> None:
    """An id that no database can hold is answered as any that does not exist."""
    for path in PATHS:
        for odd in ("%00", "%ED%A0%80", "x" * 300, "%F0%9F%9A%80", "..%2f", "'"):
            for method in ("GET", "PUT", "PATCH", "POST", "DELETE"):
                body = {} if method in {"GET", "DELETE"} else {"data": "{}", "headers": JSON}
                assert await answered(peopled, method, path.format(odd), **body) in {400, 404, 405}


async def test_odd_queries(peopled: World) -> None:
    """Filters and bounds of any kind are refused or find nothing."""
    odds = ("%00", "%ED%A0%80", "9007199254740991", "9" * 400, "-1", "1e3", "9999-12-31T23:59:59.9999Z", "")
    for path in LISTS:
        for name in FILTERS:
            for odd in odds:
                assert await answered(peopled, "GET", f"{path}?{name}={odd}") in {200, 400}


@pytest.mark.parametrize(("text", "allowed"), [("a\0b", True), ("\ufdd0", True), ("\ud800", False), ("\udc00x", False)])
async def test_odd_texts(peopled: World, text: str, *, allowed: bool) -> None:
    """A NUL in any text of a body is kept or refused; half of a surrogate pair is refused, and it says where."""
    for method, path, whole in BODIES:
        for body in spoilt(whole, text):
            status = await answered(peopled, method, path, json=body)
            assert allowed or status == 400, (path, body)
        await answered(peopled, method, path, json={**whole, "more\ud800": 1})


async def test_odd_bodies(peopled: World) -> None:
    """Bodies that are no JSON, or no sensible JSON, are refused."""
    deep, digits = b"[" * 50_000, b'{"name": ' + b"9" * 5_000 + b"}"
    odds = (b"\xff", b"\xed\xa0\x80", b'{"x": "\xed\xa0\x80"}', deep, digits, b"null", b"1", b'""', b"[]", b"{")
    for method, path, _ in BODIES:
        for body in odds:
            assert await answered(peopled, method, path, data=body, headers=JSON) in {400, 404}


def test_where_half_pairs_are() -> None:
    """Each text that holds half a pair is pointed at; a whole pair is none."""
    assert half_pairs(b'{"a": ["\\ud83d\\ude80", "\\ud800"], "b/c": "\\udc00", "d": {"\\ud800": 1}}') == [
        "/a/1",
        "/b~1c",
        "/d",
    ]
    assert half_pairs(b'{"a": "\xed\xa0\x80"}') == ["/a"]
    assert half_pairs(b"not JSON") == half_pairs(b"[" * 50_000) == []
