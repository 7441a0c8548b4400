# ruff: noqa: INP001 -- a directory of scripts, not a package
"""The second backend's REST side: agents and health."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import HttpVersion11, web

from conformance.tests.backends import tokens
from conformance.tests.backends.second_messages import parse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from conformance.tests.backends.second_agents import Agent
    from conformance.tests.backends.second_live import Hub

Json = dict[str, Any]

FILTERS = {
    "type": frozenset({"CLAUDE", "GEMINI", "CODEX", "CUSTOM"}),
    "status": frozenset({"ONLINE", "OFFLINE", "CONNECTING", "ERROR"}),
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, PATCH, DELETE, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, x-api-version, x-request-id",
    "Access-Control-Max-Age": "600",
}
OPEN = ("/health", "/health/ready", "/metrics", "/openapi.json", "/asyncapi.json")


class HttpError(Exception):
    """A request that is answered by a failure body (ENV-2)."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    """ENV-6."""
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json", headers=headers)


def failed(failure: HttpError) -> web.Response:
    """ENV-2, without the SHOULD field `code`."""
    body = {"error": str(failure), "served_by": "second", "success": False}
    return answer(failure.status, body, failure.headers)


class Rest:
    """The handlers, over one hub."""

    def __init__(self, hub: Hub, options: argparse.Namespace) -> None:
        self.hub = hub
        self.envelope: str | None = options.list_envelope
        self.wrong: str | None = options.one_wrong
        self.started = datetime.now(UTC)
        self.open_paths = frozenset(OPEN) | {options.base_path + path for path in OPEN}

    def routes(self, base: str) -> list[web.RouteDef]:
        """Everything served; health and documents at the root and under the base path."""
        agents = f"{base}/agents"
        return [
            web.get(agents, self.list),
            web.get(agents + "/{agent}", self.single),
            web.patch(agents + "/{agent}", self.rename),
            web.delete(agents + "/{agent}", self.delete),
            web.post(agents + "/{agent}/{action:stop|restart}", self.control),
            web.get(f"{base}/system/status", self.system),
            *(web.get(path, self.plain) for path in sorted(self.open_paths)),
        ]

    def guard(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """The middleware: CORS, tokens before all else (AUTH-3), failures in one place."""

        @web.middleware
        async def guard(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            try:
                response = await self._guarded(request, handler)
            except HttpError as failure:
                response = failed(failure)
            except web.HTTPException as error:  # VAL-2, VAL-3, VAL-5
                response = failed(HttpError(error.status, f"{error.reason}.", **_allow(error)))
            return _dressed(request, response)

        return guard

    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return web.Response(status=204, headers=PREFLIGHT)
        if request.path not in self.open_paths:
            request["claims"] = self._claims(request)
        return await handler(request)

    def _claims(self, request: web.Request) -> tokens.Claims:
        """AUTH-1, AUTH-2; on sockets `?token=` counts too, and a bad one never opens (WSA-1)."""
        given = request.headers.get("Authorization")
        token = tokens.from_header(given)
        if given is None and request.path.split("/")[1] == "ws":
            token = request.query.get("token")
        try:
            return tokens.check(token, self.hub.users)
        except tokens.BadTokenError as error:
            raise HttpError(401, "A valid token is needed.", WWW_Authenticate="Bearer") from error

    async def list(self, request: web.Request) -> web.Response:
        """GET /agents (AGT-9, AGT-13, ISO-2)."""
        limit, offset = _whole(request, "limit", 50, 1, 100), _whole(request, "offset", 0, 0)
        wanted = {name: _word(request, name, values) for name, values in FILTERS.items()}
        found = [agent for agent in self.hub.agents.of(request["claims"].user) if _matches(agent, wanted)]
        page = [self._item(agent, in_list=True) for agent in found[offset : offset + limit]]
        if self.envelope:
            return answer(200, {self.envelope: page, "took": 0.1})
        pagination = {"has_more": offset + limit < len(found), "offset": offset, "limit": limit, "total": len(found)}
        return answer(200, {"took": 0.1, "pagination": pagination, "data": page, "success": True})

    async def single(self, request: web.Request) -> web.Response:
        """GET /agents/{agentId} (AGT-5, AGT-6)."""
        return self._one(self._agent(request))

    async def rename(self, request: web.Request) -> web.Response:
        """PATCH /agents/{agentId} (AGT-10)."""
        agent = self._agent(request)
        body = await _body(request)
        name = body.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 100:
            raise HttpError(400, "A name has 1 to 100 characters.")
        agent.name = name
        agent.touch()
        self.hub.tell_status(agent)
        return self._one(agent)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /agents/{agentId} (AGT-11)."""
        agent = self._agent(request)
        if agent.connected:
            raise HttpError(409, "It is connected.")
        self.hub.remove(agent)
        return web.Response(status=204)

    async def control(self, request: web.Request) -> web.Response:
        """POST /agents/{agentId}/stop and /restart (AGT-12)."""
        agent = self._agent(request)
        reason = (await _body(request)).get("reason") if request.can_read_body else None
        if not isinstance(reason, str | None):
            raise HttpError(400, "A reason is text.")
        if not self.hub.control(agent, request.match_info["action"].upper(), reason):
            raise HttpError(409, "It is offline.")
        return answer(202, {"data": {"agent_id": agent.id}, "success": True})

    async def system(self, request: web.Request) -> web.Response:
        """SYS-1: the caller's own agents; there are no commands here."""
        mine = [agent.status for agent in self.hub.agents.of(request["claims"].user)]
        agents = {"total": len(mine), **{word.lower(): mine.count(word) for word in ("ONLINE", "OFFLINE", "ERROR")}}
        commands = dict.fromkeys(("pending", "queued", "executing", "completed", "failed", "cancelled"), 0)
        now = datetime.now(UTC)
        told = {"agents": agents, "commands": commands, "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
        since = {"uptime": (now - self.started).total_seconds(), "status": "healthy", "version": "2.0-second"}
        return answer(200, {"data": told | since, "success": True})

    async def plain(self, request: web.Request) -> web.Response:
        """HLT-1: health, readiness, metrics and the documents, in the shortest form."""
        if request.path.endswith("/metrics"):
            online = sum(connection.role == "agent" for connection in self.hub.everyone)
            return web.Response(text=f"# TYPE second_agents_connected gauge\nsecond_agents_connected {online}\n")
        if request.path.endswith("api.json"):
            kind = "openapi" if request.path.endswith("openapi.json") else "asyncapi"
            info = {"title": "second", "version": "1.0.0"}
            return answer(200, {kind: "3.1.0" if kind == "openapi" else "3.0.0", "info": info, "paths": {}})
        return answer(200, {"status": "ready" if request.path.endswith("ready") else "ok", "mood": "fine"})

    def _agent(self, request: web.Request) -> Agent:
        """ISO-1, AGT-5: a foreign id and an unknown one are answered alike."""
        agent = self.hub.agents.get(request["claims"].user, request.match_info["agent"])
        if agent is None:
            raise HttpError(404, "Agent not found")
        return agent

    def _one(self, agent: Agent) -> web.Response:
        return answer(200, {"took": 0.1, "data": self._item(agent, in_list=False), "success": True})

    def _item(self, agent: Agent, *, in_list: bool) -> Json:
        """An agent for REST, with the one thing wrong that was asked for."""
        item = agent.for_rest()
        if self.wrong == "ids":
            item["id"] = item.pop("agent_id")
        if self.wrong == "metrics" and item["last_metrics"]:
            del item["last_metrics"]["uptime"]
        if self.wrong == "status" and in_list:
            item["status"] = item["status"].lower()
        return item


def _dressed(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """CORS for everyone; bodies in chunks."""
    if response.prepared:
        return response
    response.headers.setdefault("Access-Control-Allow-Origin", "*")
    if request.version >= HttpVersion11 and response.status != 204:
        response.enable_chunked_encoding()
    return response


def _allow(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


def _matches(agent: Agent, wanted: dict[str, str | None]) -> bool:
    return wanted["type"] in (None, agent.type) and wanted["status"] in (None, agent.status)


def _only(request: web.Request, name: str) -> str | None:
    values = request.query.getall(name, [])
    if len(values) > 1:
        raise HttpError(400, f"{name} is given twice.")
    return values[0] if values else None


def _whole(request: web.Request, name: str, default: int, low: int, high: int | None = None) -> int:
    """VAL-1."""
    value = _only(request, name)
    if value is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= (int(value) if high is None else high):
        raise HttpError(400, f"{name} is out of range.")
    return int(value)


def _word(request: web.Request, name: str, values: frozenset[str]) -> str | None:
    """AGT-13: case-insensitive, an unknown value is refused."""
    value = _only(request, name)
    if value is not None and value.upper() not in values:
        raise HttpError(400, f"{name} is none of the known ones.")
    return value and value.upper()


async def _body(request: web.Request) -> Json:
    """VAL-1, VAL-4, VAL-5."""
    if request.content_type != "application/json":
        raise HttpError(415, "Only JSON is read here.")
    try:
        body = parse(await request.read())
    except ValueError as error:
        raise HttpError(400, "That was no JSON.") from error
    if not isinstance(body, dict):
        raise HttpError(400, "An object is needed.")
    return body
