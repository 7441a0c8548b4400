"""From what happened to commands to the events about it (CMD-2, CMD-4, STP-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference_impl.domain.events import Body, Event, Topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.clock import Timer
    from reference_impl.domain.commands import Change, Stopped
    from reference_impl.domain.queue import Queue
    from reference_impl.parts import Parts

_Agent = tuple[str, str]
"""Owner and id: an id that was deleted may come back as another user's."""


class CommandNews:
    """Publishes COMMAND_STATUS, QUEUE_UPDATE and EMERGENCY_STOP to the user's dashboards.

    A queue that changes often is told at a pace, in whole: `look_again` is asked for it then, since
    what it was at the last change may be old by the time the pace allows to tell it.
    """

    def __init__(self, parts: Parts, look_again: Callable[[str, str], None]) -> None:
        self._hub = parts.hub
        self._presenter = parts.command_presenter
        self._codec = parts.codec
        self._clock = parts.clock
        self._telemetry = parts.telemetry
        self._pace: Final = parts.settings.timings.queue_pace_s
        self._look_again = look_again
        self._resting: dict[_Agent, Timer] = {}
        """The queues told a moment ago, which rest for a while."""
        self._changed: set[_Agent] = set()
        """Those of them that have changed since."""

    def moved(self, change: Change) -> None:
        """A command has moved on with some of its agents: one COMMAND_STATUS for each (CMD-2)."""
        command = change.after
        for before, part in change.parts():
            if before.status is not part.status:
                body = self._presenter.status(command, part)
                self._publish(command.user_id, "COMMAND_STATUS", Topic.COMMAND, command.command_id, body)

    def queue(self, user_id: str, queue: Queue) -> None:
        """The queue of an agent has changed: tell it now, or soon if it was told a moment ago (CMD-4)."""
        agent = (user_id, queue.agent_id)
        if agent in self._resting:
            self._changed.add(agent)
            return
        self._resting[agent] = self._clock.call_later(self._pace, lambda: self._rested(agent))
        self._publish(user_id, "QUEUE_UPDATE", Topic.AGENT, queue.agent_id, self._presenter.queue(queue))

    def _rested(self, agent: _Agent) -> None:
        del self._resting[agent]
        if agent in self._changed:
            self._changed.discard(agent)
            self._look_again(*agent)

    def rest(self) -> None:
        """Tell nothing more: the server stops."""
        for timer in self._resting.values():
            timer.cancel()

    def stopped(self, user_id: str, reason: str | None, stopped: Stopped) -> None:
        """Everything of the user was stopped, whatever a dashboard subscribed to (STP-1)."""
        body = self._presenter.stop_told(user_id, reason, stopped)
        self._publish(user_id, "EMERGENCY_STOP", Topic.USER, user_id, body)

    def _publish(self, user_id: str, kind: str, topic: Topic, subject: str, body: Body) -> None:
        self._telemetry.event(kind)
        self._hub.publish(Event(user_id, kind, topic, subject, lambda _version: body, self._codec.encode))
