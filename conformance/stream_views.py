"""Terminal output and traces on a timeline: each piece an agent sent, who had to be told of it, and what came of it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from conformance import reading
from conformance.dialogue import Said, current, is_valid, said_on
from conformance.interest import SUBSCRIBE, UNSUBSCRIBE
from conformance.timeline import VALID
from conformance.views import connections_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.connection import Connection
    from conformance.timeline import Frame, Timeline

WITHIN: Final = 1.0
"""Seconds in which a dashboard must have been told (x-conformance, agent.terminal-output and agent.trace-event)."""
UNHURRIED: Final = 60
"""Messages an agent may send in a second without any rate limit (100) being near."""
STREAMS: Final = {"TERMINAL_OUTPUT": "TERMINAL_STREAM", "TRACE_EVENT": "TRACE_STREAM"}
SWITCHES: Final = {"TERMINAL_STREAM": ("terminal", "terminals"), "TRACE_STREAM": ("trace", "traces")}
CREATED = 201

Key = tuple[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A TERMINAL_OUTPUT or TRACE_EVENT that an agent sent in its own name, in shape."""

    said: Said
    agent_id: str
    command: str
    """The command's id, or the agent's own for output outside any command."""
    nature: str
    """new, repeat (a sequence the command had before), or open: the contract does not say what becomes of it."""

    @property
    def sent(self) -> Frame:
        """The message."""
        return self.said.sent

    @property
    def payload(self) -> dict[str, Any]:
        """What it says."""
        return self.said.sent.payload

    @property
    def kind(self) -> str:
        """The message that must carry it to dashboards."""
        return STREAMS[self.sent.type]

    @property
    def is_session(self) -> bool:
        """Whether it is output outside any command."""
        return self.command == self.agent_id

    @property
    def key(self) -> Key:
        """What tells it from others: agent, command, sequence or trace id."""
        part = self.payload.get("traceId", self.payload.get("sequence"))
        return self.agent_id, self.command, reading.same_id(part)

    @property
    def is_refused(self) -> bool:
        """Whether the backend said no to it."""
        return any(a.kind == "ERROR" or a.payload.get("success") is False for a in self.said.answers)

    @property
    def ack(self) -> Frame | None:
        """The backend's yes."""
        return None if self.is_refused else next((a for a in self.said.answers if a.kind == "ACK"), None)


def pieces(t: Timeline) -> list[Piece]:
    """Every piece, in the order of sending."""
    return t.remember(_pieces)


def outputs(t: Timeline) -> list[Piece]:
    """Every piece of terminal output."""
    return [p for p in pieces(t) if p.kind == "TERMINAL_STREAM"]


def trace_events(t: Timeline) -> list[Piece]:
    """Every trace event."""
    return [p for p in pieces(t) if p.kind == "TRACE_STREAM"]


def _pieces(t: Timeline) -> list[Piece]:
    found = [p for agent in t.agents if current(agent) for p in _of_agent(agent, t)]
    found.sort(key=lambda p: p.sent.seq)
    return list(_judged(found))


def _of_agent(agent: Connection, t: Timeline) -> Iterator[Piece]:
    names = own_names(agent)
    times = [f.at for f in agent.sent]
    since = agent.init.seq if agent.init else 0
    others = (a for a in connections_of(t, agent.agent_id) if a is not agent)
    successors = [a.init.seq for a in others if a.init and a.init.seq > since]
    for s in said_on(agent):
        if s.sent.type not in STREAMS or not s.ready or not is_valid(s, t) or s.sent.payload["agentId"] not in names:
            continue
        at = s.sent.at
        pace = bisect_right(times, at + 1.0) - bisect_right(times, at - 1.0)
        command = reading.same_id(s.sent.payload["commandId"])
        agent_id = agent.agent_id or ""
        if not s.answers and any(seq < s.sent.seq for seq in successors):
            nature = "open"  # it may have been replaced before that came (CON-4)
        else:
            nature = "new" if pace <= 2 * UNHURRIED or any(a.kind == "ACK" for a in s.answers) else "open"
        yield Piece(s, agent_id, agent_id if command in names else command, nature)


def own_names(agent: Connection) -> set[Any]:
    """The ids under which the agent of a connection goes there: the ACK's and the announced one (CON-1)."""
    return {f.payload.get("agentId") for f in (agent.init, agent.accepted) if f and f.payload.get("agentId")}


