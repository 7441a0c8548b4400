"""Whoever takes the end of an agent's connection reads its row, does something else, and writes the row back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import working
from reference_impl.defects._through import Knowing, Replacing
from reference_impl.defects.hard._before import a_query

if TYPE_CHECKING:
    from reference_impl.hub import Link


class _WritingBack(Knowing):
    async def lose(self, user_id: str, link: Link, *facts: Any, **more: Any) -> None:
        agents, presence = self.parts.agents, self.parts.presence
        read = await agents.get(link.agent_id) if presence.get(link.agent_id) is link else None
        if read is not None:
            await a_query()
        await self.inner.lose(user_id, link, *facts, **more)
        async with self.parts.turns.of(user_id):
            now = await agents.get(link.agent_id)
            if now is not None and read is not None and presence.get(link.agent_id) is None:
                await agents.save(replace(now, name=read.name))


DEFECT = Replacing(
    "rename-lost-at-loss",
    ("AGT-10", "CNS-2"),
    "An agent renamed at the moment in which its connection ends has its old name again",
    working(_WritingBack),
    "two actors at once: a user renames the agent while its connection ends",
)
