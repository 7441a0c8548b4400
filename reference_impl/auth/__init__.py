"""Who is calling: from a token to a principal (AUTH-1, WSA-1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was good."""

    user_id: str
    expires_at: float
    """Seconds since 1970; the connection must end then, or have a newer token (WSA-5)."""
    email: str | None = None
    session_id: str | None = None
    """The sign-in that the token came from, if this server gave it (TOK-2)."""


class TokenVerifier(Protocol):
    """Judges tokens."""

    async def verify(self, token: str) -> Principal:
        """Say whose token it is.

        Raises:
            Refusal: `UNAUTHORIZED`, with close code 4002 for one that has expired, else 4001.
        """
