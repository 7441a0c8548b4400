"""A command for an agent that is OFFLINE is acknowledged and vanishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import commanding
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.domain.commands import Command, Wish


class _Dropping(Knowing):
    async def create(self, user_id: str, wish: Wish, answer: Callable[[Command], None]) -> Command:
        async with self.parts.turns.of(user_id):
            agent = await self.parts.agents.get(wish.targets[0]) if wish.targets else None
            away = agent is not None and agent.user_id == user_id and not self.parts.presence.get(agent.agent_id)
        if not away:
            dropped: Command = await self.inner.create(user_id, wish, answer)
        else:
            command_id = wish.command_id or self.parts.ids.unique()
            made = wish.command(user_id, command_id, wish.targets, self.parts.clock.now_ms())
            dropped = self.parts.command_machine.accept(made).after
            answer(dropped)
        return dropped


DEFECT = Replacing(
    "command-offline-dropped", ("CMD-5",), "A command for an OFFLINE agent vanishes", commanding(_Dropping)
)
