#!/usr/bin/env python
"""A second, independent backend: right in every MUST, and different wherever the contract leaves a choice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode, web

from conformance.tests.backends import serving
from conformance.tests.backends.second_agents import Agents
from conformance.tests.backends.second_connection import Connection
from conformance.tests.backends.second_live import GREETING, MIB, Hub
from conformance.tests.backends.second_rest import HttpError, Rest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Sequence

ENDPOINTS: dict[str, str | None] = {"/ws": None, "/ws/agent": "agent", "/ws/dashboard": "dashboard"}
GREETINGS = {
    "list-in-capitals": ("DASHBOARD_READY", "DASHBOARD_CONNECTED"),
    "ack-for-ready": ("ACK", "dashboard:connected"),
    "list-before-ready": ("dashboard:connected", "DASHBOARD_READY"),
}
"""What a wrong handshake sends to a dashboard, in order."""
READS_UP_TO = 4 * MIB  # what is too large is read to its end, so that the 1009 is not lost to a reset


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = serving.parser(__doc__ or "")
    parser.add_argument("--users", default="alice,bob", help="the known subjects, separated by commas")
    parser.add_argument("--base-path", default="/api/v1")
    parser.add_argument("--list-envelope", help="lists come as {NAME: [...]} instead of the envelope")
    parser.add_argument("--one-wrong", choices=["status", "ids", "metrics"], help="one thing wrong in REST items")
    parser.add_argument("--only-shared-socket", action="store_true", help="only /ws exists")
    parser.add_argument("--greeting", choices=[*GREETINGS], help="another handshake of dashboards than the contract's")
    return parser.parse_args(arguments)


def application(chosen: argparse.Namespace) -> web.Application:
    """Wire everything."""
    hub = Hub(Agents(), frozenset(chosen.users.split(",")), GREETINGS.get(chosen.greeting, GREETING))
    rest = Rest(hub, chosen)
    app = web.Application(middlewares=[rest.guard()], client_max_size=2**20)
    app.add_routes(rest.routes(chosen.base_path.rstrip("/")))
    for path, endpoint in ENDPOINTS.items():
        if endpoint is None or not chosen.only_shared_socket:
            app.router.add_get(path, _socket(hub, endpoint), allow_head=False)

    async def say_goodbye(_app: web.Application) -> None:
        await asyncio.gather(*(each.socket.close(code=WSCloseCode.GOING_AWAY) for each in hub.everyone))

    app.on_shutdown.append(say_goodbye)
    return app


def _socket(hub: Hub, endpoint: str | None) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=READS_UP_TO, compress=False, timeout=2)
        if not socket.can_prepare(request):
            raise HttpError(426, "This is a WebSocket.", Upgrade="websocket")
        await socket.prepare(request)
        claims = request["claims"]
        connection = Connection(socket, claims, endpoint)
        if request.transport:
            connection.abort = request.transport.abort
        await hub.run(connection, claims.expires)
        return socket

    return serve


if __name__ == "__main__":
    asked = options()
    serving.serve(asked, serving.start_app(application(asked)), {"backend": "second", "basePath": asked.base_path})
