"""A name that breaks the schema is stored; only then is it noticed, and answered 500."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from reference_impl.defects._through import Replacing
from reference_impl.rest.agents import Rename
from reference_impl.rest.caller import User, Version  # noqa: TC001
from reference_impl.rest.path import AgentId  # noqa: TC001
from reference_impl.web.answers import success

if TYPE_CHECKING:
    from reference_impl.parts import Core


def _routes(core: Core) -> APIRouter:
    router = APIRouter()

    @router.patch("/agents/{agentId}")
    async def rename_agent(agent_id: AgentId, body: dict[str, Any], user: User, version: Version) -> Response:
        agent = await core.desk.rename(user, agent_id, str(body.get("name")))
        Rename.model_validate(body)
        return success(core.parts.presenters[version].single(agent))

    return router


DEFECT = Replacing(
    "rest-fails-after-commit",
    ("VAL-1", "VAL-6"),
    "A wrong name answers 500, but the change was made",
    lambda parts: replace(parts, make_routers=(_routes, *parts.make_routers)),
)
