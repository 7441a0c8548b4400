"""The state of the system, counted for the caller (SYS-1)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.responses import Response

from reference_impl.domain.times import rfc3339
from reference_impl.domain.vocabulary import AgentStatus, CommandStatus
from reference_impl.rest.caller import User
from reference_impl.web.answers import success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.agents import Agent
    from reference_impl.parts import Core

VERSION: Final = "1.0"
_COUNTED: Final = (AgentStatus.ONLINE, AgentStatus.OFFLINE, AgentStatus.ERROR)


def system(core: Core) -> APIRouter:
    """Make the route."""
    parts = core.parts
    router = APIRouter(prefix="/system", tags=["System"])

    @router.get("/status", **operation("getSystemStatus", data=schema("system-status.json"), checked=False))
    async def status(user: User) -> Response:
        """How the system is, and how many agents and commands the caller has of each status."""
        agents: Counter[AgentStatus] = Counter()

        def count(all_of: Sequence[Agent]) -> None:
            agents.update(agent.status for agent in all_of)

        await core.desk.with_all(user, count)
        commands = await parts.commands.counts(user)
        return success(
            {
                "status": "healthy",
                "version": VERSION,
                "uptime": round(parts.clock.monotonic() - core.started, 3),
                "timestamp": rfc3339(parts.clock.now_ms()),
                "agents": {
                    "total": agents.total(),
                    **{state.lower(): agents[state] for state in _COUNTED},
                },
                "commands": {state.lower(): commands.get(state, 0) for state in CommandStatus},
            }
        )

    return router
