"""Every message type of the contract, and who may send it to the server (WSX-2, WSX-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference_impl.domain.vocabulary import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOTH: Final = frozenset({"PING", "PONG", "TOKEN_REFRESH"})

FROM_CLIENT: Final[Mapping[Role, frozenset[str]]] = {
    Role.AGENT: _BOTH
    | {
        "AGENT_CONNECT",
        "AGENT_HEARTBEAT",
        "AGENT_ERROR",
        "COMMAND_ACK",
        "COMMAND_COMPLETE",
        "TERMINAL_OUTPUT",
        "TRACE_EVENT",
        "INVESTIGATION_REPORT",
    },
    Role.DASHBOARD: _BOTH
    | {
        "DASHBOARD_INIT",
        "DASHBOARD_SUBSCRIBE",
        "DASHBOARD_UNSUBSCRIBE",
        "COMMAND_REQUEST",
        "COMMAND_CANCEL",
        "AGENT_CONTROL",
        "EMERGENCY_STOP",
    },
}

FROM_SERVER: Final = _BOTH | {
    "ACK",
    "ERROR",
    "SERVER_HEARTBEAT",
    "COMMAND_REQUEST",
    "COMMAND_CANCEL",
    "AGENT_CONTROL",
    "DASHBOARD_READY",
    "dashboard:connected",
    "AGENT_STATUS",
    "AGENT_CONNECTED",
    "AGENT_DISCONNECT",
    "AGENT_ERROR",
    "COMMAND_STATUS",
    "QUEUE_UPDATE",
    "TERMINAL_STREAM",
    "TRACE_STREAM",
    "EMERGENCY_STOP",
    "BATCH",
}

KNOWN: Final = FROM_CLIENT[Role.AGENT] | FROM_CLIENT[Role.DASHBOARD] | FROM_SERVER

ROLE_MESSAGE: Final[Mapping[str, Role]] = {"AGENT_CONNECT": Role.AGENT, "DASHBOARD_INIT": Role.DASHBOARD}
"""The message that makes a connection an agent's or a dashboard's (WSA-2)."""
