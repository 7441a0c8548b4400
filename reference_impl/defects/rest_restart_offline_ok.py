"""Restarting an OFFLINE agent reports success, and nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import controlling
from reference_impl.defects._through import Knowing, Replacing
from reference_impl.domain.errors import Refusal
from reference_impl.domain.vocabulary import ControlAction

if TYPE_CHECKING:
    from collections.abc import Callable


class _Cheerful(Knowing):
    async def control(
        self, user_id: str, agent_id: str, action: ControlAction, reason: str | None, answer: Callable[[], None]
    ) -> None:
        try:
            await self.inner.control(user_id, agent_id, action, reason, answer)
        except Refusal as refusal:
            if refusal.code != "AGENT_OFFLINE" or action is not ControlAction.RESTART:
                raise
            answer()


DEFECT = Replacing(
    "rest-restart-offline-ok", ("AGT-12",), "Restarting an OFFLINE agent says success", controlling(_Cheerful)
)
