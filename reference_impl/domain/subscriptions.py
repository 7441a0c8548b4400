"""What a dashboard wants to hear (SUB-1..5), as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from reference_impl.domain.events import Topic

if TYPE_CHECKING:
    from collections.abc import Iterable

Chosen = frozenset[str] | None
"""The ids that are wanted; None means all, also those that come later."""

ALL: Final = None


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """One dashboard's choice; the default is everything of the user (SUB-1)."""

    agents: Chosen = ALL
    commands: Chosen = ALL
    terminals: bool = True
    traces: bool = True

    def wants(self, topic: Topic, subject: str) -> bool:
        """Whether an event about this subject is to be sent (SUB-2)."""
        if topic is Topic.AGENT:
            return self.agents is ALL or subject in self.agents
        if topic is Topic.COMMAND:
            return self.commands is ALL or subject in self.commands
        if topic is Topic.TERMINAL:
            return self.terminals
        return self.traces if topic is Topic.TRACE else True

    def on(self, kind: Literal["agents", "commands"], subject: str | None) -> Subscriptions:
        """Add one id, or everything."""
        chosen: Chosen = getattr(self, kind)
        return self._with(kind, ALL if subject is None or chosen is ALL else chosen | {subject})

    def off(self, kind: Literal["agents", "commands"], subject: str | None, known: Iterable[str]) -> Subscriptions:
        """Take away one id, or everything; one id after "all" leaves the others known now (SUB-5)."""
        if subject is None:
            return self._with(kind, frozenset())
        chosen: Chosen = getattr(self, kind)
        return self._with(kind, (frozenset(known) if chosen is ALL else chosen) - {subject})

    def _with(self, kind: Literal["agents", "commands"], chosen: Chosen) -> Subscriptions:
        return replace(self, agents=chosen) if kind == "agents" else replace(self, commands=chosen)

    def on_the_wire(self) -> dict[str, Any]:
        """Say the choice as the ACK of DASHBOARD_SUBSCRIBE does (SUB-3)."""
        return {
            "agents": "all" if self.agents is ALL else sorted(self.agents),
            "commands": "all" if self.commands is ALL else sorted(self.commands),
            "terminals": self.terminals,
            "traces": self.traces,
        }
