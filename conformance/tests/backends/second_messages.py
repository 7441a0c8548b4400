# ruff: noqa: INP001 -- a directory of scripts, not a package
"""What the second backend reads from sockets: envelopes and payloads, checked by hand."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Check = Callable[[object], bool]

AGENT_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
ROLE_MESSAGES = {"AGENT_CONNECT": "agent", "DASHBOARD_INIT": "dashboard"}
BOTH = frozenset({"PING", "PONG", "TOKEN_REFRESH"})
FROM = {
    "agent": BOTH
    | {"AGENT_CONNECT", "AGENT_HEARTBEAT", "AGENT_ERROR", "COMMAND_ACK", "COMMAND_COMPLETE"}
    | {"TERMINAL_OUTPUT", "TRACE_EVENT", "INVESTIGATION_REPORT"},
    "dashboard": BOTH
    | {"DASHBOARD_INIT", "DASHBOARD_SUBSCRIBE", "DASHBOARD_UNSUBSCRIBE", "AGENT_CONTROL"}
    | {"COMMAND_REQUEST", "COMMAND_CANCEL", "EMERGENCY_STOP"},
}
FROM_SERVER = frozenset(
    {"ACK", "ERROR", "SERVER_HEARTBEAT", "DASHBOARD_READY", "dashboard:connected", "BATCH", "AGENT_STATUS"}
    | {"AGENT_CONNECTED", "AGENT_DISCONNECT", "COMMAND_STATUS", "QUEUE_UPDATE", "TERMINAL_STREAM", "TRACE_STREAM"}
)
KNOWN = FROM["agent"] | FROM["dashboard"] | FROM_SERVER


class RefusedError(Exception):
    """A message that is answered by ERROR; `closes` is the close code that follows, if any."""

    def __init__(self, code: str, sentence: str, *, original: str | None = None, closes: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.original = original
        self.closes = closes


@dataclass(frozen=True)
class Message:
    """A well-formed message."""

    type: str
    id: str | None
    payload: Json


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def parse(text: str | bytes) -> Any:
    """JSON that can be said again in UTF-8; ValueError for everything else (WSX-9)."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def read(text: str) -> Message:
    """WSX-1: the envelope of a client message; `id` and `timestamp` may be missing (WSE-4)."""
    try:
        value = parse(text)
    except ValueError as error:
        raise RefusedError("INVALID_MESSAGE", "That was no JSON.") from error
    given = value.get("id") if isinstance(value, dict) else None
    original = given if isinstance(given, str) and given else None
    if not ENVELOPE(value):
        raise RefusedError("INVALID_MESSAGE", "That envelope is not one of ours.", original=original)
    return Message(value["type"], original, value["payload"])


def text(low: int = 0, high: float = math.inf) -> Check:
    """A string of that many characters."""
    return lambda value: isinstance(value, str) and low <= len(value) <= high


def number(low: float = 0, high: float = math.inf) -> Check:
    """A finite JSON number in that range; false and true are none."""

    def check(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        try:
            return math.isfinite(float(value)) and low <= value <= high
        except OverflowError:
            return False

    return check


def whole(value: object) -> bool:
    """A whole number, 0 or more; 3.0 is one, as in JSON Schema."""
    return number()(value) and float(value).is_integer()  # type: ignore[arg-type]


def one_of(*values: str) -> Check:
    """One of these words."""
    return lambda value: isinstance(value, str) and value in values


def truth(value: object) -> bool:
    """True or false."""
    return isinstance(value, bool)


def anything(value: object) -> bool:
    """Any object."""
    return isinstance(value, dict)


def agent_id(value: object) -> bool:
    """An opaque agent id (section 1)."""
    return isinstance(value, str) and AGENT_ID.fullmatch(value) is not None


def chosen(value: object) -> bool:
    """SUB-1: a list of ids, or `{all: true}` in its place."""
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, dict) and value.get("all") is True


def shape(fields: Mapping[str, Check]) -> Check:
    """An object with these fields; `name?` may be missing, unknown ones are welcome."""

    def right(value: Json, name: str, check: Check) -> bool:
        plain = name.removesuffix("?")
        return check(value[plain]) if plain in value else name.endswith("?")

    return lambda value: isinstance(value, dict) and all(right(value, *each) for each in fields.items())


ENVELOPE = shape({"type": text(1), "id?": text(1), "timestamp?": whole, "payload": anything})
_CAPABILITIES = shape({"maxTokens": whole, "supportsInterrupt": truth, "supportsTrace": truth})
_HEALTH = shape(
    {
        "cpuUsage": number(0, 100),
        "memoryUsage": number(),
        "uptime": number(),
        "commandsProcessed": whole,
        "averageResponseTime?": number(),
    }
)
_SUBSCRIPTIONS = shape({"agents?": chosen, "commands?": chosen, "terminals?": truth, "traces?": truth})
_TARGET = shape({"type": one_of("agent", "command", "trace", "terminal"), "id?": text(1), "all?": truth})


def _target(value: object) -> bool:
    """SUB-3: of agents and commands either one or all must be named."""
    if not (_TARGET(value) and isinstance(value, dict)):
        return False
    return value["type"] in ("trace", "terminal") or "id" in value or value.get("all") is True


_PAYLOADS: dict[str, Check] = {
    "AGENT_CONNECT": shape(
        {
            "agentId": agent_id,
            "name?": text(1, 100),
            "agentType": one_of("CLAUDE", "GEMINI", "CODEX", "CUSTOM"),
            "version": text(1),
            "hostMachine": text(),
            "capabilities": _CAPABILITIES,
        }
    ),
    "AGENT_HEARTBEAT": shape({"agentId": text(1), "healthMetrics": _HEALTH}),
    "AGENT_ERROR": shape(
        {
            "agentId": text(1),
            "errorType": one_of("CONNECTION", "EXECUTION", "RESOURCE", "UNKNOWN"),
            "message": text(),
            "recoverable": truth,
            "details?": anything,
        }
    ),
    "DASHBOARD_INIT": shape(
        {"dashboardId?": text(1), "userId?": text(), "subscriptions?": _SUBSCRIPTIONS, "acceptBatches?": truth}
    ),
    "DASHBOARD_SUBSCRIBE": _target,
    "DASHBOARD_UNSUBSCRIBE": _target,
    "AGENT_CONTROL": shape(
        {"agentId": text(1), "action": one_of("STOP", "RESTART", "PAUSE", "RESUME"), "reason?": text()}
    ),
    "TOKEN_REFRESH": shape({"accessToken": text(1), "expiresIn?": number()}),
    "PING": shape({"timestamp": whole, "sequence?": whole}),
    "PONG": anything,
}


def judge(role: str, message: Message) -> None:
    """WSX-2, WSX-3, WSX-1, in this order, for an initialised connection of that role."""
    if message.type not in KNOWN:
        raise RefusedError("UNKNOWN_MESSAGE_TYPE", "Never heard of that type.")
    if message.type not in FROM[role]:
        raise RefusedError("INVALID_MESSAGE_TYPE", f"Not from {role} to server.")
    if message.type not in _PAYLOADS:  # commands and terminals: promised by nobody here
        raise RefusedError("UNKNOWN_MESSAGE_TYPE", "This backend does not serve that type.")
    if not _PAYLOADS[message.type](message.payload):
        raise RefusedError("INVALID_MESSAGE", "That payload is not one of ours.")
