"""Between text frames and envelopes (WSE-1, WSX-1, WSX-9)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from reference_impl.domain.errors import Refusal, invalid_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_impl.clock import Clock
    from reference_impl.domain.events import Body
    from reference_impl.ids import Ids

_DEEPEST: Final = 64
_TIMESTAMPS: Final = 2**53
_NAMED: Final = re.compile(r'"[ \t\n\r]*:')
"""What follows the name of each member, and may stand in a text as well: where it does not, no name is twice."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A client message whose payload has not been looked at yet."""

    type: str
    payload: Mapping[str, Any]
    id: str | None = None


class Malformed(Refusal):
    """A frame that is no envelope; `message_id` is set when one could be read all the same."""

    def __init__(self, refusal: Refusal, message_id: str | None) -> None:
        super().__init__(refusal.code, refusal.sentence, details=refusal.details)
        self.message_id = message_id


class Codec(Protocol):
    """Reads client frames and writes server frames."""

    def decode(self, text: str) -> Envelope:
        """Read a frame.

        Raises:
            Malformed: it is no JSON, or no envelope.
        """

    def encode(self, type: str, payload: Body) -> str:  # noqa: A002 - the word of the envelope
        """Write a frame with an id and a timestamp of its own (WSE-1..3)."""

    def batch(self, frames: Sequence[str], timestamp: int) -> str:
        """Put finished frames into a BATCH of that time, in their order (STA-7)."""


class JsonCodec:
    """One JSON object per text frame."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    def encode(self, type: str, payload: Body) -> str:  # noqa: A002 - the word of the envelope
        """Write all four fields; the clock never goes back, so neither do timestamps (WSE-3)."""
        envelope = {"type": type, "id": self._ids.message(), "timestamp": self._clock.now_ms(), "payload": payload}
        return orjson.dumps(envelope).decode()

    def batch(self, frames: Sequence[str], timestamp: int) -> str:
        """Put finished frames into a BATCH without writing them anew."""
        head = f'{{"type":"BATCH","id":"{self._ids.message()}","timestamp":{timestamp}'
        return f'{head},"payload":{{"messages":[{",".join(frames)}]}}}}'

    def decode(self, text: str) -> Envelope:
        """Read a frame; `id` and `timestamp` may be missing (WSE-4)."""
        value = parse(text)
        if not isinstance(value, dict):
            raise Malformed(_wrong("", "a message is a JSON object"), None)
        message_id = value.get("id")
        if "id" in value and (not isinstance(message_id, str) or not message_id):
            raise Malformed(_wrong("/id", "must be a string that is not empty"), None)
        if not isinstance(value.get("type"), str) or not value["type"]:
            raise Malformed(_wrong("/type", "must be a string that is not empty"), message_id)
        if not isinstance(value.get("payload"), dict):
            raise Malformed(_wrong("/payload", "must be an object"), message_id)
        if "timestamp" in value and not _is_timestamp(value["timestamp"]):
            raise Malformed(_wrong("/timestamp", "must be milliseconds since 1970"), message_id)
        return Envelope(value["type"], value["payload"], message_id)


def parse(text: str) -> Any:
    """Read JSON as strictly as it was meant.

    orjson refuses NaN, infinities and half surrogate pairs; keys that come twice and very deep
    nesting are refused here, since readers disagree about the one and cannot write the other.

    Raises:
        Malformed: the text is no such JSON.
    """
    try:
        value = orjson.loads(text)
        if len(_NAMED.findall(text)) != _names(value):  # or one stands in a text: then it is read again, slowly
            json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        sentence = str(error) if isinstance(error, _TwiceError) else "The message is not valid JSON"
        raise Malformed(invalid_message(sentence), None) from None
    if text.count("{") + text.count("[") > _DEEPEST and not _shallow(value, _DEEPEST):
        raise Malformed(invalid_message(f"The message is nested deeper than {_DEEPEST} levels"), None)
    return value


def _names(value: Any) -> int:
    """How many members there are in all objects of a value."""
    if isinstance(value, dict):
        return len(value) + sum(_names(item) for item in value.values() if isinstance(item, dict | list))
    if isinstance(value, list):
        return sum(_names(item) for item in value if isinstance(item, dict | list))
    return 0


class _TwiceError(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _TwiceError("An object of the message has the same key twice")


def _shallow(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels > 0 and all(_shallow(item, levels - 1) for item in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_shallow(item, levels - 1) for item in value)
    return True


def _is_timestamp(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < _TIMESTAMPS and value == int(value)


def _wrong(pointer: str, message: str) -> Refusal:
    return invalid_message(
        f"The envelope is wrong at {pointer or '/'}: {message}", [{"pointer": pointer, "message": message}]
    )
