"""Events: what happened to a user's things, told to that user's dashboards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any

Body = Mapping[str, Any]


class Topic(Enum):
    """What an event is about, as far as subscriptions can tell (SUB-2)."""

    AGENT = auto()
    COMMAND = auto()
    TERMINAL = auto()
    TRACE = auto()
    USER = auto()
    """What every dashboard of the user hears, such as an emergency stop."""


class Event:
    """One event, rendered and serialised at most once per version, however many receive it.

    Args:
        user_id: whose dashboards hear it (ISO-1).
        type: the message type on the wire.
        topic: what it is about.
        subject: the agent or command it is about.
        render: makes the payload for one API version; None means that version is not told.
        encode: makes the frame from type and payload.
    """

    __slots__ = ("_encode", "_frames", "_render", "subject", "topic", "type", "user_id")

    def __init__(  # noqa: PLR0913, PLR0917 - an event is these six facts
        self,
        user_id: str,
        type: str,  # noqa: A002 - the word of the envelope
        topic: Topic,
        subject: str,
        render: Callable[[int], Body | None],
        encode: Callable[[str, Body], str],
    ) -> None:
        self.user_id = user_id
        self.type = type
        self.topic = topic
        self.subject = subject
        self._render = render
        self._encode = encode
        self._frames: dict[int, str | None] = {}

    def body(self, version: int) -> Body | None:
        """The payload one version of the API sees."""
        return self._render(version)

    def frame(self, version: int) -> str | None:
        """The finished text frame, made on first use and shared by all receivers of that version."""
        if version not in self._frames:
            body = self._render(version)
            self._frames[version] = None if body is None else self._encode(self.type, body)
        return self._frames[version]
