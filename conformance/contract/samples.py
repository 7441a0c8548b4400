"""Values made from schemas: a right one, its right neighbours at every bound, wrong ones that break one keyword each.

Deterministic, and checked: what is yielded as right is accepted, what is yielded as wrong is refused by the validator.
Texts carry a mark of the caller's, by which a value is found again. This is what rules and their cases use; what is
generated with more effort enumerates with schemathesis (`generate/payloads.py`), which takes seconds to load.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.contract.shapes import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.contract.shapes import Shapes

DEEPEST = 6
NOWHERE = "NONE-OF-THEM"
MOMENT = "2025-10-09T08:00:00Z"
OTHERS: dict[str, tuple[Any, ...]] = {
    "string": (5, ["text"], {"text": "text"}),
    "integer": ("5", 5.5, True),
    "number": ("5", True),
    "boolean": ("true", 1),
    "array": ({}, "text"),
    "object": ([], "text"),
}
"""Type → values of others that a lax reader may take for it. 5.0 is no such: it is an integer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A value, and in what it is not as the others."""

    value: Any
    pointer: str = ""
    keyword: str = ""


class Samples:
    """Makes values for the schemas of a contract."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def right(self, name: str, mark: str = "mark") -> Any:
        """A value with every part that the schema names, and texts with the mark."""
        return self._made({"$ref": BASE + name}, name, mark, ())

    def neighbours(self, name: str, value: Any) -> Iterator[Any]:
        """Few right values in which each part is once at each bound, null, each other word, and left out."""
        options: dict[tuple[Any, ...], list[Any]] = {}
        for path, _, other in self._walk({"$ref": BASE + name}, name, value, (), self._inside):
            if self._shapes.accepts(name, replaced(value, path, other)):
                options.setdefault(path, []).append(other)
        for number in range(max(map(len, options.values()), default=0)):
            changed = value
            for path, others in options.items():
                if number < len(others) and _is_there(changed, path):
                    step = replaced(changed, path, others[number])
                    changed = step if self._shapes.accepts(name, step) else changed
            yield changed

    def faults(self, name: str, value: Any) -> Iterator[Sample]:
        """Wrong values that differ from a right one in one part."""
        for path, keyword, other in self._walk({"$ref": BASE + name}, name, value, (), self._outside):
            changed = replaced(value, path, other)
            if not self._shapes.accepts(name, changed):
                yield Sample(changed, "".join(f"/{part}" for part in path), keyword)

    def _walk(self, node: Any, base: str, value: Any, path: tuple[Any, ...], changes: Any) -> Iterator[Any]:
        node, base = self._resolved(node, base)
        yield from ((path, keyword, other) for keyword, other in changes(node, value))
        if isinstance(value, dict):
            required = node.get("required", ())
            for name, inner in node.get("properties", {}).items():
                if name in value:
                    yield from self._walk(inner, base, value[name], (*path, name), changes)
                    yield (*path, name), "required" if name in required else "optional", LEFT_OUT
        elif isinstance(value, list) and value and "items" in node:
            yield from self._walk(node["items"], base, value[0], (*path, 0), changes)

    @staticmethod
    def _inside(node: dict[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
        yield from (("enum", word) for word in node.get("enum", ()) if word != value)
        yield from ((key, node[key]) for key in ("minimum", "maximum") if key in node)
        if isinstance(value, str) and not node.keys() & {"pattern", "format", "enum", "const"}:
            yield from ((key, "n" * node[key]) for key in ("minLength", "maxLength") if key in node)
        if "null" in node.get("type", ()) and isinstance(node["type"], list):
            yield "type", None
        if isinstance(value, list):
            yield "minItems", []

    @staticmethod
    def _outside(node: dict[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
        kind = _kind(node)
        yield from (("type", other) for other in (*OTHERS.get(kind, ()), None))
        yield from ((key, NOWHERE) for key in ("enum", "const") if key in node)
        yield from ((key, "not & such") for key in ("pattern", "format") if key in node)
        if "minimum" in node:
            yield "minimum", node["minimum"] - 1
        if "maximum" in node:
            yield "maximum", node["maximum"] + 1
        if "exclusiveMinimum" in node:
            yield "exclusiveMinimum", node["exclusiveMinimum"]
        if node.get("minLength"):
            yield "minLength", ""
        if isinstance(value, list):
            yield "minItems", []
        if "maxLength" in node and isinstance(value, str):
            yield "maxLength", value + "n" * (node["maxLength"] + 1 - len(value))

    def _made(self, node: Any, base: str, mark: str, path: tuple[str, ...]) -> Any:
        node, base = self._resolved(node, base)
        if words := node.get("enum", [node["const"]] if "const" in node else []):
            return words[0]
        match _kind(node):
            case "object":
                return {n: self._made(inner, base, mark, (*path, n)) for n, inner in node.get("properties", {}).items()}
            case "array":
                return [self._made(node.get("items", {}), base, mark, (*path, "0"))] if len(path) < DEEPEST else []
            case "string":
                return _text(node, mark, path)
            case "integer" | "number":
                return max(node.get("minimum", 1), node.get("exclusiveMinimum", 0) + 1, 1)
        return False if node.get("type") == "boolean" else None

    def _resolved(self, node: Any, base: str) -> tuple[dict[str, Any], str]:
        """The schema that a reference names, `allOf` laid together, and the file that it stands in."""
        while "$ref" in node:
            place, _, inner = node["$ref"].partition("#")
            base = place.removeprefix(BASE) or base
            node = self._shapes.schema(base)
            for part in inner.strip("/").split("/") if inner else ():
                node = node[part]
        if "allOf" not in node:
            return node, base
        laid: dict[str, Any] = {k: v for k, v in node.items() if k != "allOf"}
        for part in node["allOf"]:
            other, home = self._resolved(part, base)
            inner = {name: _homed(value, home) for name, value in other.get("properties", {}).items()}
            required = [*laid.get("required", ()), *other.get("required", ())]
            laid = other | laid | {"properties": laid.get("properties", {}) | inner, "required": required}
        return laid, base


LEFT_OUT = object()
"""In place of a value: the member is not there."""


def _is_there(value: Any, path: tuple[Any, ...]) -> bool:
    for part in path:
        if not (part in value if isinstance(value, dict) else isinstance(value, list) and part < len(value)):
            return False
        value = value[part]
    return True


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """The value with another at a path."""
    if not path:
        return other
    head, *rest = path
    if isinstance(value, dict):
        if not rest and other is LEFT_OUT:
            return {k: v for k, v in value.items() if k != head}
        return value | {head: replaced(value[head], tuple(rest), other)}
    return [replaced(inner, tuple(rest), other) if i == head else inner for i, inner in enumerate(value)]


def _kind(node: dict[str, Any]) -> str:
    """The first type that a schema names."""
    kind = node.get("type", "object" if "properties" in node else "")
    return str(kind[0]) if isinstance(kind, list) else str(kind)


def _homed(node: Any, home: str) -> Any:
    """A schema with its reference made whole, for it is read from another file."""
    if isinstance(node, dict) and isinstance(reference := node.get("$ref"), str) and not reference.startswith("http"):
        return {**node, "$ref": BASE + (home + reference if reference.startswith("#") else reference)}
    return node


def _text(node: dict[str, Any], mark: str, path: tuple[str, ...]) -> str:
    match node.get("format"):
        case "uuid":
            return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join((mark, *path))))
        case "date-time":
            return MOMENT
        case "email":
            return f"{mark.lower()}@example.com"
        case "uri":
            return f"https://example.com/{mark}"
    if "pattern" in node:
        return mark
    return f"{mark} {path[-1] if path else 'text'}"[: node.get("maxLength", 1000)]
