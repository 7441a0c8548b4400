"""What is different between two editions of the contract: messages, operations, causes and clauses. Pure.

A message or an operation has changed when anything that it is made of has, along every `$ref`; prose (titles,
descriptions) counts for nothing, since no value is judged by it. A change that belongs to none of them alone (servers,
channels, close codes) touches everything.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from conformance.contract.operations import METHODS
from conformance.contract.shapes import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Documents = Mapping[str, Any]
    """What contract files say, by their path below `contracts/`."""

PROSE = frozenset({"title", "summary", "description", "$comment"})
REST, SOCKETS, CLAUSES = "openapi.yaml", "asyncapi.yaml", "clauses.yaml"
ELSEWHERE: Mapping[str, frozenset[str]] = {
    REST: frozenset({"info", "tags", "paths", "components"}),
    SOCKETS: frozenset({"info", "components", "x-conformance"}),
}
"""Parts of the documents that stand in something else, or that no request and no message depends on."""
NAMED = 8
"""Names of one kind that a sentence has room for."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed, by name: added, taken away, or made different. All empty: nothing that is judged."""

    messages: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    """Causes that changed themselves, or of which a step of a machine did."""
    clauses: frozenset[str] = frozenset()
    """Clauses whose entry changed, or a schema that they are anchored at and that no message or operation has."""
    provoking: frozenset[str] = frozenset()
    """The changed causes, and those that are, or have as an effect, a changed message or operation."""
    everything: bool = False
    """Whether something changed on which all of it depends."""

    def __bool__(self) -> bool:
        return any(getattr(self, part.name) for part in fields(self))

    def __str__(self) -> str:
        """In words, `nothing` where there is nothing."""
        kinds = {"message": self.messages, "operation": self.operations, "cause": self.causes, "clause": self.clauses}
        told = [_told(kind, sorted(names)) for kind, names in kinds.items() if names]
        if self.everything:
            told.append("what all messages or operations share")
        return "; ".join(told) or "nothing"


def _told(kind: str, names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names[:NAMED])}{more}"


def changes(old: Documents, new: Documents) -> Changes:
    """What is different in `new`. Raises `KeyError`, `TypeError` and the like for what is no contract."""
    messages = _different(_messages(old), _messages(new))
    operations = _different(_operations(old), _operations(new))
    causes = _different(_causes(old), _causes(new))
    return Changes(
        messages=messages,
        operations=operations,
        causes=causes,
        clauses=_different(_clauses(old), _clauses(new)),
        provoking=causes | set(_provoking(new, messages, operations)),
        everything=_shared(old) != _shared(new),
    )


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _messages(said: Documents) -> dict[str, Any]:
    return {name: whole(said, SOCKETS, message) for name, message in said[SOCKETS]["components"]["messages"].items()}


def _operations(said: Documents) -> dict[str, Any]:
    found = {}
    for path, item in said[REST]["paths"].items():
        shared = {name: part for name, part in item.items() if name not in METHODS}
        for method in METHODS:
            if method in item:
                found[item[method]["operationId"]] = path, method, whole(said, REST, {"": shared, method: item[method]})
    return found


def _causes(said: Documents) -> dict[str, Any]:
    """Each cause, with the steps that the machines make on it."""
    marks = said[SOCKETS]["x-conformance"]
    steps = sorted(
        (str(step["on"]), machine, str(step["from"]), str(step["to"]))
        for machine, facts in marks["machines"].items()
        for step in facts["transitions"]
    )
    names = marks["causes"].keys() | {on for on, *_ in steps}
    return {name: (marks["causes"].get(name), [step for step in steps if step[0] == name]) for name in names}


def _clauses(said: Documents) -> dict[str, Any]:
    made_of = [*_messages(said).values(), *(parts for _, _, parts in _operations(said).values())]
    carried = {place.partition("#")[0] for parts in made_of for place in parts} | ELSEWHERE.keys()
    return {
        name: (clause, [_anchored(said, a) for a in clause.get("anchors") or () if a.partition("#")[0] not in carried])
        for name, clause in said[CLAUSES]["clauses"].items()
    }


def _anchored(said: Documents, anchor: str) -> Any:
    file, _, pointer = anchor.partition("#")
    try:
        return whole(said, file, _at(said[file], pointer))
    except (KeyError, IndexError, ValueError):
        return None


def _provoking(said: Documents, messages: frozenset[str], operations: frozenset[str]) -> Iterator[str]:
    for name, cause in said[SOCKETS]["x-conformance"]["causes"].items():
        on = cause["on"]
        sent = {on.get("message"), *(effect.get("message") for effect in cause.get("effects", ()))}
        if sent & messages or on.get("operation") in operations:
            yield name


def _shared(said: Documents) -> Any:
    rest = {
        file: {name: _plain(part) for name, part in said[file].items() if name not in left_out}
        for file, left_out in ELSEWHERE.items()
    }
    marks = said[SOCKETS]["x-conformance"]
    own = {name: part for name, part in marks.items() if name not in {"causes", "machines", "ends"}}
    return rest, own, [said[file]["components"].get("securitySchemes") for file in ELSEWHERE]


def whole(said: Documents, file: str, node: Any) -> dict[str, Any]:
    """A node without prose, and beside it everything that it refers to, each once."""
    found = {"": _plain(node)}
    left = list(_references(file, node))
    while left:
        place, pointer = left.pop()
        name = f"{place}#{pointer}"
        if name not in found:
            inner = _at(said[place], pointer)
            found[name] = _plain(inner)
            left += _references(place, inner)
    return found


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    return {name: _plain(inner) for name, inner in node.items() if not (name in PROSE and isinstance(inner, str))}


def _references(file: str, node: Any) -> Iterator[tuple[str, str]]:
    """The file and the pointer of everything that a node of a file refers to."""
    if isinstance(node, list):
        for inner in node:
            yield from _references(file, inner)
    elif isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            path, _, pointer = reference.partition("#")
            if path.startswith(BASE):
                yield "schemas/" + path.removeprefix(BASE), pointer
            else:
                yield posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) if path else file, pointer
        for inner in node.values():
            yield from _references(file, inner)


def _at(document: Any, pointer: str) -> Any:
    for part in unquote(pointer).strip("/").split("/") if pointer.strip("/") else ():
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document
