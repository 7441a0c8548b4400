"""The close of a socket that was replaced fails what the agent, which is there, executes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.hub import Link
    from reference_impl.parts import Parts


def _apply(parts: Parts) -> Parts:
    make = parts.make_desk

    class Cleaning(Through):
        def __init__(self, inner: Any, final: Parts, commands: Any) -> None:
            super().__init__(inner)
            self.final, self.commands = final, commands

        async def lose(self, user_id: str, link: Link, *facts: Any, **more: Any) -> None:
            newer = self.final.presence.get(link.agent_id)
            await self.inner.lose(user_id, link, *facts, **more)
            async with self.final.turns.of(user_id):
                agent = await self.final.agents.get(link.agent_id)
                if agent is not None and newer not in {None, link}:
                    await self.commands.lost(agent)

    return replace(
        parts,
        make_desk=lambda final, *rest: Cleaning(make(final, *rest), final, rest[-1]),
    )


DEFECT = Replacing(
    "late-close-fails-commands",
    ("CMD-2", "CMD-3"),
    "The close of a replaced socket fails the commands that its agent executes",
    _apply,
    "a command that executes, and then a second connection of its agent",
)
