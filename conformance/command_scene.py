"""Words for examples about commands: what is asked, delivered, said, told and shown, right in all that is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.scene import BORN

if TYPE_CHECKING:
    from conformance.scene import Scene, Socket
    from conformance.timeline import Exchange, Frame

ONE, TWO, THREE = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "123")
CONTENT = "Say hello"
DONE = ("COMPLETED", "FAILED", "CANCELLED")


def asks(dashboard: Socket, command: str = ONE, agent: str = "a1", **changes: Any) -> Frame:
    """COMMAND_REQUEST and its ACK."""
    payload = {"commandId": command, "agentId": agent, "content": CONTENT, "type": "NATURAL"} | changes
    sent = dashboard.sends("COMMAND_REQUEST", {k: v for k, v in payload.items() if v is not ...})
    accepts(dashboard, sent, commandId=command)
    return sent


def accepts(socket: Socket, sent: Frame, **more: Any) -> Frame:
    """The ACK to a message."""
    return socket.gets("ACK", {"messageId": sent.id, "success": True} | more)


def refuses(socket: Socket, sent: Frame, code: str) -> Frame:
    """The ERROR to a message."""
    no = {"code": code, "message": "No", "recoverable": True, "originalMessageId": sent.id}
    return socket.gets("ERROR", no)


def takes(agent: Socket, command: str = ONE, **changes: Any) -> Frame:
    """COMMAND_REQUEST to the agent."""
    payload = {
        "commandId": command,
        "content": CONTENT,
        "type": "NATURAL",
        "priority": 50,
        "executionConstraints": None,
    }
    return agent.gets("COMMAND_REQUEST", payload | changes)


def acks(agent: Socket, command: str = ONE, status: str = "EXECUTING", code: str = "", **changes: Any) -> Frame:
    """COMMAND_ACK and its answer: ACK, or ERROR with this code."""
    payload = {"commandId": command, "agentId": agent.agent_id, "status": status} | changes
    return _answered(agent, agent.sends("COMMAND_ACK", payload), code)


def completes(agent: Socket, command: str = ONE, status: str = "COMPLETED", code: str = "", **changes: Any) -> Frame:
    """COMMAND_COMPLETE and its answer: ACK, or ERROR with this code."""
    usual = {"commandId": command, "agentId": agent.agent_id, "status": status, "executionTime": 1, "tokensUsed": 1}
    return _answered(agent, agent.sends("COMMAND_COMPLETE", usual | changes), code)


def cancels(dashboard: Socket, command: str = ONE, code: str = "", **changes: Any) -> Frame:
    """COMMAND_CANCEL and its answer: ACK, or ERROR with this code."""
    return _answered(dashboard, dashboard.sends("COMMAND_CANCEL", {"commandId": command} | changes), code)


def _answered(socket: Socket, sent: Frame, code: str) -> Frame:
    if code:
        refuses(socket, sent, code)
    else:
        accepts(socket, sent)
    return sent


def told(dashboard: Socket, status: str, command: str = ONE, agent: str = "a1", **changes: Any) -> Frame:
    """COMMAND_STATUS to a dashboard."""
    return dashboard.gets("COMMAND_STATUS", {"commandId": command, "agentId": agent, "status": status} | changes)


def queue(s: Scene, dashboard: Socket, *queued: str, executing: tuple[str, ...] = (), **changes: Any) -> Frame:
    """QUEUE_UPDATE about a1."""
    waiting = [{"commandId": c, "position": i, "priority": 50} for i, c in enumerate(queued)]
    running = [{"commandId": c, "startedAt": s.now} for c in executing]
    usual = {"agentId": "a1", "queueSize": len(queued), "executing": running, "queued": waiting}
    return dashboard.gets("QUEUE_UPDATE", usual | changes)


def resource(command: str = ONE, status: str = "QUEUED", /, **changes: Any) -> dict[str, Any]:
    """A Command as REST shows it; `...` removes a field."""
    right = {
        "id": command,
        "userId": "alice",
        "content": CONTENT,
        "type": "NATURAL",
        "targetAgents": ["a1"],
        "broadcast": False,
        "status": status,
        "priority": 50,
        "executionConstraints": None,
        "startedAt": None,
        "completedAt": BORN if status in DONE else None,
        "error": None,
        "createdAt": BORN,
        "updatedAt": BORN,
    }
    return {k: v for k, v in (right | changes).items() if v is not ...}


def shows(s: Scene, command: str = ONE, status: str = "QUEUED", /, user: str = "alice", **changes: Any) -> Exchange:
    """GET /commands/{commandId} answered with it."""
    body = {"success": True, "data": resource(command, status, **changes)}
    return s.rest("GET", f"/commands/{command}", 200, body, user=user)


def lists(s: Scene, *rows: dict[str, Any], total: int | None = None, **fields: Any) -> Exchange:
    """GET /commands answered with these."""
    page = {"total": len(rows) if total is None else total, "limit": 50, "offset": 0}
    return s.rest("GET", "/commands", 200, {"success": True, "data": list(rows), "pagination": page}, **fields)


def creates(s: Scene, command: str = ONE, status: int = 201, /, *, at: float | None = None, **asked: Any) -> Exchange:
    """POST /commands for a1 (or as `asked`), sent just now or at this moment, and its answer."""
    body = {"content": CONTENT, "type": "NATURAL", "targetAgents": ["a1"]} | asked
    body = {k: v for k, v in body.items() if v is not ...}
    shown = {k: v for k, v in body.items() if k != "broadcast" or v}
    fields: dict[str, Any] = {"request": body} | ({} if at is None else {"at": at})
    return s.rest("POST", "/commands", status, {"success": True, "data": resource(command, **shown)}, **fields)


def comes_back_before_it_is_missed(s: Scene, dashboard: Socket, agent_id: str) -> None:
    """An agent starts TWO, loses its connection, has another one at once and completes TWO there."""
    agent = s.agent(agent_id)
    asks(dashboard, TWO, agent_id)
    takes(agent, TWO)
    acks(agent, TWO)
    agent.closes(by="fault", code=None)
    again = s.agent(agent_id)
    s.wait(2)
    completes(again, TWO)


def cancels_over_rest(s: Scene, command: str = ONE, shown: str = "CANCELLED", status: int = 200) -> Exchange:
    """POST /commands/{commandId}/cancel and its answer."""
    body: dict[str, Any] = {"success": True, "data": resource(command, shown)}
    if status >= 400:  # noqa: PLR2004 - a refusal
        body = {"success": False, "error": "No", "code": "INVALID_STATE"}
    return s.rest("POST", f"/commands/{command}/cancel", status, body)
