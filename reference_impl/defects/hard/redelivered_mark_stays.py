"""A command that was delivered remembers its first connection for ever, whatever connection it goes to later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.commands import Change

if TYPE_CHECKING:
    from reference_impl.domain.commands import Command


class _Once(Through):
    def deliver(self, command: Command, agent_id: str, connection_id: str) -> Change:
        part = command.part_of(agent_id)
        if part is not None and part.delivered_to is not None:
            return Change(command, command)
        delivered: Change = self.inner.deliver(command, agent_id, connection_id)
        return delivered


DEFECT = Replacing(
    "redelivered-mark-stays",
    ("CMD-5", "CMD-7"),
    "What was delivered again after a reconnect is delivered again there at every change of the queue",
    lambda parts: replace(parts, command_machine=_Once(parts.command_machine)),
    "a command delivered, a reconnect, and then a change of the same queue or a cancel",
)
