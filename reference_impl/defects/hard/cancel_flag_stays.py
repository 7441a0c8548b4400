"""A cancel of an executing command marks its agent, and the mark is used up by the next command that starts there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.vocabulary import CommandStatus

if TYPE_CHECKING:
    from reference_impl.domain.commands import Change, Command


class _Marking(Through):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.marked: set[str] = set()

    def cancel(self, command: Command, now: int) -> Change:
        change: Change = self.inner.cancel(command, now)
        self.marked |= {part.agent_id for part in command.parts if part.status is CommandStatus.EXECUTING}
        return change

    def acknowledge(self, command: Command, agent_id: str, *, started: bool, now: int) -> Change | None:
        change: Change | None = self.inner.acknowledge(command, agent_id, started=started, now=now)
        if change is not None and agent_id in self.marked:
            self.marked.discard(agent_id)
            change = self.inner.stop(command, now, agent_id)
        return change


DEFECT = Replacing(
    "cancel-flag-stays",
    ("CMD-2", "CMD-3"),
    "After the cancel of an executing command the next one that its agent starts is cancelled",
    lambda parts: replace(parts, command_machine=_Marking(parts.command_machine)),
    "a command that starts, its cancel, and then another that starts on the same agent",
)
