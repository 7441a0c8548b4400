"""The counts of an emergency stop are zero."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Replacing
from reference_impl.domain.presenters.commands import CommandPresenter

if TYPE_CHECKING:
    from reference_impl.domain.commands import Stopped
    from reference_impl.domain.events import Body


class _Modest(CommandPresenter):
    def stop_told(self, user_id: str, reason: str | None, stopped: Stopped) -> Body:
        return super().stop_told(user_id, reason, replace(stopped, agents=0, commands=0))

    def stop_answered(self, stopped: Stopped) -> Body:
        return super().stop_answered(replace(stopped, agents=0, commands=0))


DEFECT = Replacing(
    "emergency-false-counts",
    ("STP-1",),
    "The counts of an emergency stop are zero",
    lambda parts: replace(parts, command_presenter=_Modest()),
)
