"""What can be done with commands, over sockets and REST alike, each inside the user's turn.

An `answer` is called when everything is committed and nobody has been told yet (ACK-1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference_impl.domain.command_machine import TOO_LONG
from reference_impl.domain.commands import Change
from reference_impl.domain.errors import agent_not_found, no_agents, not_found, wrong_state
from reference_impl.domain.vocabulary import CommandStatus
from reference_impl.live.command_news import CommandNews
from reference_impl.live.command_work import CommandWork, Order
from reference_impl.live.deadlines import Deadlines
from reference_impl.store.commands import CommandTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from reference_impl.domain.agents import Activity, Agent
    from reference_impl.domain.command_machine import Ending
    from reference_impl.domain.commands import Command, Part, Wish
    from reference_impl.hub import Link
    from reference_impl.live.announcer import Announcer
    from reference_impl.live.turns import Turns
    from reference_impl.parts import Parts
    from reference_impl.store.commands import CommandPage, CommandQuery

AT_ONCE: Final = 100
"""How many commands are ended in one transaction, so that memory stays bounded."""


class CommandDesk:
    """The operations on commands; `background` does something beside the caller."""

    def __init__(
        self,
        parts: Parts,
        announcer: Announcer,
        turns: Turns,
        background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._commands = parts.commands
        self._agents = parts.agents
        self._presence = parts.presence
        self._machine = parts.command_machine
        self._presenter = parts.command_presenter
        self._clock = parts.clock
        self._ids = parts.ids
        self._turns = turns
        self._grace_ms = round(parts.settings.timings.cancel_grace_s * 1000)
        self.news = CommandNews(parts, lambda *agent: background(self._tell_queue(*agent)))
        self._deadlines = Deadlines(
            parts.clock,
            parts.command_machine,
            self._grace_ms,
            lambda command, agent_id: background(self.expire(command.user_id, command.command_id, agent_id)),
        )
        self._work = CommandWork(parts, announcer, self.news, self._deadlines)

    async def create(self, user_id: str, wish: Wish, answer: Callable[[Command], None]) -> Command:
        """Accept a command, or find that it was accepted before (CMD-1, CMD-6, CMD-R4)."""
        async with self._turns.of(user_id):
            known = await self._commands.get(wish.command_id) if wish.command_id else None
            if known is not None:
                if known.user_id != user_id or not wish.asks_for(known):
                    raise wrong_state("There is another command with this id")
                answer(known)
                return known
            targets = await self._targets(user_id, wish)
            command = wish.command(user_id, wish.command_id or self._ids.unique(), targets, self._clock.now_ms())
            try:
                return await self._work.admit(self._machine.accept(command), answer)
            except CommandTaken:
                raise wrong_state("There is another command with this id") from None

    async def _targets(self, user_id: str, wish: Wish) -> Sequence[str]:
        """The agents it is for; a broadcast is for all of the user, connected or not (CMD-R1)."""
        if wish.broadcast:
            agents = [agent.agent_id for agent in await self._agents.all_of(user_id)]
            if not agents:
                raise no_agents()
            return agents
        for agent_id in wish.targets:
            agent = await self._agents.get(agent_id)
            if agent is None or agent.user_id != user_id:
                raise agent_not_found()
        return wish.targets

    async def acknowledge(
        self, user_id: str, link: Link, command_id: str, *, started: bool, answer: Callable[[], None]
    ) -> None:
        """Take COMMAND_ACK (CMD-2, CMD-3)."""
        async with self._turns.of(user_id):
            if self._presence.get(link.agent_id) is link:
                command = await self._own(user_id, command_id)
                now = self._clock.now_ms()
                change = self._machine.acknowledge(command, link.agent_id, started=started, now=now)
                await self._work.settle(user_id, [change] if change else [], answer=answer)

    async def complete(
        self, user_id: str, link: Link, command_id: str, ending: Ending, answer: Callable[[], None]
    ) -> None:
        """Take COMMAND_COMPLETE; the next in the queue follows (CMD-2..4)."""
        async with self._turns.of(user_id):
            if self._presence.get(link.agent_id) is link:
                command = await self._own(user_id, command_id)
                change = self._machine.complete(command, link.agent_id, ending, self._clock.now_ms())
                await self._work.settle(user_id, [change], answer=answer)

    async def cancel(
        self, user_id: str, command_id: str, reason: str | None, answer: Callable[[Command], None]
    ) -> Command:
        """Cancel a command: at once where it has not started, else by its agent or after a grace (CMD-7)."""
        async with self._turns.of(user_id):
            command = await self._own(user_id, command_id)
            change = self._machine.cancel(command, self._clock.now_ms())
            body = self._presenter.cancel(command, reason)
            orders = [Order(part.agent_id, "COMMAND_CANCEL", body) for part in command.parts if self._has(part)]
            await self._work.settle(user_id, [change], answer=lambda: answer(change.after), orders=orders)
            return change.after

    def _has(self, part: Part) -> bool:
        """Whether the agent knows of it: it executes, or it was delivered on the connection there is."""
        if part.status is CommandStatus.EXECUTING:
            return True
        link = self._presence.get(part.agent_id)
        return not part.finished and link is not None and part.delivered_to == link.connection_id

    async def expire(self, user_id: str, command_id: str, agent_id: str) -> None:
        """A time limit or the grace of a cancel may have run out: look again (CMD-7, CMD-9)."""
        async with self._turns.of(user_id):
            command = await self._commands.get(command_id)
            if command is None or (part := command.part_of(agent_id)) is None:
                return
            change = self._machine.expire(command, agent_id, self._clock.now_ms(), self._grace_ms)
            if change is None:
                self._deadlines.watch(command, part)
                return
            late = part.cancelled_at is None
            order = Order(agent_id, "COMMAND_CANCEL", self._presenter.cancel(command, TOO_LONG))
            await self._work.settle(user_id, [change], orders=[order] if late else [])

    async def page(self, query: CommandQuery) -> CommandPage:
        """List commands (CMD-R5)."""
        async with self._turns.of(query.user_id):
            return await self._commands.page(query)

    async def get(self, user_id: str, command_id: str) -> Command:
        """One command of the user; anybody else's does not exist (ISO-1)."""
        async with self._turns.of(user_id):
            return await self._own(user_id, command_id)

    async def _own(self, user_id: str, command_id: str) -> Command:
        command = await self._commands.get(command_id)
        if command is None or command.user_id != user_id:
            raise not_found("command")
        return command

    # What follows for commands from what happens to agents; the caller holds the turn.

    def begins(self, agent: Agent) -> None:
        """An agent is made that nobody knew: nothing waits for it."""
        self._commands.begins(agent.user_id, agent.agent_id)

    async def activity(self, agent: Agent) -> Activity:
        """What an agent is doing (CMD-10)."""
        return await self._commands.activity(agent.user_id, agent.agent_id)

    async def arrived(self, agent: Agent) -> None:
        """An agent has a new connection: send what it has not finished starting, and what fits (CMD-5)."""
        await self._work.settle(agent.user_id, [], agent_id=agent.agent_id)

    async def lost(self, agent: Agent) -> None:
        """An agent is gone: what it was executing has failed (CMD-8)."""
        executing = await self._commands.unfinished(agent.user_id, AT_ONCE, agent.agent_id, CommandStatus.EXECUTING)
        now = self._clock.now_ms()
        await self._work.settle(agent.user_id, [self._machine.lose(one, agent.agent_id, now) for one in executing])

    async def deleted(self, agent: Agent) -> None:
        """An agent is being deleted: what it has not finished is cancelled (AGT-11)."""
        await self.stop(agent.user_id, agent.agent_id)

    async def stop(self, user_id: str, agent_id: str | None = None) -> int:
        """Cancel all that is not over, of the user or of one agent; says how many commands that ended (STP-1)."""
        count = 0
        while unfinished := await self._commands.unfinished(user_id, AT_ONCE, agent_id):
            now = self._clock.now_ms()
            changes = [self._machine.stop(command, now, agent_id) for command in unfinished]
            await self._work.settle(user_id, changes, deliver=False)
            count += sum(change.after.status is CommandStatus.CANCELLED for change in changes)
        return count

    async def recover(self) -> None:
        """After a start: what executed on an agent that is gone has failed; the rest is watched (CMD-8)."""
        latest: Command | None = None
        while executing := await self._commands.executing(AT_ONCE, latest):
            for latest in executing:
                await self._found(latest.user_id, latest.command_id)

    async def _found(self, user_id: str, command_id: str) -> None:
        """Look at a command that was executing when the server, or a node, stopped."""
        async with self._turns.of(user_id):
            before = await self._own(user_id, command_id)
            after, now = before, self._clock.now_ms()
            for part in before.parts:
                if self._presence.get(part.agent_id) is None:
                    after = self._machine.lose(after, part.agent_id, now).after
                else:
                    self._deadlines.watch(before, part)
            await self._work.settle(user_id, [Change(before, after)])

    def rest(self) -> None:
        """Look at nothing again: the server stops."""
        self.news.rest()
        self._deadlines.rest()

    async def _tell_queue(self, user_id: str, agent_id: str) -> None:
        async with self._turns.of(user_id):
            queues = await self._commands.queues(user_id, [agent_id])
            self.news.queue(user_id, queues[agent_id])
