"""Where agents and users are kept: the ports.

A query names the user it is for; only `get` crosses users, because an agent id is unique across
all of them (CON-5), and its callers compare the owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.agents import Agent
    from reference_impl.domain.vocabulary import AgentStatus, AgentType


@dataclass(frozen=True, slots=True)
class AgentQuery:
    """Which page of which agents (AGT-9, AGT-13)."""

    user_id: str
    type: AgentType | None = None
    status: AgentStatus | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some agents, and how many match altogether."""

    agents: Sequence[Agent]
    total: int


class Taken(Exception):  # noqa: N818 - it is an answer
    """The agent id belongs to another user (CON-5)."""


class UnusableDatabaseError(Exception):
    """The database cannot be opened; the message is one sentence for a person."""


class AgentStore(Protocol):
    """The agents of all users.

    What `save`, `delete` and `all_offline` did is committed when they return. What `beat` did is
    seen by every read at once and committed soon after.
    """

    async def get(self, agent_id: str) -> Agent | None:
        """The agent, whoever owns it."""

    async def page(self, query: AgentQuery) -> Page:
        """One page, newest first, ties by agent id (AGT-9)."""

    async def all_of(self, user_id: str) -> Sequence[Agent]:
        """All agents of one user, in the order of pages."""

    async def save(self, agent: Agent) -> None:
        """Insert or update.

        Raises:
            Taken: the id is another user's; nothing was changed.
        """

    async def delete(self, agent: Agent) -> None:
        """Remove it."""

    def beat(self, agent: Agent) -> None:
        """Keep the heartbeat, metrics and metadata of an agent that exists."""

    async def all_offline(self, now: int) -> int:
        """Mark every agent OFFLINE (CON-7); says how many were not."""

    async def flush(self) -> None:
        """Commit what `beat` left to be written."""


class UserStore(Protocol):
    """The users who may use the API."""

    async def exists(self, user_id: str) -> bool:
        """Whether there is such a user (AUTH-1)."""

    async def ensure(self, user_id: str, email: str | None = None) -> None:
        """Make the user, if there is none yet; the address is kept where none is known."""

    async def by_email(self, email: str) -> str | None:
        """The user with this address, in any case; of several the oldest (TOK-4)."""

    async def email_of(self, user_id: str) -> str | None:
        """The user's address, if one is known."""


class Database(Protocol):
    """The life of the store."""

    async def start(self, patience_s: float = 0.0) -> None:
        """Open it, bring its schema up to date.

        Raises:
            UnusableDatabaseError: it cannot be opened.
        """

    async def ping(self) -> None:
        """Raise if it does not answer (HLT-1)."""

    async def close(self) -> None:
        """Write what is left and close it."""
