"""Any user's dashboard can command an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import commanding
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.domain.commands import Command, Wish


class _Trusting(Knowing):
    async def create(self, user_id: str, wish: Wish, answer: Callable[[Command], None]) -> Command:
        agent = await self.parts.agents.get(wish.targets[0]) if wish.targets else None
        command: Command = await self.inner.create(agent.user_id if agent else user_id, wish, answer)
        return command


DEFECT = Replacing(
    "cross-user-command", ("CMD-1", "ISO-1"), "Another user's dashboard commands the agent", commanding(_Trusting)
)
