"""The list holds every user's agents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl.defects._through import Knowing, Replacing
from reference_impl.store import Page

if TYPE_CHECKING:
    from reference_impl.store import AgentQuery


class _Everybodys(Knowing):
    async def page(self, query: AgentQuery) -> Page:
        whole = [
            replace(query, user_id=user, limit=2**31, offset=0) for user in {*self.parts.settings.users, query.user_id}
        ]
        agents = [agent for each in whole for agent in (await self.inner.page(each)).agents]
        agents.sort(key=lambda agent: (-agent.created_at, agent.agent_id))
        return Page(agents[query.offset : query.offset + query.limit], len(agents))


DEFECT = Replacing(
    "rest-list-all-users",
    ("ISO-2",),
    "The list holds every user's agents",
    lambda parts: replace(parts, agents=_Everybodys(parts.agents, parts)),
)
