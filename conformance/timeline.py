"""The timeline: everything that passed between the tester and a backend, in order, on the tester's clock.

Events are frozen facts. They hold what was on the wire, never what we make of it; `reading.py` interprets, rules judge.
Times are seconds since the start of the recording (`at`); `Timeline.epoch` is the Unix time of that start.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from propcache.api import cached_property

from conformance import reading
from conformance.connection import Connection
from conformance.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from conformance.contract import Contract

T = TypeVar("T")


class Missing(Enum):
    """The one value that stands for "there was none", where `None` could be data."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING

VALID: Final = "valid"
"""The credential label of a request or socket that carries its user's good token."""

Direction = Literal["to_server", "to_client"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One REST request and what came back: a response, or the reason why there was none."""

    seq: int
    at: float
    ended: float
    user: str
    credential: str
    method: str
    path: str
    """The path as in the contract, below the base path: `/agents/a1`."""
    operation: str | None
    """The contract's `operationId`, where the path and method name one."""
    under_base: bool = True
    query: Mapping[str, str] = field(default_factory=dict)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request: Any = MISSING
    """The JSON value sent as body."""
    status: int = 0
    """The HTTP status; 0 when no response came."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers, names in lower case."""
    text: str = ""
    value: Any = MISSING
    """The body as JSON value, when it is one."""
    failure: str = ""
    """Why there is no (whole) response: refused, dns, tls, time-out, too-large, broken."""
    node: str = ""
    """Which node of the backend it was sent to, where a case speaks to several: `node-1`, `node-2`."""

    @property
    def label(self) -> str:
        """How a person names it: `GET /agents/{agentId}`."""
        path = reading.template(self.path) if self.operation else self.path
        return f"{self.method} {path}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A socket that was opened, or refused at the handshake (`status` other than 101)."""

    seq: int
    at: float
    connection: str
    user: str
    credential: str
    channel: str
    """agent, dashboard or shared: which of the contract's channels the path stands for."""
    role: str
    """What the tester plays on it: agent or dashboard."""
    status: int
    query: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    node: str = ""
    """Which node of the backend it was opened to, as in `Exchange`."""


@dataclass(frozen=True)
class Frame:
    """One frame on a socket, or one message inside a BATCH, with lenient views of what it says (`kind`, `payload`, …).

    Each message inside a BATCH stands on the timeline right after the BATCH, in its order, with a `seq` of its own: to
    rules it is a message like any other. What it says is read once (so it has no slots): every rule asks for it.
    """

    seq: int
    at: float
    connection: str
    direction: Direction
    text: str | None = None
    binary: bytes | None = None
    value: Any = MISSING
    batch: int | None = None
    """The `seq` of the BATCH it came in, and `text` is its part of that; None when it was a frame of its own."""

    @property
    def is_sent(self) -> bool:
        """Whether the tester sent it."""
        return self.direction == "to_server"

    @cached_property
    def type(self) -> str:
        """The type as written, or an empty string."""
        kind = self.value.get("type") if isinstance(self.value, dict) else None
        return kind if isinstance(kind, str) else ""

    @cached_property
    def kind(self) -> str:
        """The contract's name for the type, whatever its spelling (`DASHBOARD_CONNECTED` is `dashboard:connected`)."""
        return reading.canonical_type(self.type)

    @cached_property
    def payload(self) -> dict[str, Any]:
        """The payload, wherever an older envelope keeps it; empty when there is none."""
        return reading.payload(self.value)

    @cached_property
    def id(self) -> str | None:
        """The envelope's id, if it is a string."""
        value = self.value.get("id") if isinstance(self.value, dict) else None
        return value if isinstance(value, str) else None

    @property
    def label(self) -> str:
        """How a person names it."""
        return self.type or ("a binary frame" if self.binary is not None else "a frame without type")


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of a socket. `by` says who ended it: backend, tester, or fault (cut without a handshake)."""

    seq: int
    at: float
    connection: str
    by: str
    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something the tester knows and the wire does not say (a departure, a fence, a pause of its own)."""

    seq: int
    at: float
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


Event = Exchange | Opened | Frame | Closed | Note


class Timeline:
    """All events of one case, in order, with the views that rules need."""

    def __init__(  # noqa: PLR0913 - plain facts, all by name
        self,
        events: Iterable[Event],
        *,
        contract: Contract,
        terms: Terms | None = None,
        epoch: float = 0.0,
        case: str = "",
        end: float | None = None,
    ) -> None:
        self.events: tuple[Event, ...] = tuple(events)
        self.contract = contract
        self.terms = terms or Terms()
        self.epoch = epoch
        self.case = case
        self._views: dict[Any, Any] = {}
        self.end = max((getattr(e, "ended", e.at) for e in self.events), default=0.0) if end is None else end

    def remember(self, view: Callable[..., T], *about: Hashable) -> T:
        """What a view finds on this timeline about something, worked out once for all rules that look at it."""
        key = (view, *about)
        if key not in self._views:
            self._views[key] = view(self, *about)
        return self._views[key]  # type: ignore[no-any-return]

    @property
    def remembered(self) -> dict[Any, Any]:
        """What views have found on it (see `remembered`)."""
        return self._views

    def forget(self) -> None:
        """Drops what views have found, which holds the connections that hold it: nothing is left to be searched for."""
        self._views.clear()
        for connection in self.connections:
            connection.remembered.clear()

    @cached_property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every REST exchange, in order of sending."""
        return tuple(e for e in self.events if isinstance(e, Exchange))

    def calls(self, *operations: str, status: int | None = None, version: str | None = "1") -> Iterator[Exchange]:
        """Exchanges of these operations with a good token; only the current API version, unless `version` is None."""
        for e in self.exchanges:
            if e.operation not in operations or e.credential != VALID or (status and e.status != status):
                continue
            if version is None or e.request_headers.get("x-api-version", "1") == version:
                yield e

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What the tester noted."""
        return tuple(e for e in self.events if isinstance(e, Note))

    @cached_property
    def _pauses(self) -> tuple[Note, ...]:
        return tuple(n for n in self.notes if n.kind == "lag")

    @cached_property
    def connections(self) -> tuple[Connection, ...]:
        """Every socket, also those refused at the handshake."""
        found: dict[str, Connection] = {}
        for event in self.events:
            match event:
                case Opened():
                    found[event.connection] = Connection(event, self.end)
                case Frame() if event.connection in found:
                    found[event.connection].frames.append(event)
                case Closed() if event.connection in found:
                    found[event.connection].closed = found[event.connection].closed or event
                case Note(kind="stalled") if (stalled := found.get(str(event.data.get("connection")))) is not None:
                    stalled.stalled = stalled.stalled or event
                case _:
                    pass
        return tuple(found.values())

    def connection(self, name: str) -> Connection | None:
        """The socket of that name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Connection]:
        return {c.id: c for c in self.connections}

    @cached_property
    def agents(self) -> tuple[Connection, ...]:
        """Sockets on which an agent was accepted with a good token."""
        return tuple(c for c in self.connections if c.role == "agent" and c.accepted and c.credential == VALID)

    @cached_property
    def dashboards(self) -> tuple[Connection, ...]:
        """Sockets on which a dashboard announced itself with a good token, speaking the current version."""
        return tuple(
            c
            for c in self.connections
            if c.role == "dashboard" and c.init and c.credential == VALID and c.opened.query.get("v", "1") == "1"
        )

    def dashboards_of(self, user: str) -> list[Connection]:
        """The dashboards of one user."""
        return [c for c in self.dashboards if c.user == user]

    @cached_property
    def owners(self) -> dict[str, str]:
        """Agent id → user, for every agent that was accepted on this timeline."""
        return {c.agent_id: c.user for c in self.agents if c.agent_id}

    def wall(self, at: float) -> float:
        """The Unix time, in milliseconds, of a moment on this timeline."""
        return (self.epoch + at) * 1000

    def lag(self, start: float, end: float) -> float:
        """The longest pause of the tester itself between two moments, in seconds: no backend answers for it."""
        pauses = (n.data.get("seconds", 0.0) for n in self._pauses if start <= n.at <= end + 1)
        return max(pauses, default=0.0)

    def bound(self, start: float, within: float) -> float:
        """The moment by which something must have come that may take `within` seconds from `start`."""
        return start + within + self.terms.slack + self.lag(start, start + within)

    def only(self, *events: Event) -> Timeline:
        """The same timeline reduced to these events (the smallest evidence)."""
        return self._anew(sorted(events, key=lambda e: e.seq), self.terms)

    def with_terms(self, **changes: Any) -> Timeline:
        """The same events under other terms."""
        return self._anew(self.events, replace(self.terms, **changes), self.end)

    def _anew(self, events: Iterable[Event], terms: Terms, end: float | None = None) -> Timeline:
        return Timeline(events, contract=self.contract, terms=terms, epoch=self.epoch, case=self.case, end=end)
