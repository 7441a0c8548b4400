"""Secrets: a backend that repeats everything it is told gets none of it into what a run writes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from conformance.tests.running import Told, command

if TYPE_CHECKING:
    from pathlib import Path

KEY = "signing/key+of-these-tests-0123456789"
TOKENS = ("opaque/token+of-alice-01", "opaque/token+of-bob-02")
HEADER = "gateway-key-0123456789"
REPORTS = ("json=report.json", "html=report.html", "junit=report.xml", "svg=report.svg")


def parrot(*, refuses: bool) -> web.Application:
    """A server that says everything it was sent, and the key besides, wherever it can."""

    def heard(request: web.Request) -> str:
        token = request.headers.get("Authorization", request.query.get("token", ""))
        return f"You said {token} ({quote(token, safe='')}) and {request.headers.get('X-Key')}; the key is {KEY}"

    async def say(request: web.Request) -> web.StreamResponse:
        said = heard(request)
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return await talk(request, said)
        if refuses:
            return web.json_response({"success": False, "error": said, "code": said}, status=401)
        row = {"agent_id": said, "name": said, "status": said}
        return web.json_response({"success": True, "data": [row], said: said}, headers={"X-Request-Id": said})

    async def talk(request: web.Request, said: str) -> web.StreamResponse:
        opened = web.WebSocketResponse()
        await opened.prepare(request)
        async for frame in opened:
            if frame.type is WSMsgType.TEXT:
                payload = {"code": said, "message": said, said: said}
                await opened.send_str(json.dumps({"type": "ERROR", "id": said, "timestamp": 1, "payload": payload}))
        return opened

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    return app


def files(place: Path) -> dict[str, str]:
    """Everything that was written there."""
    return {p.relative_to(place).as_posix(): p.read_text() for p in place.rglob("*") if p.is_file()}


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize(
    "way_in",
    [("--jwt-secret", KEY), ("--token", TOKENS[0], "--second-token", TOKENS[1])],
    ids=["signing", "given"],
)
async def test_no_secret_is_written_anywhere(tmp_path: Path, way_in: tuple[str, ...], refuses: bool) -> None:
    """Neither key nor token nor header reaches the terminal, a report or a saved case, in whatever spelling."""
    options = [*way_in, "--header", f"X-Key: {HEADER}", "--only", "AGT-1,AUTH-1,DIS-1", "--max-time", "6"]
    reports = [part for report in REPORTS for part in ("--report", report)]
    async with TestServer(parrot(refuses=refuses)) as server:
        told: Told = await asyncio.to_thread(command, tmp_path, "run", str(server.make_url("")), *options, *reports)
    assert told.code == (3 if refuses else 1)
    written = files(tmp_path)
    assert {report.partition("=")[2] for report in REPORTS} <= set(written)
    assert refuses or any("failures/" in name for name in written)
    secrets = [*TOKENS, HEADER, "eyJ"] + ([KEY] if "--jwt-secret" in way_in else [])
    for name, text in {**written, "stdout": told.out, "stderr": told.err}.items():
        for secret in secrets:
            for spelling in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("/", "\\/")}:
                assert spelling not in text, name
