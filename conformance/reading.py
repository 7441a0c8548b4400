"""Lenient reading: finds the thing meant where an older or wrong backend keeps it elsewhere.

One rule reports the departure (a wrong envelope, a wrong field name); all others read through it, so that one cause
neither hides nor paints fifty others. Nothing here says what is right.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

ENVELOPE_FIELDS = frozenset({"type", "id", "timestamp", "success", "error", "code"})

_TYPES = (
    *("AGENT_CONNECT", "AGENT_HEARTBEAT", "AGENT_ERROR", "AGENT_STATUS", "AGENT_CONNECTED", "AGENT_DISCONNECT"),
    *("DASHBOARD_INIT", "DASHBOARD_READY", "DASHBOARD_SUBSCRIBE", "DASHBOARD_UNSUBSCRIBE"),
    *("COMMAND_REQUEST", "COMMAND_ACK", "COMMAND_COMPLETE", "COMMAND_CANCEL", "COMMAND_STATUS", "QUEUE_UPDATE"),
    *("AGENT_CONTROL", "EMERGENCY_STOP"),
    *("TERMINAL_OUTPUT", "TERMINAL_STREAM", "TRACE_EVENT", "TRACE_STREAM", "INVESTIGATION_REPORT", "BATCH"),
    *("SERVER_HEARTBEAT", "ACK", "ERROR", "PING", "PONG"),
)
_CANONICAL = {t.replace("_", ""): t for t in _TYPES} | {"DASHBOARDCONNECTED": "dashboard:connected"}

_ID_NAMES = ("agentId", "agent_id", "id")
_COMMAND_NAMES = ("commandId", "command_id", "id")
_TYPE_NAMES = ("agentType", "agent_type", "type")
_METRICS_NAMES = ("metrics", "healthMetrics", "last_metrics", "lastMetrics")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LIST_NAMES = ("data", "agents", "commands", "items", "results")


@lru_cache(maxsize=4096)
def canonical_type(written: str) -> str:
    """The contract's spelling of a message type written in another casing or punctuation; else as written."""
    return _CANONICAL.get(re.sub(r"[^A-Za-z0-9]", "", written).upper(), written)


def payload(value: Any) -> dict[str, Any]:
    """The payload of a message: under `payload`, else under `data`, else the fields beside the envelope's own."""
    if not isinstance(value, dict):
        return {}
    for name in ("payload", "data"):
        if name in value:
            return value[name] if isinstance(value[name], dict) else {}
    return {k: v for k, v in value.items() if k not in ENVELOPE_FIELDS}


def batched(value: Any) -> list[dict[str, Any]]:
    """The messages inside a BATCH, in order; none for any other message. What is no object is none."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or canonical_type(kind) != "BATCH":
        return []
    messages = payload(value).get("messages")
    return [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []


def rows(value: Any) -> list[Any] | None:
    """The rows of a list response, in whatever envelope; None when there is no list."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return None
    for name in _LIST_NAMES:
        found = value.get(name)
        if isinstance(found, list):
            return found
        if isinstance(found, dict) and (inner := rows(found)) is not None:
            return inner
    return None


def one(value: Any) -> dict[str, Any] | None:
    """The resource of a single response, in whatever envelope; None when there is none."""
    if not isinstance(value, dict):
        return None
    for name in ("data", "agent"):
        if isinstance(value.get(name), dict):
            return one(value[name]) if name == "data" and "agent" in value[name] else value[name]
    return value if agent_id(value) else None


def _first(item: Any, names: tuple[str, ...]) -> Any:
    if isinstance(item, dict):
        for name in names:
            if name in item:
                return item[name]
    return None


def agent_id(item: Any) -> str | None:
    """The agent's id in a REST row, a snapshot item or an event, under any of its historical names."""
    value = _first(item, _ID_NAMES)
    return value if isinstance(value, str) else None


def command_id(item: Any) -> str | None:
    """The command's id in a REST resource or a message, under any name it may have, in lower case as UUIDs are told."""
    value = _first(item, _COMMAND_NAMES)
    return value.lower() if isinstance(value, str) else None


def piece(payload: Any) -> tuple[Any, Any, Any]:
    """What tells one piece of output or trace from another: agent, command, and sequence or trace id."""
    item = payload if isinstance(payload, dict) else {}
    trace = item.get("trace", item)
    part = trace.get("traceId") if isinstance(trace, dict) and "traceId" in trace else item.get("sequence")
    return same_id(item.get("agentId")), same_id(item.get("commandId")), same_id(part)


def same_id(value: Any) -> Any:
    """An id (or sequence) as something to compare: UUIDs in lower case, for theirs does not count."""
    if isinstance(value, str):
        return value.lower() if _UUID.fullmatch(value) else value
    return value if isinstance(value, int | float | None) else repr(value)


def agent_type(item: Any) -> str | None:
    """The agent's type, in upper case."""
    value = _first(item, _TYPE_NAMES)
    return value.upper() if isinstance(value, str) else None


def status(item: Any) -> str | None:
    """The status, in upper case."""
    value = _first(item, ("status",))
    return value.upper() if isinstance(value, str) else None


def metrics(item: Any) -> Any:
    """The metrics object (or None), under any of its historical names, `commandsProcessed` read as its new name."""
    value = _first(item, _METRICS_NAMES)
    if isinstance(value, dict) and "commandsExecuted" not in value and "commandsProcessed" in value:
        value = {**value, "commandsExecuted": value["commandsProcessed"]}
    return value


def reported(health: Any) -> dict[str, Any]:
    """A heartbeat's `healthMetrics` as the four numbers that everyone else is told (STA-3)."""
    names = ("uptime", "memoryUsage", "cpuUsage")
    if not isinstance(health, dict):
        return {}
    return {"commandsExecuted": health.get("commandsProcessed"), **{n: health.get(n) for n in names}}


NUMBERS = ("commandsExecuted", "uptime", "memoryUsage", "cpuUsage")
"""The four numbers of an agent's metrics."""


def differing(shown: Any, wanted: dict[str, Any]) -> list[str]:
    """Which of the four numbers are not shown as wanted (25 and 25.0 are the same)."""
    value = shown if isinstance(shown, dict) else {}
    return [name for name in NUMBERS if value.get(name) != wanted.get(name)]


def same_metrics(left: Any, right: Any) -> bool:
    """Whether two metrics say the same four numbers (25 and 25.0 are the same)."""
    if not isinstance(left, dict) or not isinstance(right, dict):
        return left is None and right is None
    return not differing(left, right)


@lru_cache(maxsize=4096)
def template(path: str) -> str:
    """A path with its second segment as a parameter: `/agents/a1/stop` → `/agents/{agentId}/stop`."""
    parts = path.split("/")
    if len(parts) > 2 and parts[1] in {"agents", "commands", "presets", "reports", "constraints"}:  # noqa: PLR2004
        parts[2] = "{agentId}" if parts[1] == "agents" else "{id}"
    return "/".join(parts)


def signature(pointer: str) -> str:
    """A JSON pointer with its array positions left out, to tell the same fault in many rows as one."""
    return re.sub(r"/\d+(?=/|$)", "/*", pointer)
