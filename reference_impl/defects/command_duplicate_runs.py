"""The same commandId twice runs twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import commanding
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.domain.commands import Command, Wish


class _Eager(Knowing):
    async def create(self, user_id: str, wish: Wish, answer: Callable[[Command], None]) -> Command:
        known = await self.parts.commands.get(wish.command_id) if wish.command_id else None
        command: Command = await self.inner.create(user_id, wish, answer)
        async with self.parts.turns.of(user_id):
            for part in command.parts if known else ():
                if link := self.parts.presence.get(part.agent_id):
                    link.send("COMMAND_REQUEST", self.parts.command_presenter.request(command))
        return command


DEFECT = Replacing("command-duplicate-runs", ("CMD-6",), "The same commandId twice runs twice", commanding(_Eager))
