"""What of the contract a run has reached: operations, messages, fields, keywords, transitions.

Counted on timelines, so that it says what was really sent, answered and seen, whoever provoked it. A keyword of what
the tester sends is reached when a value that keeps its schema was put to it and another broke it at its place, and both
were answered; of what the backend sends, when a value came that it says anything of. A transition is reached when the
tester saw the machine in the state and then its cause. What a target does not promise is left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.reached import Shape, keywords_at, reached

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
ANY_TEXT = "whatever stands in a query is a text"


@dataclass(frozen=True, slots=True)
class Share:
    """How much of one kind was reached."""

    reached: int
    total: int
    missing: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    """What is missing → why."""
    uncounted: Mapping[str, str] = field(default_factory=dict)
    """What is not counted → why."""

    @property
    def percent(self) -> float:
        """In percent; 100 where there is nothing to reach."""
        return 100.0 * self.reached / self.total if self.total else 100.0


@dataclass
class Coverage:
    """Collects what timelines reach."""

    contract: Contract
    withheld: frozenset[str] = frozenset()
    seen: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Kind → what was reached of it, on how many timelines; of keywords that the tester puts to a backend, `kept` and
    `broken`."""

    def take(self, t: Timeline) -> None:
        """Everything on a timeline."""
        for kind, name in reached(t):
            self.seen[kind][name] += 1

    def _at(self, schema: str) -> Mapping[str, list[str]]:
        return keywords_at(self.contract.shapes, schema)

    def shares(self) -> dict[str, Share]:
        """What was reached of each kind, and what was not."""
        return {kind: self._share(kind, names) for kind, names in self._universe().items()}

    def _share(self, kind: str, names: Iterable[str]) -> Share:
        free = {name: free for name in names if (free := self._free(kind, name))}
        wanted = [name for name in dict.fromkeys(names) if name not in free]
        missing = tuple(name for name in wanted if not self._is_reached(kind, name))
        why = {name: self._why(kind, name) for name in missing}
        return Share(len(wanted) - len(missing), len(wanted), missing, why, free)

    def _is_reached(self, kind: str, name: str) -> bool:
        if kind != "keywords":
            return bool(self.seen[kind][name])
        is_sent = self._shapes[_owner(name)].is_sent
        return bool(self.seen["kept"][name] and (self.seen["broken"][name] or not is_sent))

    def _universe(self) -> dict[str, list[str]]:
        operations = [o for o in self.contract.operations.values() if o.capability not in self.withheld]
        messages = [m for m in self.contract.messages.values() if m.capability not in self.withheld]
        places = [
            (owner, pointer, keyword)
            for owner, shape in self._shapes.items()
            for pointer, keywords in self._at(shape.schema).items()
            for keyword in keywords
        ]
        return {
            "operations": [o.id for o in operations],
            "answers": [f"{o.id} {status}" for o in operations for status in o.answers],
            "messages": [m.key for m in messages],
            "fields": [f"{owner} {pointer}" for owner, pointer, _ in places if pointer],
            "keywords": [f"{owner} {pointer} {keyword}" for owner, pointer, keyword in places],
            "transitions": list(self._transitions()),
        }

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        """Everything that is said to a target like this, and by it."""
        found = [
            Shape(m.key, m.schema, m.side.startswith("from-"))
            for m in self.contract.messages.values()
            if m.capability not in self.withheld
        ]
        for o in self.contract.operations.values():
            if o.capability not in self.withheld:
                found += [Shape(o.id, o.body, is_sent=True)] if o.body else []
                found += [Shape(f"{o.id} ?{name}", schema, is_sent=True) for name, schema in o.query.items()]
                found += [Shape(f"{o.id} {status}", s, is_sent=False) for status, s in o.answers.items() if s]
        return {shape.owner: shape for shape in found}

    def _transitions(self) -> Iterator[str]:
        for machine, facts in self.contract.machines.items():
            if machine == "command" and "commands" in self.withheld:
                continue
            yield from (f"{machine} {step['from']} {step['on']} {step['to']}" for step in facts["transitions"])

    def _free(self, kind: str, name: str) -> str:
        """Why no backend need ever show it, where that is so."""
        is_type = kind == "keywords" and " ?" in name and name.endswith(" type")
        if is_type and isinstance(self.contract.samples.right(self._shapes[_owner(name)].schema), str):
            return ANY_TEXT
        return next((why for free, why in UNREACHABLE.items() if name.startswith(free)), "")

    def _why(self, kind: str, name: str) -> str:
        """Why something was not reached, as far as the timelines say."""
        match kind:
            case "operations":
                return "no request for it was answered"
            case "answers":
                return "no request was answered so"
            case "transitions":
                return "no case of this run came to it"
            case "messages":
                return "no case of this run sent it" if name.startswith("from-") else "the backend did not send it"
        return self._why_not_said(kind, name)

    def _why_not_said(self, kind: str, name: str) -> str:
        owner = _owner(name)
        pointer = name.removeprefix(owner).split()[0] if name != f"{owner}  type" else ""
        if self._shapes[owner].is_sent:
            if kind == "fields":
                return "no case of this run sent it"
            sides = [("keeps", "kept"), ("breaks", "broken")]
            lacking = [verb for verb, side in sides if not self.seen[side][name]]
            return f"no value that {' and none that '.join(lacking)} it was sent and answered"
        if not (self.seen["messages"][owner] or self.seen["answers"][owner]):
            return f"{owner} did not come"
        if self.seen["fields"][f"{owner} {pointer}"]:
            return "no value came of which it says anything"
        at = self._at(self._shapes[owner].schema)
        whole_way = [pointer[:end] for end in range(2, len(pointer) + 1) if pointer[end : end + 1] in {"/", ""}]
        must = all("required" in at.get(place, ()) for place in whole_way)
        return "it did not come" if must else "it did not come, and need not"


def _owner(name: str) -> str:
    """Whose a field or a keyword is: all up to its pointer."""
    return re.sub(r" (/\S*)?( \w+)?$", "", name)
