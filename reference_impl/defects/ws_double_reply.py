"""Two handlers are registered for every socket, so everything is sent twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def _twice(app: ASGIApp) -> ASGIApp:
    async def doubled(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_twice(message: Message) -> None:
            await send(message)
            if message["type"] == "websocket.send":
                await send(dict(message))

        await app(scope, receive, send_twice)

    return doubled


DEFECT = Replacing(
    "ws-double-reply",
    ("WSE-2", "CNS-3"),
    "Two handlers answer every message",
    lambda parts: replace(parts, wrap_app=(*parts.wrap_app, _twice)),
)
