"""The emergency stop of one user halts all users."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import controlling
from reference_impl.defects._through import Knowing, Replacing, Through

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.domain.commands import Stopped
    from reference_impl.parts import Parts


class _Turns(Through):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.users: dict[str, None] = {}

    def of(self, user_id: str) -> Any:
        self.users[user_id] = None
        return self.inner.of(user_id)


class _Everybody(Knowing):
    async def emergency_stop(self, user_id: str, reason: str | None, answer: Callable[[Stopped], None]) -> Stopped:
        stopped: Stopped = await self.inner.emergency_stop(user_id, reason, answer)
        for other in [user for user in self.parts.turns.users if user != user_id]:  # type: ignore[attr-defined]
            await self.inner.emergency_stop(other, reason, lambda _stopped: None)
        return stopped


def _apply(parts: Parts) -> Parts:
    return controlling(_Everybody)(replace(parts, turns=_Turns(parts.turns)))


DEFECT = Replacing("emergency-stops-everyone", ("STP-1",), "One user's emergency stop halts all users", _apply)
