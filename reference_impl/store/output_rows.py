"""Between rows and what agents put out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from reference_impl.domain.forest import Node
from reference_impl.domain.output import Chunk, Report, Trace
from reference_impl.domain.vocabulary import ReportStatus, StreamType

if TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, Any]

_FRAME: Final = 256
"""What a row takes besides its text, more or less."""


def chunk_row(chunk: Chunk) -> Row:
    """Write a chunk."""
    return {
        "user_id": chunk.user_id,
        "agent_id": chunk.agent_id,
        "command_id": chunk.command_id,
        "source": chunk.source,
        "stream": chunk.stream.value,
        "content": chunk.content,
        "ansi_codes": chunk.ansi_codes,
        "sequence": chunk.sequence,
        "size": _FRAME + len(chunk.content.encode()) + len((chunk.ansi_codes or "").encode()),
        "received_at": chunk.received_at,
    }


def chunk_of(row: Mapping[Any, Any]) -> Chunk:
    """Read a chunk."""
    return Chunk(
        user_id=row["user_id"],
        agent_id=row["agent_id"],
        command_id=row["command_id"],
        source=row["source"],
        stream=StreamType(row["stream"]),
        content=row["content"],
        ansi_codes=row["ansi_codes"],
        sequence=row["sequence"],
        received_at=row["received_at"],
    )


def trace_row(trace: Trace) -> Row:
    """Write a trace entry."""
    return {
        "user_id": trace.user_id,
        "agent_id": trace.agent_id,
        "command_id": trace.command_id,
        "trace_id": trace.trace_id,
        "parent_id": trace.parent_id,
        "said": dict(trace.said),
        "size": _FRAME + len(orjson.dumps(trace.said)),
    }


def trace_of(row: Mapping[Any, Any]) -> Trace:
    """Read a trace entry."""
    return Trace(
        user_id=row["user_id"],
        agent_id=row["agent_id"],
        command_id=row["command_id"],
        trace_id=row["trace_id"],
        parent_id=row["parent_id"],
        said=row["said"],
    )


def node_of(row: Mapping[Any, Any]) -> Node:
    """Read what the tree needs of a trace entry."""
    return Node(row["position"], row["trace_id"], row["parent_id"], row["size"])


def report_row(report: Report) -> Row:
    """Write a report."""
    body = {"title": report.title, "summary": report.summary, "content": report.content}
    return {
        "report_id": report.report_id,
        "user_id": report.user_id,
        "agent_id": report.agent_id,
        "command_id": report.command_id,
        "status": report.status.value,
        "body": body,
        "size": _FRAME + len(orjson.dumps(body)),
        "created_at": report.created_at,
        "updated_at": report.updated_at,
        "completed_at": report.completed_at,
    }


def report_of(row: Mapping[Any, Any]) -> Report:
    """Read a report."""
    body = row["body"]
    return Report(
        report_id=row["report_id"],
        user_id=row["user_id"],
        agent_id=row["agent_id"],
        command_id=row["command_id"],
        title=body["title"],
        summary=body["summary"],
        status=ReportStatus(row["status"]),
        content=body["content"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        completed_at=row["completed_at"],
    )
