"""What can be done with what agents put out: keep it, announce it, read it, in the user's turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_impl.domain.errors import forbidden, not_found, wrong_state
from reference_impl.domain.events import Event, Topic
from reference_impl.domain.output import Chunk, Kept, Report, Trace
from reference_impl.domain.presenters.outputs import stream_of, trace_stream_of
from reference_impl.domain.vocabulary import ReportStatus, StreamType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.commands import Command
    from reference_impl.domain.events import Body
    from reference_impl.domain.forest import Node
    from reference_impl.domain.output_messages import InvestigationReport, TerminalOutput, TraceEvent
    from reference_impl.live.session import AgentLink
    from reference_impl.live.turns import Turns
    from reference_impl.parts import Parts
    from reference_impl.store.outputs import Found, OutputQuery, ReportQuery

Answer = Callable[[], None]


@dataclass(slots=True, eq=False)
class _Said:
    """A piece of terminal output on its way, and what is to be done when it is kept."""

    link: AgentLink
    said: TerminalOutput
    answer: Answer
    served: bool = False
    error: BaseException | None = None


class OutputDesk:
    """The operations on output. Each takes its user's turn; none awaits between commit and announcement.

    What several agents of a user say while one turn is waited for is served in that turn, and
    so committed in one transaction.
    """

    def __init__(self, parts: Parts, turns: Turns) -> None:
        self._commands = parts.commands
        self._outputs = parts.outputs
        self._presence = parts.presence
        self._hub = parts.hub
        self._encode = parts.codec.encode
        self._clock = parts.clock
        self._turns = turns
        self._waiting: dict[str, list[_Said]] = {}

    async def write(self, user_id: str, link: AgentLink, said: TerminalOutput, answer: Answer) -> None:
        """Keep a piece of terminal output and stream it (TRM-1..4, TRM-6); late output of a finished command too.

        Raises:
            Refusal: the command is unknown or another agent's, or the sequence goes back.
        """
        mine = _Said(link, said, answer)
        self._waiting.setdefault(user_id, []).append(mine)
        async with self._turns.of(user_id):
            if not mine.served:
                others = [one for one in self._waiting.pop(user_id, ()) if one is not mine]
                await self._serve(user_id, [mine, *others])
        if mine.error is not None:
            raise mine.error

    async def _serve(self, user_id: str, group: Sequence[_Said]) -> None:
        """Keep what waits; then answer and announce each piece. Of one agent there is never more than one."""
        kept = await asyncio.gather(*(self._keep(user_id, one) for one in group), return_exceptions=True)
        for one, result in zip(group, kept, strict=True):
            one.served = True
            if isinstance(result, BaseException):
                one.error = result
            elif result is not None:
                one.answer()
                self._stream(*result)

    async def _keep(self, user_id: str, one: _Said) -> tuple[Chunk, Kept] | None:
        """Commit it; None if its connection was replaced or lost meanwhile."""
        link, said = one.link, one.said
        if self._presence.get(link.agent_id) is not link:
            return None
        session = said.command_id == link.agent_id
        if not session:
            await self._known(user_id, link.agent_id, said.command_id)
        chunk = Chunk(
            user_id=user_id,
            agent_id=link.agent_id,
            command_id=None if session else said.command_id,
            source=link.connection_id if session else said.command_id,
            stream=StreamType(said.stream_type),
            content=said.content,
            ansi_codes=said.codes,
            sequence=said.sequence,
            received_at=self._clock.now_ms(),
        )
        kept = await self._outputs.append(chunk)
        if kept is Kept.BEHIND:
            raise wrong_state("The sequence does not rise")
        return chunk, kept

    def _stream(self, chunk: Chunk, kept: Kept) -> None:
        if kept is Kept.NEW:  # what was known before is answered and told nobody (TRM-4)
            subject = chunk.command_id or chunk.agent_id
            self._publish(chunk.user_id, "TERMINAL_STREAM", Topic.TERMINAL, subject, stream_of(chunk))

    async def trace(self, user_id: str, link: AgentLink, said: TraceEvent, answer: Answer) -> None:
        """Keep a trace entry, or its newer version, and stream it (TRC-1).

        Raises:
            Refusal: the command is unknown or another agent's, or the trace is.
        """
        async with self._turns.of(user_id):
            if self._presence.get(link.agent_id) is not link:
                return
            await self._known(user_id, link.agent_id, said.command_id)
            trace = Trace(user_id, link.agent_id, said.command_id, said.trace_id, said.parent_id, said.as_sent())
            if not await self._outputs.save_trace(trace):
                raise forbidden("The trace id belongs to another agent")
            answer()
            self._publish(user_id, "TRACE_STREAM", Topic.TRACE, said.command_id, trace_stream_of(trace))

    async def report(self, user_id: str, link: AgentLink, said: InvestigationReport, answer: Answer) -> None:
        """Keep a report, or its newer version (RPT-1).

        Raises:
            Refusal: the command is unknown or another agent's, or the report is.
        """
        async with self._turns.of(user_id):
            if self._presence.get(link.agent_id) is not link:
                return
            await self._known(user_id, link.agent_id, said.command_id)
            now = self._clock.now_ms()
            report = Report(
                report_id=said.report_id,
                user_id=user_id,
                agent_id=link.agent_id,
                command_id=said.command_id,
                title=said.title,
                summary=said.summary,
                status=ReportStatus(said.status),
                content=said.body(),
                created_at=now,
                updated_at=now,
            )
            known = await self._outputs.report(user_id, said.report_id)
            if not await self._outputs.save_report(report.after(known)):
                raise forbidden("The report id belongs to another agent")
            answer()

    async def output_of_agent(self, query: OutputQuery) -> Found:
        """Find a page of an agent's output (TRM-7); the caller has made sure that the agent is the user's."""
        async with self._turns.of(query.user_id):
            return await self._outputs.find_output(query)

    async def output_of_command(self, query: OutputQuery) -> Found:
        """Find a page of a command's output (TRM-3)."""
        async with self._turns.of(query.user_id):
            await self._own(query.user_id, query.command_id or "")
            return await self._outputs.find_output(query)

    async def traces_of_command(self, user_id: str, command_id: str) -> Sequence[Node]:
        """All trace entries of a command (TRC-1)."""
        async with self._turns.of(user_id):
            await self._own(user_id, command_id)
            return await self._outputs.find_traces(user_id, command_id)

    async def find_reports(self, query: ReportQuery) -> Found:
        """Find a page of reports (RPT-2)."""
        async with self._turns.of(query.user_id):
            return await self._outputs.find_reports(query)

    async def get_report(self, user_id: str, report_id: str) -> Report:
        """One report of the user; anybody else's does not exist (ISO-1)."""
        async with self._turns.of(user_id):
            report = await self._outputs.report(user_id, report_id)
        if report is None:
            raise not_found("report")
        return report

    async def _known(self, user_id: str, agent_id: str, command_id: str) -> None:
        """Make sure that the command is the agent's (CMD-4, TRM-6)."""
        if (await self._own(user_id, command_id)).part_of(agent_id) is None:
            raise wrong_state("The command is another agent's")

    async def _own(self, user_id: str, command_id: str) -> Command:
        """A command of the user; anybody else's does not exist (ISO-1)."""
        command = await self._commands.get(command_id)
        if command is None or command.user_id != user_id:
            raise not_found("command")
        return command

    def _publish(self, user_id: str, kind: str, topic: Topic, subject: str, body: Body) -> None:
        self._hub.publish(Event(user_id, kind, topic, subject, lambda _version: body, self._encode))
