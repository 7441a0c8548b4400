"""What a schema asserts, place by place: the universe of a coverage by fields and keywords."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from conformance.contract.shapes import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.contract.shapes import Shapes

ASSERTIONS = frozenset(
    (
        *("type", "enum", "const", "pattern", "format", "minLength", "maxLength"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("minItems", "maxItems", "uniqueItems", "anyOf", "oneOf", "not"),
    )
)
"""Keywords that a value can break by itself. Those inside of `anyOf` and the like cannot be broken alone."""
ANY = "*"
"""Stands for any index of an array, in a pointer."""
DEEPEST = 8


def asserted(shapes: Shapes, name: str) -> Iterator[tuple[str, str]]:
    """Each place of a schema and a keyword that it asserts there: `/priority`, `maximum`."""
    yield from dict.fromkeys(_walk(shapes, shapes.schema(name), name, "", 0))


def _walk(shapes: Shapes, node: Any, home: str, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if not isinstance(node, dict) or depth > DEEPEST:
        return
    if isinstance(reference := node.get("$ref"), str):
        inner, place = _resolved(shapes, reference, home)
        yield from _walk(shapes, inner, place, pointer, depth + 1)
    for part in node.get("allOf", ()):
        yield from _walk(shapes, part, home, pointer, depth + 1)
    yield from ((pointer, keyword) for keyword in node if keyword in ASSERTIONS)
    yield from ((f"{pointer}/{name}", "required") for name in node.get("required", ()))
    for name, inner in node.get("properties", {}).items():
        yield from _walk(shapes, inner, home, f"{pointer}/{name}", depth + 1)
    yield from _walk(shapes, node.get("items"), home, f"{pointer}/{ANY}", depth + 1)


def _resolved(shapes: Shapes, reference: str, home: str) -> tuple[Mapping[str, Any], str]:
    """The schema that a reference names, and the file that it stands in."""
    file, _, pointer = reference.partition("#")
    if file.startswith(BASE):
        place = file.removeprefix(BASE)
    else:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(home), file)) if file else home
    node = shapes.schema(place)
    for part in pointer.strip("/").split("/") if pointer else ():
        node = node[part]
    return node, place


def present(value: Any, pointer: str = "") -> Iterator[str]:
    """The place of each member of a value, indices as `*`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{pointer}/{name}"
            yield from present(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from present(inner, f"{pointer}/{ANY}")
