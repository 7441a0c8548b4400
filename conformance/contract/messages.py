"""Messages: what may be said on a socket, by whom, in which shape (`contracts/asyncapi.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """A message type in one direction, as one role says or hears it."""

    key: str
    """The key in AsyncAPI's components: `to-dashboard.AGENT_STATUS`."""
    side: str
    """from-agent, from-dashboard, to-agent or to-dashboard."""
    type: str
    """The type on the wire: `AGENT_STATUS`, `dashboard:connected`."""
    schema: str
    """The payload schema's path below `contracts/schemas/`."""
    answer: str | None
    """What the contract answers it by: ACK, PONG, …; None when it needs no answer."""
    capability: str | None = None
    """The promise it belongs to."""


def _payload_schema(message: dict[str, Any]) -> str:
    for part in message["payload"]["allOf"]:
        ref = part.get("properties", {}).get("payload", {}).get("$ref")
        if ref:
            return str(ref).split("schemas/", 1)[1]
    raise ValueError(f"message {message.get('name')!r} names no payload schema")


def read_messages(document: dict[str, Any]) -> dict[str, Message]:
    """Messages by key."""
    found = {}
    for key, entry in document["components"]["messages"].items():
        side = key.split(".", 1)[0]
        more = entry.get("x-conformance") or {}
        answer = (more.get("answer") or {}).get("by")
        found[key] = Message(key, side, entry["name"], _payload_schema(entry), answer, more.get("capability"))
    return found
