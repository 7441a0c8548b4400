"""Commands over REST: create, list, get, cancel (CMD-R1..5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field, StringConstraints, model_validator
from starlette.responses import Response

from reference_impl.domain.command_messages import Content, Limits, Priority
from reference_impl.domain.commands import Wish
from reference_impl.domain.errors import not_found
from reference_impl.domain.messages import Payload
from reference_impl.domain.vocabulary import AGENT_ID, CommandStatus, CommandType
from reference_impl.rest.caller import User, json_body
from reference_impl.rest.path import CommandId, is_uuid
from reference_impl.rest.query import AgentIdFilter, Limit, Offset
from reference_impl.rest.reason import Reason, WithReason, reason_in
from reference_impl.store.commands import CommandQuery
from reference_impl.web.answers import listing, success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from reference_impl.domain.commands import Command
    from reference_impl.parts import Core

_COMMAND: Final = schema("command.json")
_NEXT: Final = {
    "read": "getCommand",
    "cancel": "cancelCommand",
    "output": "getCommandOutput",
    "traces": "getCommandTraces",
}
AgentId = Annotated[str, StringConstraints(pattern=AGENT_ID)]
StatusFilter = Annotated[CommandStatus | None, Query()]


_SOMEWHERE: Final[list[Any]] = [
    {"required": ["targetAgents"], "properties": {"targetAgents": {"minItems": 1}}},
    {"required": ["broadcast"], "properties": {"broadcast": {"const": True}}},
]
"""What `_goes_somewhere` judges, in the words of JSON Schema."""


class CommandCreate(Payload):
    """The body of POST /commands (CMD-R4)."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _SOMEWHERE})

    content: Content
    type: Annotated[CommandType, Field(strict=False)]
    target_agents: list[AgentId] = Field(default_factory=list)
    broadcast: bool = False
    priority: Priority = 50
    execution_constraints: Limits = Limits()

    @model_validator(mode="after")
    def _goes_somewhere(self) -> CommandCreate:
        if not self.broadcast and not self.target_agents:
            raise ValueError("targetAgents must name an agent, or broadcast must be true")
        return self

    def wish(self) -> Wish:
        """Say it in the words of the domain."""
        limited = "execution_constraints" in self.model_fields_set
        return Wish(
            content=self.content,
            type=self.type,
            targets=() if self.broadcast else tuple(self.target_agents),
            broadcast=self.broadcast,
            priority=self.priority,
            constraints=self.execution_constraints.constraints() if limited else None,
        )


def commands(core: Core) -> APIRouter:
    """Make the routes."""
    desk, presenter = core.commands, core.parts.command_presenter
    router = APIRouter(prefix="/commands", tags=["Commands"])

    @router.post(
        "",
        dependencies=[Depends(json_body)],
        **operation(
            "createCommand",
            status=201,
            data=_COMMAND,
            also=(404, 409),
            body=True,
            links=_NEXT,
            link_key="commandId",
        ),
    )
    async def create_command(body: CommandCreate, user: User) -> Response:
        """Give a command to named agents, or to all."""
        return success(presenter.shown(await desk.create(user, body.wish(), _unanswered)), 201)

    @router.get("", **operation("listCommands", page="command-list.json"))
    async def list_commands(
        user: User,
        status: StatusFilter = None,
        agent_id: AgentIdFilter = None,
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Response:
        """The caller's commands, newest first."""
        page = await desk.page(CommandQuery(user, status, agent_id, limit, offset))
        shown = [presenter.shown(command) for command in page.commands]
        return listing(shown, total=page.total, limit=limit, offset=offset)

    @router.get("/{commandId}", **operation("getCommand", data=_COMMAND, also=(404,)))
    async def get_command(command_id: CommandId, user: User) -> Response:
        """One command."""
        return success(presenter.shown(await desk.get(user, _id(command_id))))

    @router.post(
        "/{commandId}/cancel",
        dependencies=[WithReason],
        **operation("cancelCommand", data=_COMMAND, also=(404, 409), body=True),
    )
    async def cancel_command(command_id: CommandId, user: User, body: Reason = None) -> Response:
        """Cancel a command that is not over."""
        return success(presenter.shown(await desk.cancel(user, _id(command_id), reason_in(body), _unanswered)))

    return router


def _id(command_id: str) -> str:
    """A text that cannot be a command's id names no command (CMD-R5)."""
    if not is_uuid(command_id):
        raise not_found("command")
    return command_id


def _unanswered(_command: Command) -> None:
    """REST answers when all is done."""
