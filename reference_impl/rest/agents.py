"""Agents over REST: list, get, rename, delete (AGT-1..11, AGT-13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from reference_impl.domain.vocabulary import AgentStatus, AgentType
from reference_impl.rest.caller import User, Version, json_body
from reference_impl.rest.path import AgentId
from reference_impl.rest.query import Limit, Offset, any_case, one_of
from reference_impl.store import AgentQuery
from reference_impl.web.answers import listing, success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from reference_impl.parts import Core

_AGENT: Final = schema("agent.json")
_NEXT: Final = {
    "read": "getAgent",
    "rename": "renameAgent",
    "delete": "deleteAgent",
    "stop": "stopAgent",
    "restart": "restartAgent",
    "output": "getTerminalOutput",
}

TypeFilter = Annotated[
    AgentType | None, BeforeValidator(lambda value: one_of(AgentType, value)), any_case(AgentType), Query()
]
StatusFilter = Annotated[
    AgentStatus | None, BeforeValidator(lambda value: one_of(AgentStatus, value)), any_case(AgentStatus), Query()
]


class Rename(BaseModel):
    """The body of PATCH /agents/{agentId}."""

    model_config = ConfigDict(strict=True)

    name: str = Field(min_length=1, max_length=100)


def agents(core: Core) -> APIRouter:
    """Make the routes."""
    desk, presenters = core.desk, core.parts.presenters
    router = APIRouter(prefix="/agents", tags=["Agents"])

    @router.get(
        "",
        **operation(
            "listAgents", page="agent-list.json", links=_NEXT, link_key="agentId", link_from="/data/0/agent_id"
        ),
    )
    async def list_agents(  # noqa: PLR0913, PLR0917 - one argument per query parameter
        user: User,
        version: Version,
        type: TypeFilter = None,  # noqa: A002 - the parameter's name
        status: StatusFilter = None,
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Response:
        """The caller's agents, newest first."""
        page = await desk.page(AgentQuery(user, type, status, limit, offset))
        shown = [presenters[version].listed(agent) for agent in page.agents]
        return listing(shown, total=page.total, limit=limit, offset=offset)

    @router.get("/{agentId}", **operation("getAgent", data=_AGENT, also=(404,)))
    async def get_agent(agent_id: AgentId, user: User, version: Version) -> Response:
        """One agent."""
        return success(presenters[version].single(await desk.get(user, agent_id)))

    @router.patch(
        "/{agentId}",
        dependencies=[Depends(json_body)],
        **operation("renameAgent", data=_AGENT, also=(404,), body=True),
    )
    async def rename_agent(agent_id: AgentId, body: Rename, user: User, version: Version) -> Response:
        """Give an agent another name."""
        return success(presenters[version].single(await desk.rename(user, agent_id, body.name)))

    @router.delete("/{agentId}", **operation("deleteAgent", status=204, also=(404, 409)))
    async def delete_agent(agent_id: AgentId, user: User) -> Response:
        """Remove an agent that has no connection."""
        await desk.delete(user, agent_id)
        return Response(status_code=204)

    return router
