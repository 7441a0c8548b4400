"""The way in, in this order: request id, token, rate, version, size; then the routes (AUTH-3, RATE-1, VER-1, VAL-5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

from reference_impl.auth.tokens import bearer
from reference_impl.domain.allowance import Allowance
from reference_impl.domain.audit import CHANGING
from reference_impl.domain.errors import Refusal, too_many_requests, unauthorized
from reference_impl.web.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from reference_impl.auth import Principal
    from reference_impl.parts import Parts

_REQUEST_ID: Final = "X-Request-Id"
_VERSION: Final = "X-API-Version"
_ID_LABEL: Final = _REQUEST_ID.lower().encode()
_VERSION_LABEL: Final = _VERSION.lower().encode()
_LONGEST_ID: Final = 200
_DRAINED: Final = 16 * 1024 * 1024


class Admission:
    """Lets a request in or refuses it; puts `principal` and `version` into its state."""

    def __init__(self, app: ASGIApp, parts: Parts, refusal_of: Callable[[Scope, Exception], Refusal | None]) -> None:
        self._app = app
        self._parts = parts
        self._refusal_of = refusal_of
        self._versions = {str(version): version for version in parts.presenters}
        limits = parts.settings.limits
        self._allowance = Allowance(limits.rest_requests_per_s, limits.rest_burst_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a fault of ours becomes a 500 without a word about the inside (ENV-4)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers, self._parts)
        answer = _Labelled(send, request_id, headers.get(_VERSION))
        witness = Witness(answer, scope, self._parts, request_id)
        try:
            await self._serve(scope, headers, receive, answer, witness)
        except Exception as error:
            refusal = self._refusal_of(scope, error)
            if refusal is None:
                self._parts.log.exception("request_failed", path=scope["path"])
                refusal = Refusal("INTERNAL_ERROR", "The server failed to answer", status=500)
            if answer.started:
                raise
            await self._parts.fail(refusal).response()(scope, receive, witness)

    async def _serve(
        self, scope: Scope, headers: Headers, receive: Receive, answer: _Labelled, witness: Witness
    ) -> None:
        state = scope.setdefault("state", {})
        if not self._parts.is_public(scope["path"]):
            state["principal"] = await self._caller(scope, headers)
        elif scope["method"] in CHANGING:  # who reads health, metrics and documents is not counted
            self._count(_address(scope))
        wanted = headers.get(_VERSION, "1").strip()
        if wanted not in self._versions:
            raise Refusal("UNSUPPORTED_VERSION", "There is no such API version")  # VER-3
        answer.version = wanted
        state["version"] = self._versions[wanted]
        body = await _body(receive, headers, self._parts.settings.limits.body_bytes)
        await self._app(scope, _replay(body, receive), witness)

    async def _caller(self, scope: Scope, headers: Headers) -> Principal:
        """Judge the token; a caller counts as the user, whoever has no good token as the address (RATE-1)."""
        token = bearer(headers.get("authorization"))
        try:
            if token is None:
                raise unauthorized("A bearer token is required")
            principal = await self._parts.verifier.verify(token)
        except Refusal:
            self._count(_address(scope))
            raise
        self._count(f"user {principal.user_id}")
        return principal

    def _count(self, client: str) -> None:
        wait = self._allowance.wait(client, self._parts.clock.monotonic())
        if wait > 0:
            raise too_many_requests(math.ceil(wait))


class _Labelled:
    """Sends, with the request's id and version on the answer (ENV-5, VER-1)."""

    def __init__(self, send: Send, request_id: str, version: str | None) -> None:
        self._send = send
        self._request_id = request_id
        self.version = version if version in {None, "0"} else "1"
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            labels = ((_ID_LABEL, self._request_id.encode("latin-1")), (_VERSION_LABEL, (self.version or "1").encode()))
            message["headers"] = [*message.get("headers", ()), *labels]
        await self._send(message)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return f"address {client[0] if client else ''}"


def _request_id(headers: Headers, parts: Parts) -> str:
    """The id the client sent, if it can be a header of ours; else one we make (ENV-5)."""
    sent = headers.get(_REQUEST_ID, "")
    return sent if 0 < len(sent) <= _LONGEST_ID and sent.isprintable() else parts.ids.unique()


async def _body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """Read the whole body; one that is too large is read to its end, within reason, then refused (VAL-5)."""
    announced = headers.get("content-length", "")
    chunks: list[bytes] = []
    size, more = 0, "transfer-encoding" in headers or announced not in {"", "0"}
    while more and size <= _DRAINED:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        more = message.get("more_body", False)
    if size > limit:
        raise Refusal("PAYLOAD_TOO_LARGE", f"The body is larger than {limit} bytes", status=413)
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