def _judged(found: list[Piece]) -> Iterator[Piece]:
    """The pieces with what the contract says of each: sequences count per agent and command, or connection."""
    had: dict[tuple[str, str], dict[Any, bool]] = {}
    for p in found:
        if p.kind != "TERMINAL_STREAM":
            yield p
            continue
        seen = had.setdefault((p.agent_id, p.said.connection.id if p.is_session else p.command), {})
        number = p.payload["sequence"]
        if number in seen:
            yield replace(p, nature="repeat" if seen[number] else "open")
        elif seen and number < max(seen):
            yield replace(p, nature="open")
        else:
            yield p
        seen[number] = seen.get(number, False) or p.ack is not None


@dataclass(frozen=True, slots=True)
class Switch:
    """A stretch of time in which a dashboard's wish for terminal output, or for traces, stays the same."""

    dashboard: Connection
    kind: str
    on: bool
    cause: Frame
    """The message that brought it about."""
    since: Frame
    """The backend's answer, from which it holds."""
    before: int = 1 << 60
    """The `seq` of the next message that changes it."""
    until: float = float("inf")
    """When that was sent."""

    def holds_for(self, cause: Frame) -> bool:
        """Whether it holds when something is sent."""
        return self.since.seq < cause.seq < self.before

    def watched(self, cause: Frame, t: Timeline, within: float = WITHIN) -> bool:
        """Whether the dashboard looked on for long enough to say that nothing came."""
        quiet = any(n.kind == "quiet" and cause.seq < n.seq < self.before for n in t.notes)
        end = min(self.until, self.dashboard.until)
        stays = self.dashboard.closed is None and self.dashboard.stalled is None
        return end >= t.bound(cause.at, within) or (quiet and stays)


def switches(t: Timeline) -> list[Switch]:
    """Every stretch of every dashboard, of both kinds."""
    return t.remember(_switches)


def _switches(t: Timeline) -> list[Switch]:
    return [s for d in t.dashboards if current(d) for kind in SWITCHES for s in _stretches(d, kind)]


def _stretches(dashboard: Connection, kind: str) -> Iterator[Switch]:
    now: Switch | None = None
    for s in said_on(dashboard):
        wish = _wish(s, kind)
        if wish is None or (now is not None and _is_refused(s)):
            continue
        if now is not None:
            yield replace(now, before=s.sent.seq, until=s.sent.at)
        since = _holds_from(s)
        if since is None or wish not in {True, False}:
            return
        now = Switch(dashboard, kind, bool(wish), s.sent, since)
    if now is not None:
        yield replace(now, until=dashboard.until)


def _wish(s: Said, kind: str) -> object:
    """What a message asks for: True, False, another value where it is unclear; None where it asks for nothing."""
    singular, plural = SWITCHES[kind]
    if s.sent.type == "DASHBOARD_INIT":
        asked = s.sent.payload.get("subscriptions", {})
        return asked.get(plural, True) if isinstance(asked, dict) else "unclear"
    if s.sent.payload.get("type") == singular and s.sent.type in {SUBSCRIBE, UNSUBSCRIBE}:
        return s.sent.type == SUBSCRIBE
    return None


def _is_refused(s: Said) -> bool:
    return bool(s.answers) and (bool(s.errors) or s.answers[0].payload.get("success") is False)


def _holds_from(s: Said) -> Frame | None:
    if s.sent.type == "DASHBOARD_INIT":
        later = (f for f in s.connection.snapshots if f.seq > s.sent.seq)
        return next(later, s.connection.accepted if s.sent is s.connection.init else None)
    return s.answers[0] if s.answers else None


@dataclass(frozen=True, slots=True)
class Told:
    """A piece, a dashboard that had to be told of it, and the messages by which it was."""

    piece: Piece
    switch: Switch
    frames: tuple[Frame, ...]

    @property
    def dashboard(self) -> Connection:
        """Who had to be told."""
        return self.switch.dashboard


def tellings(t: Timeline) -> list[Told]:
    """Each piece with each dashboard of its user that was subscribed when it was sent."""
    return t.remember(_tellings)


def _tellings(t: Timeline) -> list[Told]:
    return [
        Told(p, switch, tuple(carriage(t, switch.dashboard).get(p.sent.seq, ())))
        for switch in switches(t)
        if switch.on
        for p in pieces(t)
        if p.kind == switch.kind and p.said.connection.user == switch.dashboard.user and switch.holds_for(p.sent)
    ]


def carriage(t: Timeline, dashboard: Connection) -> Mapping[int, list[Frame]]:
    """The `seq` of each piece, with the messages by which a dashboard was told of it."""
    return t.remember(_carriages).get(dashboard.id, {})


