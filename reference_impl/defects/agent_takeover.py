"""A user connects with another user's agent id and gets that agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import working
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent, Announcement
    from reference_impl.hub import Link


class _Ownerless(Knowing):
    async def connect(self, user_id: str, link: Link, said: Announcement, *rest: Any) -> Agent:
        known = await self.parts.agents.get(said.agent_id)
        agent: Agent = await self.inner.connect(known.user_id if known else user_id, link, said, *rest)
        return agent


DEFECT = Replacing("agent-takeover", ("CON-5",), "Another user connects with a foreign agentId", working(_Ownerless))
