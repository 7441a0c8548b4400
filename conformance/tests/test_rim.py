"""What comes from outside: nesting costs no stack, and paging that is none ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from conformance.redact import Redactor
from conformance.rim import DEEPEST, as_json, is_shallow
from conformance.tests.running import command
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from pathlib import Path


def nested(levels: int, inner: Any = "s3cret-token") -> Any:
    value = inner
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return value


@pytest.mark.parametrize("levels", [DEEPEST + 1, 500, 900, 5000, 100_000])
def test_what_is_too_deep_is_no_value(levels: int) -> None:
    """Beyond the bound there is no value, whatever the depth; at the bound there is."""
    assert as_json("[" * levels + "]" * levels) is MISSING
    assert as_json("[" * DEEPEST + "]" * DEEPEST) == nested_lists(DEEPEST)
    assert not is_shallow(nested(min(levels, 900)))


def nested_lists(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [60, 900, 100_000])
def test_a_redactor_walks_so_deep_and_no_further(levels: int) -> None:
    """A value nested without end is redacted as far as it is kept."""
    told = repr(Redactor(["s3cret-token"]).value(nested(levels)))
    assert "s3cret" not in told
    assert ("***" in told) == (levels < 100)


def hostile(*, deep: bool) -> web.Application:
    """A backend whose list holds thousands of rows whatever is asked, or whose names are nested."""
    row = {"agent_id": "a", "status": "odd"}
    rows = [row | {"name": f"n{i}"} for i in range(9000)]
    text = web.json_response({"success": True, "data": rows}).text or ""
    name = "[" * 900 + "]" * 900
    deep_text = f'{{"success": true, "data": [{{"agent_id": "a", "name": {name}}}]}}'

    async def say(request: web.Request) -> web.StreamResponse:
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            body = deep_text if deep else text
            return web.Response(text=body, content_type="application/json")
        opened = web.WebSocketResponse()
        await opened.prepare(request)
        async for _ in opened:
            await opened.send_str(f'{{"type": "ACK", "id": "x", "timestamp": 1, "payload": {"[" * 500 + "]" * 500}}}')
        return opened

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    return app


@pytest.mark.parametrize("deep", [True, False], ids=["deep", "rows"])
async def test_a_hostile_backend_is_judged_in_time(tmp_path: Path, deep: bool) -> None:
    """Nesting is no fault of ours, and `--max-time` is kept."""
    options = ["--max-time", "6", "--only", "AGT-1,AGT-6,DIS-1", "--report", "json=report.json"]
    started = asyncio.get_running_loop().time()
    async with TestServer(hostile(deep=deep)) as server:
        told = await asyncio.to_thread(command, tmp_path, "run", str(server.make_url("")), *options)
    assert told.code in {1, 3}
    assert told.report["problems"] is not None
    assert asyncio.get_running_loop().time() - started < 30
