"""The routes of commands answer without a token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.auth.tokens import sign
from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from reference_impl.parts import Parts


def _apply(parts: Parts) -> Parts:
    def open_door(app: ASGIApp) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            headers = scope.get("headers", ())
            if "/commands" in scope.get("path", "") and not any(name == b"authorization" for name, _ in headers):
                now = parts.clock.now_ms() // 1000
                token = sign(parts.settings.jwt_secret, parts.settings.users[0], now_s=now, expires_in_s=60)
                scope = {**scope, "headers": [*headers, (b"authorization", f"Bearer {token}".encode())]}
            await app(scope, receive, send)

        return serve

    return replace(parts, wrap_app=(*parts.wrap_app, open_door))


DEFECT = Replacing("rest-commands-open", ("AUTH-1",), "Command routes answer without a token", _apply)
