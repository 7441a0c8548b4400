"""Wrong steps: defects that change how messages are served and how events are published."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._through import Knowing
from reference_impl.domain.events import Event
from reference_impl.live.handlers import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.live.handlers import Handle
    from reference_impl.live.session import Session
    from reference_impl.parts import Parts

HELD_S: Final = 0.05


def serving(kind: str, wrap: Callable[[Handle], Handle]) -> Callable[[Parts], Parts]:
    """Wrap what is done with one type of message, whoever may send it."""

    def apply(parts: Parts) -> Parts:
        handlers = {
            role: {name: Handler(one.model, wrap(one.handle)) if name == kind else one for name, one in by_type.items()}
            for role, by_type in parts.handlers.items()
        }
        return replace(parts, handlers=handlers)

    return apply


def speaking(kind: str, wrap: Callable[[Any], Any]) -> Callable[[Parts], Parts]:
    """Wrap the client's connection while one type of message is served."""

    def wrapped(handle: Handle) -> Handle:
        async def serve(session: Session, said: Any, message_id: str | None) -> None:
            own = session.connection
            session.connection = wrap(own)
            try:
                await handle(session, said, message_id)
            finally:
                session.connection = own

        return serve

    return serving(kind, wrapped)


def publishing(wrap: Callable[[Any, Parts], Any]) -> Callable[[Parts], Parts]:
    """Wrap the hub; `wrap` gets the hub and the parts."""
    return lambda parts: replace(parts, hub=wrap(parts.hub, parts))


def overtaking(kind: str) -> Callable[[Parts], Parts]:
    """Hold up every second event of a type about the same thing, so that the next one overtakes it."""

    class Overtaking(Knowing):
        def __init__(self, *facts: Any) -> None:
            super().__init__(*facts)
            self.told: Counter[str] = Counter()

        def publish(self, event: Event) -> int:
            if event.type == kind:
                self.told[event.subject] += 1
                if self.told[event.subject] % 2:
                    self.parts.clock.call_later(HELD_S, lambda: self.inner.publish(event))
                    return int(self.inner.audience(event.user_id))
            return int(self.inner.publish(event))

    return publishing(Overtaking)


def working(wrap: Callable[[Any, Parts], Any]) -> Callable[[Parts], Parts]:
    """Wrap the desk, where agents are changed; `wrap` gets the desk and the parts."""

    def apply(parts: Parts) -> Parts:
        make = parts.make_desk
        return replace(parts, make_desk=lambda final, *rest: wrap(make(final, *rest), final))

    return apply


def commanding(wrap: Callable[[Any, Parts], Any]) -> Callable[[Parts], Parts]:
    """Wrap the desk where commands are changed; `wrap` gets the desk and the parts."""

    def apply(parts: Parts) -> Parts:
        make = parts.make_command_desk
        return replace(parts, make_command_desk=lambda final, *rest: wrap(make(final, *rest), final))

    return apply


def controlling(wrap: Callable[[Any, Parts], Any]) -> Callable[[Parts], Parts]:
    """Wrap the desk that tells agents what to do; `wrap` gets the desk and the parts."""

    def apply(parts: Parts) -> Parts:
        make = parts.make_control_desk
        return replace(parts, make_control_desk=lambda final, *rest: wrap(make(final, *rest), final))

    return apply


def again(event: Event, parts: Parts, user_id: str = "") -> Event:
    """The same event as a message of its own, maybe for another user."""
    return Event(user_id or event.user_id, event.type, event.topic, event.subject, event.body, parts.codec.encode)
