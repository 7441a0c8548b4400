"""Who answered what: each message of the tester with the backend's answers to it, and how a refusal is judged."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from conformance.remembered import remembered
from conformance.rule import Finding
from conformance.timeline import VALID
from conformance.views import is_restarted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.timeline import Frame, Timeline

ANSWER_SECONDS = 2.0
"""After which an answer that did not come is missing (PING-1's bound, the longest of all answers)."""
FOREIGN_USER = "good, with another user's id"
"""The credential of a dashboard that names another user than its token does (WSA-4)."""
OWN_ANSWER = {"AGENT_HEARTBEAT": "SERVER_HEARTBEAT", "DASHBOARD_INIT": "DASHBOARD_READY", "PING": "PONG"}
_ASKED_BY = {answer: kind for kind, answer in OWN_ANSWER.items()}
_UNASKED = frozenset({"RATE_LIMIT", "AUTH_TIMEOUT", "UNAUTHORIZED", "TOKEN_EXPIRED"})
"""Codes of errors that answer no message."""
ENDINGS_OF_OTHER_CAUSE = frozenset({1001, 4002, 4008})
SWITCHED = 101


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the tester, and what came back for it."""

    connection: Connection
    sent: Frame
    answers: tuple[Frame, ...]
    ready: bool
    """Whether the connection had been accepted in its role before."""

    def unanswered(self, t: Timeline, within: float = ANSWER_SECONDS) -> bool:
        """Whether nothing came although the connection was watched for long enough."""
        return not self.answers and self.connection.until >= t.bound(self.sent.at, within)

    @property
    def errors(self) -> list[Frame]:
        """The refusals among the answers."""
        return [a for a in self.answers if a.kind == "ERROR"]


def current(connection: Connection) -> bool:
    """Whether a socket was opened and speaks the current version."""
    return connection.opened.status == SWITCHED and connection.opened.query.get("v", "1") == "1"


@remembered
def said(t: Timeline, *credentials: str) -> Iterator[Said]:
    """Every text message of the tester on sockets opened with these credentials (a good one, if none is named)."""
    for connection in t.connections:
        if current(connection) and connection.credential in (credentials or (VALID,)):
            yield from said_on(connection)


def said_as(t: Timeline, *types: str) -> list[Said]:
    """Those of these types among all that was said on sockets with a good token, in the same order."""
    runs = [run for kind in types if (run := t.remember(_by_type).get(kind))]
    return [s for _, s in sorted(chain.from_iterable(runs), key=itemgetter(0))]


def _by_type(t: Timeline) -> dict[str, list[tuple[int, Said]]]:
    found: dict[str, list[tuple[int, Said]]] = {}
    for place, s in enumerate(said(t)):
        found.setdefault(s.sent.type, []).append((place, s))
    return found


@remembered
def said_on(connection: Connection) -> Iterator[Said]:
    """Every text message of the tester on one socket, with its answers."""
    accepted = connection.accepted.seq if connection.accepted else float("inf")
    answers = _assigned(connection)
    for frame in connection.sent:
        if frame.binary is None and (connection.closed is None or frame.seq < connection.closed.seq):
            yield Said(connection, frame, tuple(answers.get(frame.seq, ())), frame.seq > accepted)


def _assigned(connection: Connection) -> dict[int, list[Frame]]:
    """The `seq` of each message with its answers: first those that name it, then the others in order."""
    names = {f.id: f.seq for f in connection.sent if f.id}
    found: dict[int, list[Frame]] = {}
    loose: list[Frame] = []
    for frame in connection.received:
        if frame.kind in {"ACK", "ERROR"}:
            seq = names.get(named(frame) or "")
            if seq is not None and seq < frame.seq:
                found.setdefault(seq, []).append(frame)
                continue
        if frame.kind in {"ACK", "ERROR", *_ASKED_BY}:
            loose.append(frame)
    _assign_loose(connection, loose, found)
    for frames in found.values():
        if len(frames) > 1:
            frames.sort(key=lambda f: f.seq)
    return found


def _assign_loose(connection: Connection, loose: list[Frame], found: dict[int, list[Frame]]) -> None:
    waiting = {f.seq: f for f in connection.sent if f.seq not in found and f.type != "PONG" and f.binary is None}
    pings: dict[tuple[Any, ...], deque[int]] = {}
    for frame in connection.sent:
        if frame.type == "PING":
            pings.setdefault(_echo(frame), deque()).append(frame.seq)
    for frame in loose:
        if frame.kind in _ASKED_BY:
            asked = _ASKED_BY[frame.kind]
            seq = _oldest(pings.get(_echo(frame)), waiting, frame.seq) if frame.kind == "PONG" else None
            if seq is None:
                seq = next((s for s, f in waiting.items() if f.type == asked and s < frame.seq), None)
            if seq is None:
                seq = max((f.seq for f in connection.sent if f.type == asked and f.seq < frame.seq), default=None)
        elif frame.kind == "ERROR" and frame.payload.get("code") in _UNASKED:
            continue
        else:
            seq = next((s for s, f in waiting.items() if s < frame.seq and f.id is None), None)
            if seq is None:
                seq = next((s for s in waiting if s < frame.seq), None)
        if seq is not None:
            waiting.pop(seq, None)
            found.setdefault(seq, []).append(frame)


def _oldest(seqs: deque[int] | None, waiting: dict[int, Frame], before: int) -> int | None:
    """The first of some messages that waits for its answer; else the last one, which then has one too many."""
    if not seqs or seqs[0] > before:
        return None
    while len(seqs) > 1 and seqs[0] not in waiting and seqs[1] < before:
        seqs.popleft()
    return seqs[0]


def _echo(frame: Frame) -> tuple[Any, ...]:
    """What tells PINGs apart; 1 and 1.0 are the same."""
    values = (frame.payload.get("timestamp"), frame.payload.get("sequence"))
    return tuple(v if isinstance(v, int | float) else repr(v) for v in values)


def named(answer: Frame) -> str | None:
    """The id of the message that an answer names."""
    payload = answer.payload
    value = payload.get("originalMessageId") if answer.kind == "ERROR" else payload.get("messageId")
    value = payload.get("messageId", payload.get("originalMessageId")) if value is None else value
    return value if isinstance(value, str) else None


def is_valid(s: Said, t: Timeline) -> bool:
    """Whether a message is one that its role may send, in shape."""
    return keeps_shape(t, s.connection, s.sent)


def keeps_shape(t: Timeline, connection: Connection, sent: Frame) -> bool:
    """The same of a frame that the tester sent; found out once, for nearly every rule asks."""
    known: dict[int, bool] = t.remembered.setdefault(keeps_shape, {})
    if (found := known.get(sent.seq)) is None:
        message = t.contract.message(f"from-{connection.role}", sent.type)
        accepts = t.contract.shapes.accepts
        found = known[sent.seq] = (
            message is not None
            and accepts("envelope-client.json", sent.value)
            and accepts(message.schema, sent.value["payload"])
        )
    return found


def refusal(s: Said, t: Timeline, what: str, *codes: str) -> Iterator[Finding]:
    """A message is refused by ERROR with one of these codes that names it, and the connection goes on."""
    expected = f"ERROR {' or '.join(codes)}"
    served = [a for a in s.answers if a.kind != "ERROR" and a.payload.get("success") is not False]
    if served:
        yield Finding(f"{what} was served instead of refused", served[0], "/type", expected, served[0].type, (s.sent,))
    elif s.errors:
        yield from _refused(s, t, what, expected, codes)
    elif s.answers:
        says = f"{what} was refused by ACK: clients wait for an ERROR"
        yield Finding(says, s.answers[0], "/type", expected, s.answers[0].type, (s.sent,))
    elif ended_over(s, t):
        closed = s.connection.closed
        got = closed.code if closed else None
        yield Finding(f"{what} ended the connection instead of being refused", closed, "", expected, got, (s.sent,))
    elif s.unanswered(t):
        yield Finding(f"{what} got no answer: its sender waits for ever", s.sent, "", expected, "nothing")


def _refused(s: Said, t: Timeline, what: str, expected: str, codes: tuple[str, ...]) -> Iterator[Finding]:
    error = s.errors[0]
    code = error.payload.get("code", "nothing")
    if code not in codes:
        yield Finding(f"{what} was refused for another reason", error, "/payload/code", expected, code, (s.sent,))
    if s.sent.id and error.payload.get("originalMessageId") != s.sent.id:
        says = "the ERROR does not name the message it refuses: clients cannot tell which of theirs failed"
        got = error.payload.get("originalMessageId", "nothing")
        yield Finding(says, error, "/payload/originalMessageId", "the id of the refused message", got, (s.sent,))
    closed = s.connection.closed
    if closed is not None and ended_over(s, t):
        says = f"{what} ended the connection, though it only had to be refused"
        yield Finding(says, closed, "", "an open connection after the ERROR", closed.code, (s.sent, error))


def ended_over(s: Said, t: Timeline) -> bool:
    """Whether the backend ended the connection right after a message, for no other known reason."""
    closed = s.connection.closed
    if closed is None or closed.by != "backend" or closed.code in ENDINGS_OF_OTHER_CAUSE:
        return False
    if is_restarted(t, s.sent.at, closed.at):
        return False
    return s.sent.seq < closed.seq and closed.at <= t.bound(s.sent.at, 1.0)
