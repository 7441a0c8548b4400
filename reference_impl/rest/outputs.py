"""Terminal output and traces over REST (TRM-3, TRM-7, TRC-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from reference_impl.domain.forest import Weaver, preorder
from reference_impl.domain.presenters.outputs import chunk_shown, trace_shown
from reference_impl.domain.vocabulary import StreamType, is_agent_id
from reference_impl.rest.caller import User
from reference_impl.rest.pages import page, written
from reference_impl.rest.path import AgentId, CommandId
from reference_impl.rest.query import CommandIdFilter, Moment, Offset, OutputLimit
from reference_impl.store.outputs import OutputQuery, grouped
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reference_impl.parts import Core

StreamFilter = Annotated[StreamType | None, Query(alias="streamType")]
Since = Annotated[Moment, Query()]


def outputs(core: Core) -> APIRouter:
    """Make the routes."""
    output, store = core.output, core.parts.outputs
    router = APIRouter(tags=["Output"])

    @router.get(
        "/agents/{agentId}/terminal-output",
        **operation("getTerminalOutput", page="terminal-output-list.json", also=(404,)),
    )
    async def terminal_output(  # noqa: PLR0913, PLR0917 - one argument per parameter
        agent_id: AgentId,
        user: User,
        command_id: CommandIdFilter = None,
        stream: StreamFilter = None,
        since: Since = None,
        limit: OutputLimit = 1000,
        offset: Offset = 0,
    ) -> Response:
        """An agent's terminal output, oldest first."""
        agent = await core.desk.get(user, agent_id if is_agent_id(agent_id) else "")
        query = OutputQuery(user, agent.agent_id, command_id, stream, since, limit, offset)
        found = await output.output_of_agent(query)
        return await page(found, store.chunks, chunk_shown, limit=limit, offset=offset)

    @router.get(
        "/commands/{commandId}/output",
        **operation("getCommandOutput", page="terminal-output-list.json", also=(404,)),
    )
    async def command_output(  # noqa: PLR0913, PLR0917
        command_id: CommandId,
        user: User,
        stream: StreamFilter = None,
        since: Since = None,
        limit: OutputLimit = 1000,
        offset: Offset = 0,
    ) -> Response:
        """A command's terminal output, oldest first."""
        query = OutputQuery(user, None, command_id, stream, since, limit, offset)
        found = await output.output_of_command(query)
        return await page(found, store.chunks, chunk_shown, limit=limit, offset=offset)

    tree = {"type": "array", "items": schema("trace-entry.json")}

    @router.get("/commands/{commandId}/traces", **operation("getCommandTraces", data=tree, also=(404,)))
    async def command_traces(command_id: CommandId, user: User) -> Response:
        """A command's traces as a tree; orphans stand at the root."""
        walk = list(preorder(await output.traces_of_command(user, command_id)))
        depths = {node.trace_id: depth for node, depth in walk}
        groups = list(grouped((node.position, node.size) for node, _ in walk))

        async def pieces() -> AsyncIterator[bytes]:
            weaver = Weaver()
            yield b'{"success":true,"data":'
            for group in groups:
                for entry in await store.traces(group):
                    yield weaver.add(depths[entry.trace_id], orjson.dumps(trace_shown(entry)))
            yield weaver.end() + b"}"

        return await written(pieces(), at_once=len(groups) <= 1)

    return router
