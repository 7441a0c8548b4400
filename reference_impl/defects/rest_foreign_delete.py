"""Any user deletes any agent."""

from __future__ import annotations

from reference_impl.defects._steps import working
from reference_impl.defects._through import Knowing, Replacing


class _Careless(Knowing):
    async def delete(self, user_id: str, agent_id: str) -> None:
        agent = await self.parts.agents.get(agent_id)
        await self.inner.delete(agent.user_id if agent else user_id, agent_id)


DEFECT = Replacing(
    "rest-foreign-delete",
    ("ISO-1",),
    "Any user deletes any agent",
    working(_Careless),
)
