"""That an agent has failed is remembered until its connection is lost, though a newer connection replaced that one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing, Through
from reference_impl.domain.vocabulary import AgentStatus

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent


class _Remembering(Through):
    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.failed: set[str] = set()

    def fail(self, agent: Agent, *facts: Any) -> Agent:
        after: Agent = self.inner.fail(agent, *facts)
        if after.status is AgentStatus.ERROR:
            self.failed.add(agent.agent_id)
        return after

    def beat(self, agent: Agent, *facts: Any) -> Agent:
        after: Agent = self.inner.beat(agent, *facts)
        return replace(after, status=AgentStatus.ERROR) if agent.agent_id in self.failed else after

    def lose(self, agent: Agent, *facts: Any) -> Agent:
        self.failed.discard(agent.agent_id)
        after: Agent = self.inner.lose(agent, *facts)
        return after


DEFECT = Replacing(
    "error-comes-back",
    ("AER-1",),
    "An agent that failed and has a new connection is in ERROR again at its next heartbeat",
    lambda parts: replace(parts, machine=_Remembering(parts.machine)),
    "a fatal error, a second connection that replaces the first, and then a heartbeat",
)
