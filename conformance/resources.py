"""What has an id and an owner: agents, commands, presets, reports and constraints, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.rest_views import judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.timeline import Connection, Event, Exchange, Timeline

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


def follows_schema(t: Timeline, e: Exchange) -> bool:
    """Whether a request's body keeps its operation's schema, one that is missing only where it may be."""
    operation = t.contract.operations.get(e.operation or "")
    if operation is None:
        return False
    sent = int(e.request_headers.get("content-length", "0") or 0) if e.request_headers else 0
    if isinstance(e.request, (dict, list, str, int, float, bool)) or e.request is None:
        return not operation.body or t.contract.shapes.accepts(operation.body, e.request)
    return not sent and not operation.needs_body
