"""COMMAND_ACK after COMMAND_COMPLETE moves the command back to EXECUTING."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.domain.command_machine import CommandMachine
from reference_impl.domain.commands import Change
from reference_impl.domain.vocabulary import CommandStatus

if TYPE_CHECKING:
    from reference_impl.domain.commands import Command


class _Forgiving(CommandMachine):
    def acknowledge(self, command: Command, agent_id: str, *, started: bool, now: int) -> Change | None:
        part = command.part_of(agent_id)
        if part is None or not part.finished or not started:
            return super().acknowledge(command, agent_id, started=started, now=now)
        again = replace(part, status=CommandStatus.EXECUTING, started_at=now, completed_at=None, error=None)
        parts = tuple(again if one is part else one for one in command.parts)
        return Change(command, replace(command, parts=parts, updated_at=now))


DEFECT = Replacing(
    "command-reopened",
    ("CMD-3",),
    "COMMAND_ACK after COMMAND_COMPLETE moves it back to EXECUTING",
    lambda parts: replace(parts, command_machine=_Forgiving()),
)
