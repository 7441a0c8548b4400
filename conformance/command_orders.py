"""The commands of a timeline as they were asked for: by whom, for which agents, over which channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.dialogue import Said, is_valid, said_as
from conformance.timeline import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.timeline import Frame, Timeline

CREATED = 201
USUAL_PRIORITY = 50
"""CMD-11: what holds when none is given."""


LIMITS = frozenset({"timeLimitMs", "tokenBudget", "maxRetries"})


def limits_in(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that a request asks for; members that the contract does not know may be left out (VAL-1)."""
    said = asked.get("executionConstraints")
    return {name: value for name, value in said.items() if name in LIMITS} if isinstance(said, dict) else {}


@dataclass(frozen=True, slots=True)
class Order:
    """A command that the backend accepted."""

    id: str
    user: str
    cause: Frame | Exchange
    """The COMMAND_REQUEST or the POST that made it."""
    answer: Frame | Exchange
    targets: tuple[str, ...]
    asked: dict[str, Any]
    """The payload or body."""

    @property
    def over_rest(self) -> bool:
        """Whether it came over REST."""
        return isinstance(self.cause, Exchange)

    @property
    def settled(self) -> float:
        """When its acceptance was known."""
        return self.answer.ended if isinstance(self.answer, Exchange) else self.answer.at

    @property
    def priority(self) -> Any:
        """What was asked for, or what holds without."""
        return self.asked.get("priority", USUAL_PRIORITY)

    @property
    def limit(self) -> float | None:
        """Its time limit in seconds, if it has one."""
        limits = self.asked.get("executionConstraints")
        value = limits.get("timeLimitMs") if isinstance(limits, dict) else None
        return value / 1000 if isinstance(value, int) else None


def accepted(s: Said) -> bool:
    """Whether a message was answered, and answered by a yes."""
    return bool(s.answers) and not s.errors and s.answers[0].payload.get("success") is not False


def requests(t: Timeline) -> Iterator[Said]:
    """Each valid COMMAND_REQUEST of a dashboard that was ready."""
    for s in said_as(t, "COMMAND_REQUEST"):
        if s.connection.role == "dashboard" and s.ready and is_valid(s, t):
            yield s


def named(s: Said) -> str:
    """The id of the command that a COMMAND_REQUEST made: the ACK's, else the one asked for."""
    given = [reading.command_id(a.payload) for a in s.answers if a.kind == "ACK"]
    return next((g for g in given if g), None) or reading.command_id(s.sent.payload) or ""


def orders(t: Timeline) -> dict[str, Order]:
    """Every accepted command by its id; of several requests with one id the first."""
    return t.remember(_orders)


def _accepted(t: Timeline) -> list[Order]:
    return [*_over_sockets(t), *_over_rest(t)]


def _orders(t: Timeline) -> dict[str, Order]:
    result: dict[str, Order] = {}
    unsure: set[str] = set()
    for order in sorted(t.remember(_accepted), key=lambda o: o.cause.seq):
        first = result.setdefault(order.id, order)
        if order.asked != first.asked and order.cause.at < first.settled:
            unsure.add(order.id)  # two at once, and nobody knows which made it
    return {command: order for command, order in result.items() if command not in unsure}


def _over_sockets(t: Timeline) -> Iterator[Order]:
    """Each that was accepted; but not where the same was asked for before and nobody knows the answer."""
    unanswered: set[tuple[str, Any]] = set()
    for s in sorted(requests(t), key=lambda s: s.sent.seq):
        name = (s.connection.user, s.sent.payload.get("commandId"))
        if not s.answers and name[1]:
            unanswered.add(name)
        if accepted(s) and name not in unanswered and (command := named(s)):
            payload = s.sent.payload
            yield Order(command, s.connection.user, s.sent, s.answers[0], (payload["agentId"],), payload)


def _over_rest(t: Timeline) -> Iterator[Order]:
    for e in t.calls("createCommand", status=CREATED):
        made, body = reading.one(e.value) or {}, e.request
        command = reading.command_id(made)
        if command is None or not isinstance(body, dict):
            continue
        targets = body.get("targetAgents")
        if body.get("broadcast") is True:
            targets = made.get("targetAgents") or [a for a, user in t.owners.items() if user == e.user]
        if isinstance(targets, list):
            once = tuple(dict.fromkeys(a for a in targets if isinstance(a, str)))
            yield Order(command, e.user, e, e, once, body)


def unclear_since(t: Timeline, agent_id: str | None) -> float:
    """When a command for an agent was first asked for of which nobody knows whether there is one; inf if none was."""
    asked = [s.sent.at for s in requests(t) if not s.answers and s.sent.payload["agentId"] == agent_id]
    asked += [
        e.at
        for e in t.calls("createCommand")
        if (not e.status or e.failure) and isinstance(e.request, dict) and _is_for(agent_id, e.request)
    ]
    asked += [o.cause.at for o in t.remember(_accepted) if o.id not in orders(t) and agent_id in o.targets]
    return min(asked, default=float("inf"))


def _is_for(agent_id: str | None, body: Mapping[str, Any]) -> bool:
    targets = body.get("targetAgents")
    return body.get("broadcast") is True or (isinstance(targets, list) and agent_id in targets)
