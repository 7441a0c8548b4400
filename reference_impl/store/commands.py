"""Where commands are kept: the port.

The caller holds the user's turn wherever it decides from what it reads here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_impl.domain.agents import Activity
    from reference_impl.domain.commands import Change, Command
    from reference_impl.domain.queue import Queue
    from reference_impl.domain.vocabulary import CommandStatus


@dataclass(frozen=True, slots=True)
class CommandQuery:
    """Which page of which commands (CMD-R5)."""

    user_id: str
    status: CommandStatus | None = None
    agent_id: str | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class CommandPage:
    """Some commands, and how many match altogether."""

    commands: Sequence[Command]
    total: int


class CommandTaken(Exception):  # noqa: N818 - it is an answer
    """There is a command of this id already."""


class CommandStore(Protocol):
    """The commands of all users. What `add` and `save` did is committed when they return."""

    async def get(self, command_id: str) -> Command | None:
        """The command, whoever owns it."""

    async def some(self, command_ids: Sequence[str]) -> Sequence[Command]:
        """Those of these commands that exist, oldest first."""

    async def page(self, query: CommandQuery) -> CommandPage:
        """One page, newest first."""

    async def counts(self, user_id: str) -> Mapping[CommandStatus, int]:
        """How many commands of the user have each status; a status that none has may be missing (SYS-1)."""

    async def ids(self, user_id: str, limit: int) -> Sequence[str]:
        """The ids of the user's unfinished commands, and of its newest ones up to the limit (SUB-5)."""

    async def unfinished(
        self, user_id: str, limit: int, agent_id: str | None = None, status: CommandStatus | None = None
    ) -> Sequence[Command]:
        """The user's oldest commands that are not finished: at all, or for this agent, or with this status there."""

    async def executing(self, limit: int, after: Command | None = None) -> Sequence[Command]:
        """The oldest commands of any user that some agent is executing; given one, those after it."""

    async def queues(self, user_id: str, agent_ids: Sequence[str]) -> Mapping[str, Queue]:
        """The queue of each of these agents."""

    async def activity(self, user_id: str, agent_id: str) -> Activity:
        """What an agent is doing."""

    def begins(self, user_id: str, agent_id: str) -> None:
        """An agent is made, and nobody had its id: nothing waits for it."""

    async def add(self, command: Command) -> Command:
        """Insert it; the answer knows its number.

        Raises:
            CommandTaken: the id is taken, by whomever; nothing was changed.
        """

    async def save(self, changes: Sequence[Change]) -> None:
        """Write what differs, all of it or nothing."""
