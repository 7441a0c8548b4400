"""What the audit log says: entries, their event types, and what is written down (AUD-1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reference_impl.domain.catalogue import FROM_CLIENT
from reference_impl.domain.vocabulary import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED: Final = "AUTHENTICATION_REFUSED"
LOST: Final = "AGENT_DISCONNECT"
CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""The methods of operations that change something."""

_CHANGES_NOTHING: Final = frozenset(
    {
        "PING",
        "PONG",
        "TOKEN_REFRESH",
        "DASHBOARD_INIT",
        "DASHBOARD_SUBSCRIBE",
        "DASHBOARD_UNSUBSCRIBE",
        "AGENT_HEARTBEAT",
        "TERMINAL_OUTPUT",
        "TRACE_EVENT",
    }
)
"""Messages that change nothing that lasts, and those that come by the thousand and are kept elsewhere."""
MESSAGES: Final = (FROM_CLIENT[Role.AGENT] | FROM_CLIENT[Role.DASHBOARD]) - _CHANGES_NOTHING
"""The socket messages that leave an entry; a type that is added to the catalogue is among them."""

_SAID: Final = ("action", "status", "type", "reason", "reportId")
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request or a socket came from."""

    ip_address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the log; `created_at` in ms since 1970."""

    id: str
    event_type: str
    created_at: int
    user_id: str | None = None
    agent_id: str | None = None
    command_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin = Origin()


def event_type(name: str) -> str:
    """The event type of an operationId or a message type: the same words in UPPER_SNAKE.

    >>> event_type("deleteAgent"), event_type("AGENT_CONNECT")
    ('DELETE_AGENT', 'AGENT_CONNECT')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def said_in(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a message that tell what was done, each cut to a reasonable length."""
    return {key: value[:_LONGEST] for key in _SAID if isinstance(value := payload.get(key), str)}


def text(value: object) -> str | None:
    """An id out of a payload or body, if it is one."""
    return value if isinstance(value, str) and value else None
