"""From what happened to an agent to the events about it, in the order they happened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reference_impl.domain.events import Body, Event, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_impl.clock import Clock, Timer
    from reference_impl.domain.agents import Agent, Failure
    from reference_impl.domain.pacing import Pacer
    from reference_impl.domain.presenters import Presenter
    from reference_impl.hub import Hub
    from reference_impl.live.codec import Codec
    from reference_impl.live.turns import Turns
    from reference_impl.logs import Log
    from reference_impl.store import AgentStore
    from reference_impl.telemetry import Telemetry


class Announcer:
    """Publishes the events of agents; one AGENT_STATUS per cause, coalesced only in a flood (STA-6)."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports it joins
        self,
        turns: Turns,
        agents: AgentStore,
        hub: Hub,
        presenters: Mapping[int, Presenter],
        codec: Codec,
        clock: Clock,
        log: Log,
        telemetry: Telemetry,
        make_pacer: Callable[[], Pacer],
        *,
        enriched: bool,
        lost: Callable[[Agent, str], None] = lambda _agent, _reason: None,
    ) -> None:
        self._turns = turns
        self._agents = agents
        self._hub = hub
        self._presenters = presenters
        self._codec = codec
        self._clock = clock
        self._log = log
        self._telemetry = telemetry
        self._make_pacer = make_pacer
        self._enriched = enriched
        self._lost = lost
        self._pacers: dict[str, Pacer] = {}
        self._held: dict[str, tuple[Agent, Timer]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    def connected(self, agent: Agent) -> None:
        """An agent has come (CON-2), then its status (STA-2)."""
        now = self._clock.now_ms()
        self._publish(agent, "AGENT_CONNECTED", lambda shown: shown.connected(agent, now))
        self.status(agent)

    def status(self, agent: Agent) -> None:
        """The agent changed: tell it now, whatever the pace (STA-6, STA-8)."""
        self._release(agent.agent_id)
        now = self._clock.now_ms()
        told = self._publish(agent, "AGENT_STATUS", lambda shown: shown.status(agent, now))
        self._log.info(
            "agent_status_broadcast",
            agentId=agent.agent_id,
            status=agent.status.value,
            enriched={"name": agent.name, "type": agent.type.value, "hasMetrics": agent.metrics is not None}
            if self._enriched
            else None,
            dashboardCount=told,
        )

    def beat(self, agent: Agent) -> None:
        """The agent sent a heartbeat: tell it now, or in a flood the newest one a moment later (STA-6)."""
        pacer = self._pacers.get(agent.agent_id)
        if pacer is None:
            pacer = self._pacers[agent.agent_id] = self._make_pacer()
        now = self._clock.monotonic()
        wait = pacer.due(now) - now
        if wait <= 0:
            pacer.sent(now)
            self.status(agent)
            return
        held = self._held.get(agent.agent_id)
        timer = held[1] if held else self._clock.call_later(wait, lambda: self._settle_soon(agent))
        self._held[agent.agent_id] = (agent, timer)

    def _settle_soon(self, agent: Agent) -> None:
        task = asyncio.create_task(self._settle_in_turn(agent))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle_in_turn(self, agent: Agent) -> None:
        """Tell what was held back, as it is now: another node may have changed the agent meanwhile."""
        async with self._turns.of(agent.user_id):
            now = await self._agents.get(agent.agent_id)
            if (held := self._held.get(agent.agent_id)) and now is not None:
                self._held[agent.agent_id] = (now, held[1])
                self.settle(agent.agent_id)

    def settle(self, agent_id: str) -> None:
        """Tell what was held back."""
        if held := self._release(agent_id):
            if pacer := self._pacers.get(agent_id):
                pacer.sent(self._clock.monotonic())
            self.status(held)

    def failed(self, agent: Agent, failure: Failure) -> None:
        """The agent reported an error (AER-1), then its status (STA-8)."""
        self.settle(agent.agent_id)
        now = self._clock.now_ms()
        self._publish(agent, "AGENT_ERROR", lambda shown: shown.failed(agent.agent_id, failure, now))
        self.status(agent)

    def disconnected(self, agent: Agent, reason: str) -> None:
        """The agent is gone (DIS-1, DIS-4); what a flood held back goes first, so that nothing is missing (DSH-4)."""
        self.settle(agent.agent_id)
        self._pacers.pop(agent.agent_id, None)
        self._lost(agent, reason)
        now = self._clock.now_ms()
        self._publish(agent, "AGENT_DISCONNECT", lambda shown: shown.disconnected(agent.agent_id, reason, now))

    def _release(self, agent_id: str) -> Agent | None:
        held = self._held.pop(agent_id, None)
        if held is None:
            return None
        held[1].cancel()
        return held[0]

    def _publish(self, agent: Agent, kind: str, show: Callable[[Presenter], Body | None]) -> int:
        event = Event(
            agent.user_id,
            kind,
            Topic.AGENT,
            agent.agent_id,
            lambda version: show(self._presenters[version]),
            self._codec.encode,
        )
        self._telemetry.event(kind)
        return self._hub.publish(event)
