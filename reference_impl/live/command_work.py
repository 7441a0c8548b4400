"""What follows from changed commands, in the user's turn: send what is due, commit, answer, tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from reference_impl.domain.commands import Change, Command, Part
from reference_impl.domain.errors import queue_full
from reference_impl.domain.vocabulary import CommandStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reference_impl.domain.agents import Agent
    from reference_impl.domain.events import Body
    from reference_impl.domain.queue import Queue
    from reference_impl.hub import Link
    from reference_impl.live.announcer import Announcer
    from reference_impl.live.command_news import CommandNews
    from reference_impl.live.deadlines import Deadlines
    from reference_impl.parts import Parts

_FEW: Final = 8


@dataclass(frozen=True, slots=True)
class Order:
    """A message to one agent, sent if it is connected."""

    agent_id: str
    type: str
    body: Body


def silent() -> None:
    """No answer: nobody asked."""


class CommandWork:
    """Turns changes into rows, messages and events. The caller holds the user's turn."""

    def __init__(self, parts: Parts, announcer: Announcer, news: CommandNews, deadlines: Deadlines) -> None:
        self._commands = parts.commands
        self._agents = parts.agents
        self._presence = parts.presence
        self._machine = parts.command_machine
        self._presenter = parts.command_presenter
        self._limits = parts.settings.limits
        self._announcer = announcer
        self._news = news
        self._deadlines = deadlines

    async def admit(self, change: Change, answer: Callable[[Command], None]) -> Command:
        """Take a new command into the queues of all its agents, or of none (CMD-1, CMD-5).

        Raises:
            Refusal: a queue is full.
            CommandTaken: another user has a command of this id.
        """
        command = change.after
        user_id, touched = command.user_id, [part.agent_id for part in command.parts]
        before = await self._commands.queues(user_id, touched)
        for agent_id, queue in before.items():
            if len(queue.queued) >= self._limits.commands_waiting:
                raise queue_full(agent_id, self._limits.commands_waiting)
        due = self._due({agent_id: queue.updated([command]) for agent_id, queue in before.items()})
        links = [link for link, command_id in due if command_id == command.command_id]
        for link in links:
            command = self._machine.deliver(command, link.agent_id, link.connection_id).after
        after = {agent_id: queue.updated([command]) for agent_id, queue in before.items()}
        agents = await self._to_tell(user_id, [change], before, after)
        command = await self._commands.add(command)
        answer(command)
        self._tell([Change(change.before, command)], agents, before, after, user_id)
        for link in links:
            link.send("COMMAND_REQUEST", self._presenter.request(command))
        return command

    async def settle(  # noqa: PLR0913 - what a step of the desk can need
        self,
        user_id: str,
        changes: Sequence[Change],
        *,
        answer: Callable[[], None] = silent,
        orders: Sequence[Order] = (),
        agent_id: str | None = None,
        deliver: bool = True,
    ) -> None:
        """Commit changes of commands, and send what is due to the agents concerned.

        Args:
            user_id: whose commands they are.
            changes: at most one for each command.
            answer: called when all is committed, before anybody is told.
            orders: sent to the agents after that.
            agent_id: an agent whose queue is looked at though none of its commands has changed.
            deliver: whether a slot that has become free is filled.
        """
        changes = [change for change in changes if change.before is not change.after]
        touched = dict.fromkeys(part.agent_id for change in changes for _, part in change.parts())
        if agent_id is not None:
            touched[agent_id] = None
        before = await self._commands.queues(user_id, list(touched)) if touched else {}
        after = {name: queue.updated(_after(changes)) for name, queue in before.items()}
        due = self._due(after) if deliver else []
        changes = await self._delivered(changes, due)
        agents = await self._to_tell(user_id, changes, before, after)
        await self._commands.save(changes)
        answer()
        self._tell(changes, agents, before, after, user_id)
        for order in orders:
            if link := self._presence.get(order.agent_id):
                link.send(order.type, order.body)
        now = {change.after.command_id: change.after for change in changes}
        for link, command_id in due:
            link.send("COMMAND_REQUEST", self._presenter.request(now[command_id]))

    def _due(self, queues: Mapping[str, Queue]) -> list[tuple[Link, str]]:
        """Which commands go to which connections now, in this order (CMD-4, CMD-5)."""
        links = [(link, queue) for agent_id, queue in queues.items() if (link := self._presence.get(agent_id))]
        slots = self._limits.commands_delivered
        return [(link, entry.command_id) for link, queue in links for entry in queue.due(link.connection_id, slots)]

    async def _delivered(self, changes: Sequence[Change], due: Sequence[tuple[Link, str]]) -> list[Change]:
        """The changes, and what is marked as sent beside them."""
        known = {change.after.command_id: change for change in changes}
        missing = [command_id for _, command_id in due if command_id not in known]
        known.update({one.command_id: Change(one, one) for one in await self._commands.some(missing)})
        for link, command_id in due:
            change = known[command_id]
            marked = self._machine.deliver(change.after, link.agent_id, link.connection_id).after
            known[command_id] = Change(change.before, marked)
        return list(known.values())

    async def _to_tell(
        self, user_id: str, changes: Sequence[Change], before: Mapping[str, Queue], after: Mapping[str, Queue]
    ) -> Sequence[Agent]:
        """The agents on which a command starts or ends, and those connected whose activityState changes (STA-8)."""
        moved = {part.agent_id for change in changes for was, part in change.parts() if _starts_or_ends(was, part)}
        changed = [name for name, queue in after.items() if queue.activity.state is not before[name].activity.state]
        present = {name for name in changed if self._presence.get(name) is not None}
        wanted = [name for name in after if name in moved or name in present]
        known = await self._known(user_id, wanted)
        return [replace(known[name], activity=after[name].activity) for name in wanted if name in known]

    async def _known(self, user_id: str, agent_ids: Sequence[str]) -> Mapping[str, Agent]:
        """These agents of the user: one by one if they are few, for then they are remembered, else all at once."""
        if len(agent_ids) > _FEW:
            return {agent.agent_id: agent for agent in await self._agents.all_of(user_id)}
        found = [await self._agents.get(agent_id) for agent_id in agent_ids]
        return {agent.agent_id: agent for agent in found if agent is not None and agent.user_id == user_id}

    def _tell(
        self,
        changes: Sequence[Change],
        agents: Sequence[Agent],
        before: Mapping[str, Queue],
        after: Mapping[str, Queue],
        user_id: str,
    ) -> None:
        for change in changes:
            self._news.moved(change)
            for _, part in change.parts():
                self._deadlines.watch(change.after, part)
        for agent in agents:
            self._announcer.status(agent)
        for agent_id, queue in after.items():
            if queue.shape != before[agent_id].shape:
                self._news.queue(user_id, queue)


def _after(changes: Sequence[Change]) -> list[Command]:
    return [change.after for change in changes]


def _starts_or_ends(before: Part, after: Part) -> bool:
    started = after.status is CommandStatus.EXECUTING
    return before.status is not after.status and (started or after.finished)
