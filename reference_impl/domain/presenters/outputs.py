"""How terminal output, traces and reports look; the same in every API version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.domain.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from reference_impl.domain.events import Body
    from reference_impl.domain.output import Chunk, Report, Trace


def stream_of(chunk: Chunk) -> Body:
    """TERMINAL_STREAM; output of the session keeps the agent's id for a command id (TRM-6)."""
    body: dict[str, Any] = {
        "commandId": chunk.command_id or chunk.agent_id,
        "agentId": chunk.agent_id,
        "streamType": chunk.stream,
        "content": chunk.content,
        "sequence": chunk.sequence,
    }
    return body if chunk.ansi_codes is None else {**body, "ansiCodes": chunk.ansi_codes}


def trace_stream_of(trace: Trace) -> Body:
    """TRACE_STREAM: the payload of TRACE_EVENT as it came (TRC-1)."""
    return {"commandId": trace.command_id, "agentId": trace.agent_id, "trace": trace.said}


def chunk_shown(chunk: Chunk) -> Body:
    """TerminalOutput in REST (TRM-7)."""
    return {
        "id": chunk.chunk_id,
        "commandId": chunk.command_id,
        "agentId": chunk.agent_id,
        "streamType": chunk.stream,
        "content": chunk.content,
        "ansiCodes": chunk.ansi_codes,
        "sequence": chunk.sequence,
        "timestamp": rfc3339(chunk.received_at),
    }


def trace_shown(trace: Trace) -> Body:
    """TraceEntry in REST, without its children."""
    said = trace.said
    return {
        "id": trace.trace_id,
        "commandId": trace.command_id,
        "agentId": trace.agent_id,
        "parentId": trace.parent_id,
        "type": said["type"],
        "name": said["name"],
        "content": said["content"],
        "startedAt": rfc3339(said["startedAt"]),
        "completedAt": rfc3339_or_none(said.get("completedAt")),
        "durationMs": said.get("durationMs"),
        "tokensUsed": said.get("tokensUsed"),
    }


def report_shown(report: Report) -> Body:
    """Report in REST (RPT-2)."""
    return {
        "id": report.report_id,
        "commandId": report.command_id,
        "agentId": report.agent_id,
        "title": report.title,
        "summary": report.summary,
        "status": report.status,
        "content": report.content,
        "createdAt": rfc3339(report.created_at),
        "updatedAt": rfc3339(report.updated_at),
        "completedAt": rfc3339_or_none(report.completed_at),
    }
