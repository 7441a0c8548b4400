"""Whether an agent that is to be deleted is connected is asked first, and not again when it is deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._steps import working
from reference_impl.defects._through import Knowing, Replacing
from reference_impl.defects.hard._before import AsItWas, a_query, seeing

if TYPE_CHECKING:
    from reference_impl.parts import Parts


class _Asking(Knowing):
    async def delete(self, user_id: str, agent_id: str) -> None:
        with seeing(self.parts.presence, [agent_id]):
            await a_query()
            await self.inner.delete(user_id, agent_id)


def _apply(parts: Parts) -> Parts:
    return working(_Asking)(replace(parts, presence=AsItWas(parts.presence)))


DEFECT = Replacing(
    "delete-races-connect",
    ("AGT-11", "CON-2"),
    "An agent that connects while it is deleted is there and is not",
    _apply,
    "two actors at once: an agent that is away connects while a user deletes it",
)
