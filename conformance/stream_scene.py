"""Words for examples about terminal output, traces and reports: what is sent, carried and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.command_scene import ONE, accepts, asks, refuses, takes
from conformance.scene import BORN

if TYPE_CHECKING:
    from conformance.scene import Scene, Socket
    from conformance.timeline import Exchange, Frame

FIRST, SECOND, THIRD = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "789")
"""Ids of traces and reports."""
STARTED = 1_760_000_000_000
ABSENT: Any = ...


def cast(s: Scene) -> tuple[Socket, Socket]:
    """A dashboard, and an agent that was just made and has taken a command of it."""
    dashboard, agent = s.dashboard(), s.agent("a1")
    s.note("new-agent", agent="a1")
    asks(dashboard)
    takes(agent)
    return dashboard, agent


def prints(agent: Socket, content: str = "hello", sequence: int = 0, *, code: str = "", **changes: Any) -> Frame:
    """TERMINAL_OUTPUT of a command, and its answer: ACK, or ERROR with this code."""
    usual = {
        "commandId": ONE,
        "agentId": agent.agent_id,
        "streamType": "STDOUT",
        "content": content,
        "sequence": sequence,
    }
    return _answered(agent, agent.sends("TERMINAL_OUTPUT", usual | changes), code)


def traces(agent: Socket, trace: str = FIRST, parent: str | None = None, *, code: str = "", **changes: Any) -> Frame:
    """TRACE_EVENT and its answer."""
    usual = {
        "commandId": ONE,
        "agentId": agent.agent_id,
        "traceId": trace,
        "parentId": parent,
        "type": "TOOL_CALL",
        "name": "grep",
        "content": {"arguments": ["-r", 1, True]},
        "startedAt": STARTED,
    }
    return _answered(agent, agent.sends("TRACE_EVENT", usual | changes), code)


def reports(agent: Socket, report: str = FIRST, *, code: str = "", **changes: Any) -> Frame:
    """INVESTIGATION_REPORT and its answer."""
    usual = {
        "commandId": ONE,
        "agentId": agent.agent_id,
        "reportId": report,
        "status": "DRAFT",
        "title": "Why it is slow",
        "summary": "It compiles twice.",
        "content": {"sections": [], "findings": [], "recommendations": []},
    }
    return _answered(agent, agent.sends("INVESTIGATION_REPORT", usual | changes), code)


def _answered(agent: Socket, sent: Frame, code: str) -> Frame:
    if code:
        refuses(agent, sent, code)
    else:
        accepts(agent, sent)
    return sent


def carries(dashboard: Socket, sent: Frame, **changes: Any) -> Frame:
    """The TERMINAL_STREAM or TRACE_STREAM of what an agent sent; for a trace the changes are made inside it."""
    payload = {k: v for k, v in (sent.payload | changes).items() if v is not ...}
    if sent.type == "TRACE_EVENT":
        whole = {"commandId": payload["commandId"], "agentId": payload["agentId"], "trace": payload}
        return dashboard.gets("TRACE_STREAM", whole)
    return dashboard.gets("TERMINAL_STREAM", payload)


def row(sent: Frame, **changes: Any) -> dict[str, Any]:
    """Terminal output as REST shows it."""
    payload = sent.payload
    session = payload["commandId"] == payload["agentId"]
    right = {
        "id": f"o-{sent.seq}",
        "commandId": None if session else payload["commandId"],
        "agentId": payload["agentId"],
        "streamType": payload["streamType"],
        "content": payload["content"],
        "ansiCodes": payload.get("ansiCodes"),
        "sequence": payload["sequence"],
        "timestamp": f"2025-10-09T08:00:{sent.seq:02d}.000Z",
    }
    return {k: v for k, v in (right | changes).items() if v is not ...}


def node(sent: Frame, *children: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A trace as REST shows it."""
    payload = sent.payload
    right = {
        "id": payload["traceId"],
        "commandId": payload["commandId"],
        "agentId": payload["agentId"],
        "parentId": payload["parentId"],
        "type": payload["type"],
        "name": payload["name"],
        "content": payload["content"],
        "startedAt": "2025-10-09T08:53:20Z",
        "completedAt": None,
        "durationMs": payload.get("durationMs"),
        "tokensUsed": payload.get("tokensUsed"),
        "children": list(children),
    }
    return {k: v for k, v in (right | changes).items() if v is not ...}


def report(sent: Frame, **changes: Any) -> dict[str, Any]:
    """A report as REST shows it."""
    payload = sent.payload
    right = {
        "id": payload["reportId"],
        **{k: v for k, v in payload.items() if k != "reportId"},
        "createdAt": BORN,
        "updatedAt": BORN,
        "completedAt": BORN if payload["status"] == "COMPLETE" else None,
    }
    return {k: v for k, v in (right | changes).items() if v is not ...}


def lists(s: Scene, path: str, *rows: dict[str, Any], total: int | None = None, **fields: Any) -> Exchange:
    """A list over REST."""
    page = {"total": len(rows) if total is None else total, "limit": 1000, "offset": 0}
    return s.rest("GET", path, 200, {"success": True, "data": list(rows), "pagination": page}, **fields)


def shows(s: Scene, path: str, data: Any, **fields: Any) -> Exchange:
    """One thing, or a tree, over REST."""
    return s.rest("GET", path, 200, {"success": True, "data": data}, **fields)
