"""Timers of executing commands: the time limit, and the grace after a cancel (CMD-7, CMD-9).

A timer decides nothing: when it fires, the command is looked at again in its user's turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.clock import Clock, Timer
    from reference_impl.domain.command_machine import CommandMachine
    from reference_impl.domain.commands import Command, Part

_LONGEST_S: Final = 86_400.0
"""A limit further away than a day is looked at once a day."""


class Deadlines:
    """At most one timer for each command that an agent is executing."""

    def __init__(
        self, clock: Clock, machine: CommandMachine, grace_ms: int, due: Callable[[Command, str], None]
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._grace = grace_ms
        self._due = due
        self._timers: dict[tuple[str, str], Timer] = {}

    def watch(self, command: Command, part: Part) -> None:
        """Set, move or cancel the timer of one agent's part, as it is now."""
        key = (command.command_id, part.agent_id)
        if timer := self._timers.pop(key, None):
            timer.cancel()
        at = self._machine.deadline(command, part, self._grace)
        if at is not None:
            left = min(max(0, at - self._clock.now_ms()) / 1000, _LONGEST_S)
            self._timers[key] = self._clock.call_later(left, lambda: self._fire(key, command))

    def rest(self) -> None:
        """Watch nothing more: the server stops."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: tuple[str, str], command: Command) -> None:
        self._timers.pop(key, None)
        self._due(command, key[1])
