"""What a timeline reaches of the contract: what was asked, said and answered, and keywords with values put to them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.contract.keywords import ANY, asserted, is_put_to, placed
from conformance.dialogue import current, said_on
from conformance.machines import transitions
from conformance.remembered import remembered
from conformance.timeline import MISSING, VALID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.connection import Connection
    from conformance.contract import Contract, Message, Operation
    from conformance.contract.shapes import Shapes
    from conformance.dialogue import Said
    from conformance.timeline import Exchange, Frame, Timeline

TOO_MANY = 429
MOST = 20
"""Messages or answers of one kind that are looked at in one timeline, of what the backend gives: they are alike."""
MOST_ITEMS = 100
"""The same of the items of one list."""
MOST_SENT = 500
"""The same of messages that the tester sends; a generated case sends fewer, and each is another."""


@remembered
def reached(t: Timeline) -> Iterator[tuple[str, str]]:
    """Kind and name of everything that a timeline reaches, each once.

    Of keywords that the tester puts to a backend there are two kinds: `kept` and `broken`.
    """
    yield from dict.fromkeys(_Reader(t.contract).reached(t))


@lru_cache(maxsize=1024)
def keywords_at(shapes: Shapes, schema: str) -> Mapping[str, list[str]]:
    """Each place of a schema with the keywords that it asserts there."""
    found = defaultdict(list)
    for pointer, keyword in asserted(shapes, schema):
        found[pointer].append(keyword)
    return dict(found)


class Shape(NamedTuple):
    """Something that is said, and its schema."""

    owner: str
    """`from-agent.PING`, `createCommand`, `listAgents ?limit`, `getAgent 200`."""
    schema: str
    is_sent: bool
    """Whether the tester says it."""


class _Reader:
    """Reads timelines by a contract."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._looked_at: Counter[str] = Counter()
        self._found: set[tuple[str, str, type | None]] = set()
        """Owner, place and kind of value of what has been told: of another one there is nothing new to tell."""

    def reached(self, t: Timeline) -> Iterator[tuple[str, str]]:
        """Everything on a timeline, as often as it comes."""
        for e in t.exchanges:
            operation = self._contract.operations.get(e.operation or "")
            if operation is not None and e.status:
                yield "operations", operation.id
                yield "answers", f"{operation.id} {e.status}"
                yield from self._exchanged(e, operation)
        for connection in t.connections:
            yield from self._said(connection)
        yield from (("transitions", name) for name in transitions(t))

    def _exchanged(self, e: Exchange, operation: Operation) -> Iterator[tuple[str, str]]:
        if schema := operation.answers.get(e.status):
            yield from self._came(Shape(f"{operation.id} {e.status}", schema, is_sent=False), e.value)
        if e.status == TOO_MANY or (operation.secured and e.credential != VALID):
            return
        if operation.body and e.request is not MISSING:
            yield from self._put(Shape(operation.id, operation.body, is_sent=True), e.request)
        for name in operation.query.keys() & e.query.keys():
            shape = Shape(f"{operation.id} ?{name}", operation.query[name], is_sent=True)
            yield from self._put(shape, self._typed(shape, e.query[name]))

    def _said(self, connection: Connection) -> Iterator[tuple[str, str]]:
        frames: dict[tuple[bool, str], list[Frame]] = {}
        for frame in connection.frames:
            frames.setdefault((frame.is_sent, frame.type), []).append(frame)
        for (is_sent, kind), alike in frames.items():
            message = self._contract.message(f"{'from' if is_sent else 'to'}-{connection.role}", kind)
            if message is None:
                continue
            yield "messages", message.key
            for frame in alike[:MOST] if not is_sent and current(connection) else ():
                yield from self._came(Shape(message.key, message.schema, is_sent=False), _payload(frame.value))
        if not current(connection) or connection.credential != VALID:
            return
        for kind in [kind for is_sent, kind in frames if is_sent]:
            message = self._contract.message(f"from-{connection.role}", kind)
            if message is not None:
                yield from self._put_all(message, [s for s in said_on(connection) if s.sent.type == kind])

    def _put_all(self, message: Message, said: list[Said]) -> Iterator[tuple[str, str]]:
        """What a connection said in messages of one type, those that were heeded."""
        shape = Shape(message.key, message.schema, is_sent=True)
        for s in said:
            if s.answers or message.answer is None:
                self._looked_at[message.key] += 1
                if self._looked_at[message.key] > MOST_SENT:
                    return
                yield from self._put(shape, _payload(s.sent.value))

    def _put(self, shape: Shape, value: Any) -> Iterator[tuple[str, str]]:
        """A value that the tester put to the backend."""
        if value is MISSING:
            return
        shapes = self._contract.shapes
        if shapes.accepts(shape.schema, value):
            yield from self._held(shape, value)
            return
        for pointer, _ in placed(value):
            if self._is_new(shape.owner, pointer, None):
                yield "fields", f"{shape.owner} {pointer}"
        for pointer, keyword in shapes.broken(shape.schema, value):
            yield "broken", f"{shape.owner} {_any(pointer)} {keyword}"

    def _came(self, shape: Shape, value: Any) -> Iterator[tuple[str, str]]:
        """A value that the backend sent."""
        self._looked_at[shape.owner] += 1
        if value is not MISSING and self._looked_at[shape.owner] <= MOST:
            yield from self._held(shape, value)

    def _held(self, shape: Shape, value: Any) -> Iterator[tuple[str, str]]:
        """The places of a value that keeps its schema, and the keywords there that say anything of it."""
        at = keywords_at(self._contract.shapes, shape.schema)
        for pointer, inner in placed(value, most=None if shape.is_sent else MOST_ITEMS):
            if not self._is_new(shape.owner, pointer, type(inner)):
                continue
            place = f"{shape.owner} {pointer}"
            yield "fields", place
            for keyword in at.get(pointer, ()):
                if is_put_to(keyword, inner):
                    yield "kept", f"{place} {keyword}"

    def _is_new(self, *found: Any) -> bool:
        before = len(self._found)
        self._found.add(found)
        return len(self._found) > before

    def _typed(self, shape: Shape, text: str) -> Any:
        """A query value as its schema means it."""
        is_number = isinstance(self._contract.samples.right(shape.schema), int)
        return int(text) if is_number and re.fullmatch(r"-?\d{1,15}", text) else text


def _payload(value: Any) -> Any:
    return value["payload"] if isinstance(value, dict) and "payload" in value else MISSING


def _any(pointer: str) -> str:
    return re.sub(r"/\d+(?=/|$)", f"/{ANY}", pointer)
