"""Wrong bodies: defects that change what a presenter of version 1 makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Through

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_impl.domain.agents import Agent
    from reference_impl.domain.events import Body
    from reference_impl.parts import Parts

    Change = Callable[[Agent, Body], Body]


def presenting(wrap: Callable[[Any], Any]) -> Callable[[Parts], Parts]:
    """Wrap the presenter of version 1."""
    return lambda parts: replace(parts, presenters={**parts.presenters, 1: wrap(parts.presenters[1])})


def rest_items(change: Change) -> Callable[[Parts], Parts]:
    """Change the agent as REST shows it, in the list and alone."""
    return presenting(lambda inner: _RestItems(inner, change))


def status_events(change: Change) -> Callable[[Parts], Parts]:
    """Change the payload of AGENT_STATUS."""
    return presenting(lambda inner: _StatusEvents(inner, change))


def snapshot_items(show: Callable[[Any, Agent], Body]) -> Callable[[Parts], Parts]:
    """Make the items of `dashboard:connected` in another way; `show` gets the presenter and an agent."""
    return presenting(lambda inner: _Snapshots(inner, show))


def renamed(body: Body, old: str, new: str) -> Body:
    """The same with one key renamed."""
    return {(new if key == old else key): value for key, value in body.items()}


def without(body: Body, name: str) -> Body:
    """The same without one key."""
    return {key: value for key, value in body.items() if key != name}


class _Changing(Through):
    def __init__(self, inner: Any, change: Callable[..., Body]) -> None:
        super().__init__(inner)
        self.change = change


class _RestItems(_Changing):
    def listed(self, agent: Agent) -> Body:
        return self.change(agent, self.inner.listed(agent))

    def single(self, agent: Agent) -> Body:
        return self.change(agent, self.inner.single(agent))


class _StatusEvents(_Changing):
    def status(self, agent: Agent, timestamp: int) -> Body:
        return self.change(agent, self.inner.status(agent, timestamp))


class _Snapshots(_Changing):
    def snapshot(self, agents: Sequence[Agent], timestamp: int) -> Body:
        return {"agents": [self.change(self.inner, agent) for agent in agents], "timestamp": timestamp}
