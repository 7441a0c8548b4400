"""The steps of the contract's machines that a timeline shows: connections, agents, commands."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from conformance.command_life import tasks
from conformance.dialogue import FOREIGN_USER, is_valid, said_on
from conformance.timeline import VALID
from conformance.views import deletions, losses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.command_life import Task
    from conformance.connection import Connection
    from conformance.timeline import Timeline
    from conformance.views import Loss

OK = 200
STEPS: Mapping[str, str] = {
    "AGENT_HEARTBEAT": "agent.heartbeat",
    "PING": "ping",
    "DASHBOARD_SUBSCRIBE": "dashboard.subscribe",
    "DASHBOARD_UNSUBSCRIBE": "dashboard.unsubscribe",
}
"""Message type → the cause that it is, where no more than its acceptance matters."""
CAUSES = {"AGENT_CONNECT", "DASHBOARD_INIT", "AGENT_ERROR", *STEPS}
"""Message types that are a step of a machine once they are accepted."""
BY = {
    "cancel": "command.cancelled",
    "stop": "command.cancelled",
    "deletion": "command.cancelled",
    "grace": "command.cancelled",
    "limit": "command.failed",
    "loss": "agent.lost",
}
"""What changed a command, in the words of `command_life` → the machine's step."""
BY_AGENT = {
    "EXECUTING": "agent.command-started",
    "COMPLETED": "agent.command-completed",
    "FAILED": "agent.command-failed",
    "CANCELLED": "agent.command-gave-up",
}


def transitions(t: Timeline) -> Iterator[str]:
    """Each step as `machine FROM cause TO`, as often as it was seen."""
    for connection in t.connections:
        yield from _of_connection(connection, t)
    own: dict[str, tuple[list[Connection], list[Loss]]] = {a.agent_id: ([], []) for a in t.agents if a.agent_id}
    for agent in t.agents:
        if agent.agent_id:
            own[agent.agent_id][0].append(agent)
    for loss in losses(t):
        if loss.agent_id in own:
            own[loss.agent_id][1].append(loss)
    for agent_id, (connections, lost) in own.items():
        yield from _of_agent(agent_id, connections, lost, t)
    for task in tasks(t):
        yield from _of_command(task, t)


def _of_connection(c: Connection, t: Timeline) -> Iterator[str]:
    """What was accepted on a socket, and how it ended."""
    if c.opened.status != 101 or c.credential not in {VALID, FOREIGN_USER}:  # noqa: PLR2004 - HTTP
        return
    role, ready = (c.role, "connected" if c.role == "agent" else "ready")
    state = "opened"
    for s in said_on(c):
        if s.sent.type not in CAUSES:
            continue
        if not s.answers or s.errors or not is_valid(s, t):
            foreign = s.errors and s.errors[0].payload.get("code") == "FORBIDDEN" and s.sent.type == "DASHBOARD_INIT"
            if foreign and state == "opened":
                yield "dashboard-connection opened dashboard.foreign-user closed"
                return
            continue
        if cause := _cause(s.sent.type, role, state, s.sent.payload):
            yield f"{role}-connection {state} {cause} {ready}"
            state = ready
    if c.closed is None:
        return
    if state == "opened":
        if c.closed.by == "backend" and c.init is None:
            yield f"{role}-connection opened socket.idle closed"
    elif role == "dashboard":
        yield "dashboard-connection ready dashboard.left closed"
    else:
        yield f"agent-connection connected {'agent.silent' if _was_silent(c) else 'agent.lost'} closed"


def _cause(kind: str, role: str, state: str, payload: Mapping[str, object]) -> str:
    if kind == "AGENT_CONNECT":
        return "agent.connected" if state == "opened" else "agent.connected-again"
    if kind == "DASHBOARD_INIT":
        return "dashboard.init" if state == "opened" else "dashboard.init-again"
    if kind == "AGENT_ERROR":
        return "agent.error" if payload.get("recoverable") else "agent.error-fatal"
    return f"{role}.ping" if kind == "PING" else STEPS.get(kind, "")


def _was_silent(c: Connection) -> bool:
    """Whether the backend gave the agent up, since it had been silent."""
    return c.closed is not None and c.closed.by == "backend" and c.closed.code in {1008, 4001}


def _of_agent(agent_id: str, connections: list[Connection], lost: list[Loss], t: Timeline) -> Iterator[str]:
    """What REST and dashboards must show of an agent, step by step."""
    happened: list[tuple[float, str]] = []
    for c in connections:
        for s in said_on(c):
            if s.sent.type in CAUSES and s.answers and not s.errors and is_valid(s, t):
                first = s.sent is c.init
                cause = _cause(s.sent.type, "agent", "opened" if first else "connected", s.sent.payload)
                if cause and cause != "agent.ping":
                    happened.append((s.answers[0].at, cause))
    happened += [(x.closed.at, "agent.silent" if _was_silent(x.agent) else "agent.lost") for x in lost]
    renames = (e for e in t.calls("renameAgent", status=OK) if e.path.endswith(f"/{agent_id}"))
    happened += [(e.ended, "rest.rename") for e in renames]
    happened += [(e.ended, "rest.delete") for e in deletions(t, agent_id)]
    state = "ABSENT"
    steps = t.contract.machines["agent"]["transitions"]
    for _, cause in sorted(happened):
        named = "agent.replaced" if cause == "agent.connected" and state in {"ONLINE", "ERROR"} else cause
        after = next((s["to"] for s in steps if s["from"] == state and s["on"] == named), None)
        if after is not None:
            yield f"agent {state} {named} {after}"
            state = after


def _of_command(task: Task, t: Timeline) -> Iterator[str]:
    known = task.known
    for before, step in pairwise(known):
        cause = BY_AGENT.get(step.status, "") if step.by == "agent" else BY.get(step.by, "")
        if step.by == "loss" and any(x.closed is step.cause and _was_silent(x.agent) for x in losses(t)):
            cause = "agent.silent"
        yield f"command {before.status} {cause} {step.status}"
