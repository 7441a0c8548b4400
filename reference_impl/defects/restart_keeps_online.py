"""After a restart of the server agents stay ONLINE though nobody is connected."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import working
from reference_impl.defects._through import Knowing, Replacing, Through

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from reference_impl.parts import Parts

_leaving: ContextVar[bool] = ContextVar("leaving", default=False)


class _Agents(Through):
    async def all_offline(self, now: int) -> int:  # noqa: ARG002 - the port's own signature
        return 0


class _Desk(Knowing):
    async def lose(self, *what: Any, **more: Any) -> None:
        if not _leaving.get():  # a server that goes away takes leave of nobody
            await self.inner.lose(*what, **more)


def _noticing(app: ASGIApp) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def hear() -> Message:
            message = await receive()
            _leaving.set(message["type"] == "websocket.disconnect" and "reason" not in message)
            return message

        await app(scope, hear if scope["type"] == "websocket" else receive, send)

    return serve


def _apply(parts: Parts) -> Parts:
    return working(_Desk)(replace(parts, agents=_Agents(parts.agents), wrap_app=(*parts.wrap_app, _noticing)))


DEFECT = Replacing("restart-keeps-online", ("CON-7",), "After a server restart agents stay ONLINE", _apply)
