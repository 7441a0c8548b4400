"""A command that its agent completed is recorded as FAILED."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.domain.command_machine import CommandMachine
from reference_impl.domain.vocabulary import CommandStatus

if TYPE_CHECKING:
    from reference_impl.domain.command_machine import Ending
    from reference_impl.domain.commands import Change, Command


class _Gloomy(CommandMachine):
    def complete(self, command: Command, agent_id: str, ending: Ending, now: int) -> Change:
        if ending.status is CommandStatus.COMPLETED:
            ending = replace(ending, status=CommandStatus.FAILED)
        return super().complete(command, agent_id, ending, now)


DEFECT = Replacing(
    "command-complete-is-failed",
    ("CMD-2",),
    "COMPLETED is recorded as FAILED",
    lambda parts: replace(parts, command_machine=_Gloomy()),
)
