"""The socket endpoints as an ASGI application: admission, the reading loop, the end (WSA-1..6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from reference_impl.auth.tokens import bearer
from reference_impl.domain.errors import Refusal, invalid_message, unauthorized
from reference_impl.live.connection import Connection, Message, Send
from reference_impl.live.dispatch import dispatch
from reference_impl.live.gate import Gate
from reference_impl.live.session import Session
from reference_impl.live.witness import turned_away
from reference_impl.web.witness import origin

if TYPE_CHECKING:
    from reference_impl.auth import Principal
    from reference_impl.domain.vocabulary import Role
    from reference_impl.parts import Core

Receive = Callable[[], Awaitable[Message]]
Scope = Mapping[str, Any]

_REASONS: Final = {1000: "client_closed", 1001: "client_closed", 4002: "token_expired", 4004: "rate_limited"}

_ONCE_MORE_S: Final = 0.25
"""How much longer a socket has whose first message may have come while the server had no time to read it."""


class SocketEndpoint:
    """`/ws/agent`, `/ws/dashboard`, or `/ws`, where the first message decides the role."""

    def __init__(self, core: Core, role: Role | None) -> None:
        self._core = core
        self._role = role

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket."""
        parts = self._core.parts
        await receive()  # websocket.connect
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not _origin_allowed(headers, parts.settings.web.allowed_origins):
            await send({"type": "websocket.close", "code": 1008})  # before accepting: HTTP 403 (WSA-6)
            return
        await send({"type": "websocket.accept"})
        cut = scope.get("extensions", {}).get("onsembl.cut", lambda _code, _reason: None)
        connection = Connection(
            send, cut, parts.codec, parts.clock, parts.settings.limits, parts.settings.timings.slow_consumer_grace_s
        )
        connection.start()
        try:
            try:
                principal, version = await self._admit(scope, headers)
            except Refusal as refusal:
                if refusal.status == 401:  # noqa: PLR2004 - its version is no matter of who it is
                    await parts.audit.add(turned_away(parts, origin(scope), refusal))
                parts.turn_away(connection, refusal)
                await _drain(receive)
                return
            session = Session(self._core, connection, principal, version)
            session.origin = origin(scope)
            await self._serve(session, receive)
        finally:
            await connection.stop()

    async def _admit(self, scope: Scope, headers: Mapping[str, str]) -> tuple[Principal, int]:
        """Judge token and version (WSA-1, VER-3)."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = bearer(headers["authorization"]) if "authorization" in headers else query.get("token", [None])[0]
        if not given:
            raise unauthorized("A token is required")
        principal = await self._core.parts.verifier.verify(given)
        wanted = query.get("v", ["1"])[0]
        versions = {str(version): version for version in self._core.parts.presenters}
        if wanted not in versions:
            raise Refusal("UNSUPPORTED_VERSION", "There is no such version", close=4006)
        return principal, versions[wanted]

    async def _serve(self, session: Session, receive: Receive) -> None:
        parts = self._core.parts
        session.extend(session.principal)
        too_late = parts.clock.call_later(parts.settings.timings.init_timeout_s, lambda: self._too_late(session))
        code = 1006
        try:
            code = await self._read(session, receive)
        finally:
            too_late.cancel()
            session.rest()
            await self._leave(session, code)

    def _too_late(self, session: Session, *, sure: bool = False) -> None:
        if session.role is not None or session.connection.closing is not None:
            return
        if not sure:
            self._core.parts.clock.call_later(_ONCE_MORE_S, lambda: self._too_late(session, sure=True))
        else:  # WSA-3
            session.end(Refusal("AUTH_TIMEOUT", "No AGENT_CONNECT or DASHBOARD_INIT came in time", close=4001))

    async def _read(self, session: Session, receive: Receive) -> int:
        """Serve message after message; returns the code with which the socket ended."""
        gate = Gate(session, self._role)
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 1005)
            if session.connection.closing is not None:
                continue
            text = message.get("text")
            if gate.admits(text if text is not None else message.get("bytes") or b""):
                if text is None:
                    self._core.parts.refuse(session, invalid_message("Messages are text frames"), None)  # WSX-4
                else:
                    await dispatch(session, text, self._role)

    async def _leave(self, session: Session, code: int) -> None:
        """The socket has ended: a dashboard hears nothing more, an agent is lost (DIS-1)."""
        parts = self._core.parts
        parts.hub.leave(session.user_id, session)
        if session.link is not None:
            ended_by = session.connection.closing
            reason = _REASONS.get(ended_by.code if ended_by else code, "connection_lost")
            await self._core.desk.lose(session.user_id, session.link, reason)


def turn_away(connection: Connection, refusal: Refusal) -> None:
    """Say why, and end the socket (WSA-1, VER-3)."""
    connection.error(refusal)
    connection.close(refusal.close or 4001, refusal.sentence)


async def _drain(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


def _origin_allowed(headers: Mapping[str, str], allowed: tuple[str, ...]) -> bool:
    """Whether a browser's page may open a socket; other clients send no origin (WSA-6)."""
    origin = headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return True
    return urlsplit(origin).netloc == headers.get("host")
