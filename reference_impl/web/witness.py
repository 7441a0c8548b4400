"""Every request that changed something, and every refused authentication, leaves an audit entry (AUD-1).

The entry is committed before the answer goes out. No operation knows of it: what is written down
is the operationId of the route, the ids in its path and the id of what it made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from reference_impl.domain.audit import CHANGING, REFUSED, AuditEntry, Origin, event_type, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Message, Scope, Send

    from reference_impl.parts import Parts

_LONGEST = 500


class Witness:
    """Sends, and holds the head of an answer back until it is written down what the answer means."""

    def __init__(self, send: Send, scope: Scope, parts: Parts, request_id: str) -> None:
        self._send = send
        self._scope = scope
        self._parts = parts
        self._request_id = request_id
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        """Pass a message on; the head goes with the first piece of the body."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        if (head := self._head) is not None:
            self._head = None
            if (entry := self._entry(head["status"], message.get("body", b""))) is not None:
                await self._parts.audit.add(entry)
            await self._send(head)
        await self._send(message)

    def _entry(self, status: int, body: bytes) -> AuditEntry | None:
        """What is to be written down of this answer, if anything."""
        if status == 401:  # noqa: PLR2004
            return self._made(REFUSED, status, {"path": self._scope["path"][:_LONGEST]}, _reason(body))
        name = getattr(self._scope.get("route"), "operation_id", None)
        if name is None or self._scope["method"] not in CHANGING or not 200 <= status < 300:  # noqa: PLR2004
            return None
        ids = dict(self._scope.get("path_params", {}))
        made = _made_by(body) if status == 201 else {}  # noqa: PLR2004
        return self._made(event_type(name), status, ids, made)

    def _made(self, kind: str, status: int, ids: Mapping[str, str], more: Mapping[str, Any]) -> AuditEntry:
        state = self._scope.get("state", {})
        caller = state.get("principal")
        facts = {"method": self._scope["method"], "status": status, "requestId": self._request_id, **ids, **more}
        return AuditEntry(
            id=self._parts.ids.unique(),
            event_type=kind,
            created_at=self._parts.clock.now_ms(),
            user_id=caller.user_id if caller else state.get("acting"),
            agent_id=text(facts.get("agentId")),
            command_id=text(facts.get("commandId")),
            details=facts,
            origin=origin(self._scope),
        )


def origin(scope: Mapping[str, Any]) -> Origin:
    """Where a request or a socket comes from."""
    client = scope.get("client")
    agents = [value for name, value in scope["headers"] if name == b"user-agent"]
    user_agent = agents[0].decode("latin-1")[:_LONGEST] if agents else None
    return Origin(client[0] if client else None, user_agent)


def _made_by(body: bytes) -> dict[str, Any]:
    """The id of what was made; that of a command, and its agent where it has only one, as such."""
    said = orjson.loads(body).get("data")
    if not isinstance(said, dict) or text(said.get("id")) is None:
        return {}
    agents = said.get("targetAgents")
    if not isinstance(agents, list):
        return {"id": said["id"]}
    return {"commandId": said["id"], **({"agentId": agents[0]} if len(agents) == 1 else {})}


def _reason(body: bytes) -> dict[str, Any]:
    said = orjson.loads(body) if body else {}
    return {"reason": said.get("error")}
