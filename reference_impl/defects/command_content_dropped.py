"""Priority and constraints of a command are not forwarded to the agent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.domain.presenters.commands import CommandPresenter

if TYPE_CHECKING:
    from reference_impl.domain.commands import Command
    from reference_impl.domain.events import Body


class _Forgetful(CommandPresenter):
    def request(self, command: Command) -> Body:
        return super().request(replace(command, priority=50, constraints=None))


DEFECT = Replacing(
    "command-content-dropped",
    ("CMD-1", "CMD-11"),
    "The agent gets neither the priority nor the constraints",
    lambda parts: replace(parts, command_presenter=_Forgetful()),
)
