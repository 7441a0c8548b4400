"""Control: telling one agent what to do, and stopping everything (CTL-1, AGT-12, STP-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.domain.commands import Stopped
from reference_impl.domain.errors import agent_not_found, agent_offline
from reference_impl.domain.vocabulary import ControlAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.domain.events import Body
    from reference_impl.live.command_desk import CommandDesk
    from reference_impl.live.turns import Turns
    from reference_impl.parts import Parts


class ControlDesk:
    """The operations that tell agents what to do, each inside the user's turn."""

    def __init__(self, parts: Parts, commands: CommandDesk, turns: Turns) -> None:
        self._agents = parts.agents
        self._presence = parts.presence
        self._clock = parts.clock
        self._commands = commands
        self._turns = turns

    async def control(
        self, user_id: str, agent_id: str, action: ControlAction, reason: str | None, answer: Callable[[], None]
    ) -> None:
        """Tell one agent (CTL-1, AGT-12).

        Raises:
            Refusal: there is no such agent, or it is offline.
        """
        async with self._turns.of(user_id):
            agent = await self._agents.get(agent_id)
            if agent is None or agent.user_id != user_id:
                raise agent_not_found()
            link = self._presence.get(agent_id)
            if link is None:
                raise agent_offline()
            answer()
            link.send("AGENT_CONTROL", _order(agent_id, action, reason))

    async def emergency_stop(self, user_id: str, reason: str | None, answer: Callable[[Stopped], None]) -> Stopped:
        """Stop every connected agent of the user, then end every command (STP-1)."""
        async with self._turns.of(user_id):
            agents = await self._agents.all_of(user_id)
            links = [link for agent in agents if (link := self._presence.get(agent.agent_id))]
            for link in links:
                link.send("AGENT_CONTROL", _order(link.agent_id, ControlAction.STOP, reason))
            commands = await self._commands.stop(user_id)
            stopped = Stopped(len(links), commands, self._clock.now_ms())
            answer(stopped)
            self._commands.news.stopped(user_id, reason, stopped)
            return stopped


def _order(agent_id: str, action: ControlAction, reason: str | None) -> Body:
    return {"agentId": agent_id, "action": action, "reason": reason}
