"""What has an id and an owner: agents, commands, presets, reports and constraints, and whose they are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.rest_views import body_size, is_plain_json, judged
from conformance.timeline import MISSING
from conformance.views import OK, connections_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.connection import Connection
    from conformance.timeline import Event, Exchange, Timeline

KINDS = ("agents", "commands", "presets", "reports", "constraints")
CREATED = 201
CREATORS = {"createCommand": "commands", "createPreset": "presets", "createConstraint": "constraints"}
TOLD = {"COMMAND_REQUEST": "commands", "INVESTIGATION_REPORT": "reports"}
ID_NAMES = {"agents": "agentId", "commands": "commandId", "reports": "reportId"}
"""Kind → the field of a message that holds its id."""


class Resource(NamedTuple):
    """A thing that a path below the base path names."""

    kind: str
    id: str


class Owned(NamedTuple):
    """Whose a resource is, and the event that made it theirs."""

    user: str
    since: Event


def resource_of(e: Exchange) -> Resource | None:
    """The resource that a request names in its path."""
    parts = e.path.split("/")
    return Resource(parts[1], parts[2]) if len(parts) > 2 and parts[1] in KINDS else None  # noqa: PLR2004 - "", kind, id


def owners(t: Timeline) -> Mapping[Resource, Owned]:
    """Every resource that this timeline made, and whose it is; none that two users made."""
    return t.remember(_owners)


def _owners(t: Timeline) -> Mapping[Resource, Owned]:
    found: dict[Resource, Owned] = {}
    shared: set[Resource] = set()
    for resource, owned in _made(t):
        if found.setdefault(resource, owned).user != owned.user:
            shared.add(resource)
    return {resource: owned for resource, owned in found.items() if resource not in shared}


def _made(t: Timeline) -> Iterator[tuple[Resource, Owned]]:
    for agent in t.agents:
        if agent.agent_id and agent.accepted:
            yield Resource("agents", agent.agent_id), Owned(agent.user, agent.accepted)
    for e in judged(t):
        data = e.value.get("data") if isinstance(e.value, dict) else None
        made = data.get("id") if isinstance(data, dict) else None
        if e.status == CREATED and e.operation in CREATORS and isinstance(made, str):
            yield Resource(CREATORS[e.operation], made), Owned(e.user, e)
    for connection in (*t.agents, *t.dashboards):
        yield from _announced(connection)


def _announced(connection: Connection) -> Iterator[tuple[Resource, Owned]]:
    """Commands and reports that somebody sent over a socket, and that were acknowledged."""
    sent = {f.id: f for f in connection.sent if f.id and f.type in TOLD}
    for ack in connection.of_kind("ACK"):
        message = sent.get(str(ack.payload.get("messageId")))
        if message is None or ack.payload.get("success") is False:
            continue
        kind = TOLD[message.type]
        name = ID_NAMES[kind]
        made = ack.payload.get(name, message.payload.get(name))
        if isinstance(made, str):
            yield Resource(kind, made), Owned(connection.user, ack)


def unknown_ids(t: Timeline) -> frozenset[str]:
    """Ids that the tester made up and that name nothing."""
    return frozenset(str(n.data.get("agent", n.data.get("id"))) for n in t.notes if n.kind.startswith("unknown-"))


MISSED = 2.5
"""Heartbeats that an agent may be behind before it may be given up: three, less the tester's own delay."""


class _Index(NamedTuple):
    looks: dict[tuple[str, str], list[Exchange]]
    """User and path → whole answers to GET."""
    writes: dict[Resource, list[Exchange]]
    """Resource → all requests that may change it."""


def _index(t: Timeline) -> _Index:
    index = _Index({}, {})
    for e in judged(t):
        if e.method == "GET":
            index.looks.setdefault((e.user, e.path), []).append(e)
    for e in t.exchanges:
        if e.method != "GET" and (resource := resource_of(e)):
            index.writes.setdefault(resource, []).append(e)
    return index


def is_known(t: Timeline, e: Exchange) -> bool:
    """Whether the resource that a request names is there for its user, as far as this timeline shows."""
    resource = resource_of(e)
    owned = owners(t).get(resource) if resource else None
    if resource is None or owned is None or owned.user != e.user or owned.since.at > e.at:
        return False
    gone = (x for x in t.remember(_index).writes.get(resource, ()) if x.method == "DELETE" and x is not e)
    return not any(x.at < e.ended and x.status not in {404, 409} for x in gone)


def looks_around(t: Timeline, e: Exchange, user: str) -> tuple[Exchange, Exchange] | None:
    """A user's last look at a resource before a request names it and the first one after, if nobody else wrote between.

    The look before found it; the one after may not.
    """
    resource = resource_of(e)
    if resource is None:
        return None
    looks = t.remember(_index).looks.get((user, f"/{resource.kind}/{resource.id}"), ())
    before = [x for x in looks if x.ended <= e.at and x.status == OK]
    after = [x for x in looks if x.at >= e.ended]
    if not before or not after:
        return None
    first, last = before[-1], after[0]
    writes = (
        x
        for x in t.remember(_index).writes.get(resource, ())
        if x is not e and x.at < last.ended and x.ended > first.at
    )
    if not all(_is_refused(x) for x in writes) or _was_spoken_of(t, resource, first.at, last.ended):
        return None
    return first, last


def _was_spoken_of(t: Timeline, resource: Resource, start: float, end: float) -> bool:
    """Whether something may have changed between two moments for its agent's sake.

    An agent announced itself anew; of a command or report its agent said something, or was silent for so long that it
    may have been given up (DIS-3).
    """
    if resource.kind == "agents":
        mine = connections_of(t, resource.id)
        return any(f.type == "AGENT_CONNECT" and start < f.at < end for a in mine for f in a.sent)
    if resource.kind not in {"commands", "reports"}:
        return False
    said = [f for a in t.agents for f in a.sent if f.at < end]
    moments = [*(f.at for f in said if f.at > start), end]
    before = max((f.at for f in said if f.at <= start), default=start)
    quiet = max(later - earlier for earlier, later in pairwise([before, *moments]))
    about = (f for f in said if f.at > start)
    named = any(resource.id in {f.payload.get(name) for name in ID_NAMES.values()} for f in about)
    return named or quiet > MISSED * t.terms.heartbeat_interval or any(a.closed and a.closed.at < end for a in t.agents)


def _is_refused(e: Exchange) -> bool:
    return e.status >= 400  # noqa: PLR2004 - 4xx and 5xx say that nothing was done


STABLE = ("agent_id", "name", "agent_type", "version", "capabilities", "created_at")
"""What of an agent only a rename or a new connection changes."""


def changed(first: Exchange, last: Exchange) -> str | None:
    """The field in which two looks differ; empty when the second does not find the resource, None when none does."""
    if last.status != OK:
        return ""
    was, now = data_of(first), data_of(last)
    names = STABLE if first.path.startswith("/agents/") else sorted(was.keys() | now.keys())
    return next((name for name in names if was.get(name) != now.get(name)), None)


def data_of(e: Exchange) -> dict[str, Any]:
    """The resource in an answer."""
    data = e.value.get("data") if isinstance(e.value, dict) else None
    return data if isinstance(data, dict) else {}


def follows_schema(t: Timeline, e: Exchange) -> bool:
    """Whether a request's body keeps its operation's schema, one that is missing only where it may be."""
    operation = t.contract.operations.get(e.operation or "")
    if operation is None:
        return False
    if e.request is MISSING:
        return not body_size(e) and not operation.needs_body
    return not operation.body or (is_plain_json(e) and t.contract.shapes.accepts(operation.body, e.request))
