"""What was said, delivered, told and shown of commands, found by the command's id."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.dialogue import Said, is_valid, said, said_as
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.command_orders import Order
    from conformance.connection import Connection
    from conformance.timeline import Exchange, Frame, Timeline


class Reading(NamedTuple):
    """A command as REST showed it."""

    where: Exchange
    pointer: str
    value: dict[str, Any]

    @property
    def status(self) -> str | None:
        """Its status."""
        return reading.status(self.value)


def told(t: Timeline, dashboard: Connection, command_id: str, agent_id: str) -> list[Frame]:
    """Every COMMAND_STATUS about a command on an agent that one dashboard got."""
    return t.remember(_told).get((dashboard.id, command_id, agent_id), [])


def deliveries(t: Timeline, user: str, command_id: str, agent_id: str) -> list[tuple[Connection, Frame]]:
    """Every COMMAND_REQUEST with a command that an agent got, and the connection on which it did."""
    return t.remember(_deliveries).get((user, agent_id, command_id), [])


def readings(t: Timeline, order: Order) -> list[Reading]:
    """What REST said of a command to its owner, in order."""
    return [r for r in t.remember(_readings).get(order.id, []) if r.where.user == order.user]


def about(t: Timeline, command_id: str) -> list[Said]:
    """Everything the tester said of a command on sockets."""
    return t.remember(_about).get(command_id, [])


class Quiet(NamedTuple):
    """A quiet moment: nothing more comes of what had been settled when the tester began to wait for it."""

    since: float
    at: float
    seq: int


def quiet(t: Timeline) -> list[Quiet]:
    """The quiet moments."""
    return t.remember(_quiet)


def _quiet(t: Timeline) -> list[Quiet]:
    return [Quiet(n.data.get("since", n.at), n.at, n.seq) for n in t.notes if n.kind == "quiet"]


def resources(t: Timeline, *operations: str) -> Iterator[Reading]:
    """Every Command in a good answer of these operations (by default of all that answer with commands)."""
    for e in t.calls(*(operations or ("createCommand", "getCommand", "listCommands", "cancelCommand"))):
        if e.status not in {OK, 201} or e.failure:
            continue
        if e.operation == "listCommands":
            rows = enumerate(reading.rows(e.value) or [])
            yield from (Reading(e, f"/data/{i}", row) for i, row in rows if isinstance(row, dict))
        elif (one := reading.one(e.value)) is not None:
            yield Reading(e, "/data", one)


def _readings(t: Timeline) -> dict[str, list[Reading]]:
    found: dict[str, list[Reading]] = defaultdict(list)
    for r in resources(t):
        found[reading.command_id(r.value) or ""].append(r)
    return found


def _told(t: Timeline) -> dict[tuple[str, str, str], list[Frame]]:
    found: dict[tuple[str, str, str], list[Frame]] = defaultdict(list)
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("COMMAND_STATUS"):
            agent = frame.payload.get("agentId")
            found[dashboard.id, reading.command_id(frame.payload) or "", str(agent)].append(frame)
    return found


def _about(t: Timeline) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    for s in said(t):
        command = s.sent.payload.get("commandId")
        if isinstance(command, str):
            found[command.lower()].append(s)
    return found


def _deliveries(t: Timeline) -> dict[tuple[str, str, str], list[tuple[Connection, Frame]]]:
    found: dict[tuple[str, str, str], list[tuple[Connection, Frame]]] = defaultdict(list)
    for agent in t.agents:
        for frame in agent.of_kind("COMMAND_REQUEST"):
            found[agent.user, agent.agent_id or "", reading.command_id(frame.payload) or ""].append((agent, frame))
    return found


def stops(t: Timeline) -> list[Said]:
    """Every valid EMERGENCY_STOP of a dashboard."""
    asked = said_as(t, "EMERGENCY_STOP")
    return [s for s in asked if s.connection.role == "dashboard" and s.ready and is_valid(s, t)]
