"""Refusals: what went wrong as facts; the one place per channel that answers makes the sentence.

A refusal carries the code of the contract, a sentence for a person, and on which terms it is
answered: an HTTP status over REST, a close code on a socket when the connection must end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of the program
    """A request or message that is answered with a failure."""

    def __init__(  # noqa: PLR0913 - the facts an answer can need
        self,
        code: str,
        sentence: str,
        *,
        status: int = 400,
        close: int | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.status = status
        self.close = close
        self.details = details
        self.headers = headers or {}

    @property
    def socket_code(self) -> str:
        """The code as a socket says it: whatever does not exist is NOT_FOUND there (CMD-1, CTL-1)."""
        return "NOT_FOUND" if self.status == 404 else self.code  # noqa: PLR2004


def unauthorized(sentence: str, *, expired: bool = False) -> Refusal:
    """No token, or one that does not open anything (AUTH-1, AUTH-2, WSA-1)."""
    headers = {"WWW-Authenticate": "Bearer"}
    return Refusal("UNAUTHORIZED", sentence, status=401, close=4002 if expired else 4001, headers=headers)


def forbidden(sentence: str, *, close: int | None = None) -> Refusal:
    """The caller is known and may not do this (WSA-4, CON-5, CON-6)."""
    return Refusal("FORBIDDEN", sentence, status=403, close=close)


def agent_not_found() -> Refusal:
    """The agent does not exist, or belongs to somebody else, which looks the same (AGT-5, ISO-1)."""
    return Refusal("AGENT_NOT_FOUND", "Agent not found", status=404)


def not_found(what: str) -> Refusal:
    """A command, report, preset or constraint does not exist, or belongs to another user (ISO-1)."""
    return Refusal("NOT_FOUND", f"There is no such {what}", status=404)


def wrong_state(sentence: str) -> Refusal:
    """What is asked for cannot be done as things are (CMD-3)."""
    return Refusal("INVALID_STATE", sentence, status=409)


def agent_connected() -> Refusal:
    """The agent has a live connection, so it cannot be deleted (AGT-11)."""
    return Refusal("AGENT_CONNECTED", "The agent is connected; disconnect it before deleting it", status=409)


def queue_full(agent_id: str, limit: int) -> Refusal:
    """As many commands wait for an agent as may (CMD-5)."""
    return Refusal(
        "QUEUE_FULL", f"{limit} commands already wait for an agent", status=409, details={"agentId": agent_id}
    )


def no_agents() -> Refusal:
    """A broadcast of a user who has no agents (CMD-R4)."""
    return Refusal("NO_AGENTS", "There are no agents to send the command to", status=409)


def agent_offline() -> Refusal:
    """The agent has no connection, so it cannot be told (CTL-1, AGT-12)."""
    return Refusal("AGENT_OFFLINE", "The agent is offline", status=409)


def too_many_requests(seconds: int) -> Refusal:
    """The client is past its allowance; it may come again after so many seconds (RATE-1)."""
    headers = {"Retry-After": str(seconds)}
    return Refusal("RATE_LIMIT", "Too many requests", status=429, details={"retryAfter": seconds}, headers=headers)


def invalid(sentence: str, errors: Sequence[Mapping[str, str]] = ()) -> Refusal:
    """A REST body or query breaks its schema (VAL-1)."""
    return Refusal("VALIDATION_ERROR", sentence, status=400, details={"errors": list(errors)})


def invalid_message(sentence: str, errors: Sequence[Mapping[str, str]] = ()) -> Refusal:
    """A socket message is no JSON, no envelope, or its payload breaks its schema (WSX-1)."""
    return Refusal("INVALID_MESSAGE", sentence, details={"errors": list(errors)} if errors else None)
