"""What of the contract a run has reached: operations, messages, fields, keywords, transitions.

Counted on timelines, so that it says what was really sent and seen, whoever provoked it. A keyword counts as reached
when a value was sent that breaks it at its place; a field when it was sent at all; a transition when the tester saw the
machine in the state and then its cause. What belongs to a capability that the target withholds is left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.contract.keywords import ANY, asserted, present
from conformance.machines import transitions
from conformance.remembered import remembered
from conformance.timeline import MISSING, VALID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from conformance.contract import Contract
    from conformance.timeline import Timeline

UNREACHABLE: Mapping[str, str] = {
    "command PENDING": "a command leaves PENDING before anybody can act on it: no backend need ever show it",
    "command QUEUED command.failed": "nothing that a client does makes a waiting command fail",
    "to-agent.PING": "a server may send it, and need not (PING-1)",
    "to-dashboard.PING": "a server may send it, and need not (PING-1)",
    "to-agent.TOKEN_REFRESH": "a server may send it, and need not (WSA-5)",
    "to-dashboard.TOKEN_REFRESH": "a server may send it, and need not (WSA-5)",
}
"""What no run can ask of a backend, and why: it is not counted."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of one kind was reached."""

    reached: int
    total: int
    missing: tuple[str, ...] = ()

    @property
    def percent(self) -> float:
        """In percent; 100 where there is nothing to reach."""
        return 100.0 * self.reached / self.total if self.total else 100.0


@remembered
def reached(t: Timeline) -> Iterator[tuple[str, str]]:
    """Kind and name of everything that a timeline reaches, as often as it does."""
    for e in t.exchanges:
        operation = t.contract.operations.get(e.operation or "")
        if operation is None or not e.status:
            continue
        yield "operations", operation.id
        yield "answers", f"{operation.id} {e.status}"
        if operation.body and e.request is not MISSING and e.credential == VALID:
            yield from _value(operation.id, operation.body, e.request, t)
    for connection in t.connections:
        sides = {True: f"from-{connection.role}", False: f"to-{connection.role}"}
        for frame in connection.frames:
            message = t.contract.message(sides[frame.is_sent], frame.type)
            if message is None:
                continue
            yield "messages", message.key
            if frame.is_sent and isinstance(frame.value, dict) and "payload" in frame.value:
                yield from _value(message.key, message.schema, frame.value["payload"], t)
    yield from (("transitions", name) for name in transitions(t))


def _value(owner: str, schema: str, value: Any, t: Timeline) -> Iterator[tuple[str, str]]:
    yield from (("fields", f"{owner} {pointer}") for pointer in present(value))
    for pointer, keyword in t.contract.shapes.broken(schema, value):
        yield "keywords", f"{owner} {_any(pointer)} {keyword}"


@dataclass
class Coverage:
    """Collects what timelines reach."""

    contract: Contract
    withheld: frozenset[str] = frozenset()
    seen: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def take(self, t: Timeline) -> None:
        """Everything on a timeline."""
        for kind, name in reached(t):
            self.seen[kind][name] += 1

    def shares(self) -> dict[str, Share]:
        """What was reached of each kind, and what was not."""
        return {kind: self._share(kind, names) for kind, names in self._universe().items()}

    def _share(self, kind: str, names: Iterable[str]) -> Share:
        wanted = list(dict.fromkeys(names))
        seen = self.seen[kind]
        missing = tuple(name for name in wanted if not seen[name])
        return Share(len(wanted) - len(missing), len(wanted), missing)

    def _universe(self) -> dict[str, list[str]]:
        contract = self.contract
        operations = [o for o in contract.operations.values() if o.capability not in self.withheld]
        messages = [m for m in contract.messages.values() if m.capability not in self.withheld]
        said = [(m.key, m.schema) for m in messages if m.side.startswith("from-")]
        said += [(o.id, o.body) for o in operations if o.body]
        places = [(owner, pointer, keyword) for owner, s in said for pointer, keyword in asserted(contract.shapes, s)]
        return {
            "operations": [o.id for o in operations],
            "answers": [f"{o.id} {status}" for o in operations for status in o.answers],
            "messages": [m.key for m in messages if not _is_free(m.key)],
            "fields": [f"{owner} {pointer}" for owner, pointer, _ in places if pointer],
            "keywords": [f"{owner} {pointer} {keyword}" for owner, pointer, keyword in places],
            "transitions": [name for name in self._transitions() if not _is_free(name)],
        }

    def _transitions(self) -> Iterator[str]:
        for machine, facts in self.contract.machines.items():
            if machine == "command" and "commands" in self.withheld:
                continue
            yield from (f"{machine} {step['from']} {step['on']} {step['to']}" for step in facts["transitions"])


def _is_free(name: str) -> bool:
    """Whether no backend need ever show it."""
    return name.startswith(tuple(UNREACHABLE))


def _any(pointer: str) -> str:
    return re.sub(r"/\d+(?=/|$)", f"/{ANY}", pointer)
