"""Where the audit log is kept: the port. Entries are added and read; nothing changes them (AUD-2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.audit import AuditEntry


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries of a user; times in ms since 1970, the first included and the last not."""

    user_id: str
    event_type: str | None = None
    agent_id: str | None = None
    begin: int | None = None
    end: int | None = None
    limit: int = 100
    offset: int = 0


class AuditStore(Protocol):
    """The entries of all users, and of nobody."""

    async def add(self, entry: AuditEntry) -> None:
        """Keep one; it is committed when this returns."""

    def later(self, entry: AuditEntry) -> None:
        """Keep one about something nobody is waiting for; it is committed soon."""

    async def flush(self) -> None:
        """Commit what `later` left."""

    async def page(self, query: AuditQuery) -> tuple[Sequence[AuditEntry], int]:
        """One page, newest first, and how many match altogether."""

    async def forget(self, now: int) -> None:
        """Remove what is older than it has to be kept."""
