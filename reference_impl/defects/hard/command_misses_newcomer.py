"""To which connection a command goes is looked up before the command is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import commanding
from reference_impl.defects._through import Knowing, Replacing
from reference_impl.defects.hard._before import AsItWas, a_query, seeing

if TYPE_CHECKING:
    from reference_impl.domain.commands import Wish
    from reference_impl.parts import Parts


class _LookingUp(Knowing):
    async def create(self, user_id: str, wish: Wish, *facts: Any) -> Any:
        with seeing(self.parts.presence, wish.targets):
            await a_query()
            return await self.inner.create(user_id, wish, *facts)


def _apply(parts: Parts) -> Parts:
    return commanding(_LookingUp)(replace(parts, presence=AsItWas(parts.presence)))


DEFECT = Replacing(
    "command-misses-newcomer",
    ("CMD-1", "CMD-5"),
    "A command asked for at the moment of a connect goes to where the agent was before",
    _apply,
    "two actors at once: an agent connects while a user asks it for a command",
)
