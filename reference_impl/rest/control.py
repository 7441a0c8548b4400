"""Telling agents what to do over REST: stop and restart one (AGT-12), stop everything (STP-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.responses import Response

from reference_impl.domain.errors import agent_not_found
from reference_impl.domain.vocabulary import ControlAction, is_agent_id
from reference_impl.rest.caller import User
from reference_impl.rest.path import AgentId
from reference_impl.rest.reason import Reason, WithReason, reason_in
from reference_impl.web.answers import success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from reference_impl.domain.commands import Stopped
    from reference_impl.parts import Core
    from reference_impl.rest.reason import Given

_STOPPED: Final = schema("emergency-stop-result.json")
_TOLD: Final = {"type": "object"}


def control(core: Core) -> APIRouter:
    """Make the routes."""
    desk = core.control
    router = APIRouter(tags=["Control"])

    async def tell(user: str, agent_id: str, action: ControlAction, body: Given | None) -> Response:
        if not is_agent_id(agent_id):
            raise agent_not_found()
        await desk.control(user, agent_id, action, reason_in(body), _nothing)
        return success({"agentId": agent_id, "action": action}, 202)

    @router.post(
        "/agents/{agentId}/stop",
        dependencies=[WithReason],
        **operation("stopAgent", status=202, data=_TOLD, also=(404, 409), body=True),
    )
    async def stop_agent(agent_id: AgentId, user: User, body: Reason = None) -> Response:
        """Tell an agent to stop."""
        return await tell(user, agent_id, ControlAction.STOP, body)

    @router.post(
        "/agents/{agentId}/restart",
        dependencies=[WithReason],
        **operation("restartAgent", status=202, data=_TOLD, also=(404, 409), body=True),
    )
    async def restart_agent(agent_id: AgentId, user: User, body: Reason = None) -> Response:
        """Tell an agent to restart."""
        return await tell(user, agent_id, ControlAction.RESTART, body)

    @router.post(
        "/system/emergency-stop",
        dependencies=[WithReason],
        **operation("emergencyStop", data=_STOPPED, body=True),
    )
    async def emergency_stop(user: User, body: Reason = None) -> Response:
        """Stop all agents of the caller and cancel all commands."""
        stopped = await desk.emergency_stop(user, reason_in(body), _untold)
        return success(core.parts.command_presenter.stop_answered(stopped))

    return router


def _nothing() -> None:
    """REST answers when all is done."""


def _untold(_stopped: Stopped) -> None:
    """REST answers when all is done."""