def _carriages(t: Timeline) -> dict[str, Mapping[int, list[Frame]]]:
    by_user: dict[str, dict[Key, list[Piece]]] = {}
    for p in pieces(t):
        by_user.setdefault(p.said.connection.user, {}).setdefault(p.key, []).append(p)
    return {d.id: _carriage(by_user.get(d.user, {}), d) for d in t.dashboards}


def _carriage(by_key: Mapping[Key, list[Piece]], dashboard: Connection) -> Mapping[int, list[Frame]]:
    there = dashboard.accepted.seq if dashboard.accepted else 0
    carried: dict[int, list[Frame]] = {}
    for frame in dashboard.of_kind(*SWITCHES):
        before = [p for p in by_key.get(reading.piece(frame.payload), ()) if p.sent.seq < frame.seq]
        free = [p for p in before if p.sent.seq not in carried and p.nature != "repeat"]
        free.sort(key=lambda p: p.sent.seq < there)  # what was said before it came is what it is told of last
        alike = [p for p in free if said_alike(p, frame)]
        if chosen := (alike[:1] or free[:1] or before[-1:]):
            carried.setdefault(chosen[0].sent.seq, []).append(frame)
    return carried


class Flow(NamedTuple):
    """What a dashboard was told of one command by one agent (of its session: on one connection), in order of coming."""

    dashboard: Connection
    told: list[tuple[Frame, Piece]]


def flows(t: Timeline, found: list[Piece]) -> Iterator[Flow]:
    """What each dashboard was told of these pieces, where it was told two of one command or more."""
    for dashboard in t.dashboards:
        grouped: dict[tuple[str, str], list[tuple[Frame, Piece]]] = {}
        carried = carriage(t, dashboard)
        for p in found:
            for frame in carried.get(p.sent.seq, ())[:1]:
                group = p.said.connection.id if p.is_session else p.command
                grouped.setdefault((p.agent_id, group), []).append((frame, p))
        for told in grouped.values():
            if len(told) > 1:
                yield Flow(dashboard, sorted(told, key=lambda pair: pair[0].seq))


def said_alike(p: Piece, frame: Frame) -> bool:
    """Whether a message says what a piece says."""
    return not unlike(p, frame)


def unlike(p: Piece, frame: Frame) -> list[str]:
    """The fields in which a message differs from the piece it carries; what was not sent may be there or null."""
    told = frame.payload.get("trace") if p.kind == "TRACE_STREAM" else frame.payload
    told = told if isinstance(told, dict) else {}
    ids = {"agentId", "commandId", "traceId", "parentId"}
    return [
        name
        for name, value in p.payload.items()
        if not (same_value(told.get(name), value) if name not in ids else _same_name(p, name, told.get(name), value))
    ]


def _same_name(p: Piece, name: str, told: Any, value: Any) -> bool:
    own = {"agentId": p.agent_id, "commandId": p.command}.get(name, value)
    return bool(reading.same_id(told) in {reading.same_id(own), reading.same_id(value)})


def same_value(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same; 1 and 1.0 are, 1 and true are not."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_value(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_value, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def shown(value: Any, most: int = 120) -> str:
    """A value for a finding, as JSON, so that control characters can be seen."""
    text = orjson.dumps(value, default=str).decode(errors="replace")
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} bytes)"


def commands(t: Timeline) -> Mapping[str, tuple[str, frozenset[str]]]:
    """Each command that was made on the timeline: its user and the agents it is for, where the timeline names them."""
    return t.remember(_commands)


def _commands(t: Timeline) -> dict[str, tuple[str, frozenset[str]]]:
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for d in t.dashboards:
        for s in said_on(d):
            if s.sent.type != "COMMAND_REQUEST" or _is_refused(s) or not s.answers:
                continue
            name = reading.command_id(s.answers[0].payload) or reading.command_id(s.sent.payload)
            agent = s.sent.payload.get("agentId")
            if name and isinstance(agent, str):
                found.setdefault(name, (d.user, frozenset({agent})))
    for e in t.exchanges:
        if e.operation == "createCommand" and e.status == CREATED and e.credential == VALID:
            made = reading.one(e.value) or {}
            name, agents = reading.command_id(made), made.get("targetAgents")
            if name and isinstance(agents, list):
                found.setdefault(name, (e.user, frozenset(a for a in agents if isinstance(a, str))))
    return found
