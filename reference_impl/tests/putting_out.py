"""What tests of output need: commands to put something out for, and messages of agents."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reference_impl.tests.harness import Json, World


def an_id() -> str:
    """A UUID."""
    return str(uuid.uuid4())


async def command(world: World, *agents: str, user: str = "alice") -> str:
    """A new command for these agents; its id."""
    said = {"content": "do it", "type": "NATURAL", "targetAgents": list(agents)}
    status, answer = await world.rest("POST", "/commands", user, json=said)
    assert status == 201, answer
    return str(answer["data"]["id"])


def output(agent: str, command_id: str, sequence: int, content: str = "x", **more: object) -> Json:
    """The payload of TERMINAL_OUTPUT."""
    said = {"agentId": agent, "commandId": command_id, "sequence": sequence, "content": content}
    return {**said, "streamType": "STDOUT", **more}


def trace(agent: str, command_id: str, trace_id: str, parent_id: str | None = None, **more: object) -> Json:
    """The payload of TRACE_EVENT."""
    said = {"agentId": agent, "commandId": command_id, "traceId": trace_id, "parentId": parent_id}
    return {**said, "type": "TOOL_CALL", "name": "grep", "content": {"pattern": "x"}, "startedAt": 1_000, **more}


def report(agent: str, command_id: str, report_id: str, **more: object) -> Json:
    """The payload of INVESTIGATION_REPORT."""
    content = {
        "sections": [{"title": "What", "content": "It broke.", "order": 1}],
        "findings": [{"type": "issue", "severity": "high", "description": "A leak.", "evidence": ["line 7"]}],
        "recommendations": [{"priority": 1, "action": "Mend it.", "rationale": "It leaks."}],
    }
    said = {"agentId": agent, "commandId": command_id, "reportId": report_id, "status": "DRAFT"}
    return {**said, "title": "A report", "summary": "In short.", "content": content, **more}
