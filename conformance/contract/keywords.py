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
TEXT, NUMBER, LIST = (str,), (int, float), (list,)
OF: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("pattern", "format", "minLength", "maxLength"), TEXT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), NUMBER),
    **dict.fromkeys(("minItems", "maxItems", "uniqueItems"), LIST),
}
"""Keyword → the only types of value of which it says anything; the others say something of any."""
ANY = "*"
"""Stands for any index of an array, in a pointer."""


def asserted(shapes: Shapes, name: str) -> Iterator[tuple[str, str]]:
    """Each place of a schema and a keyword that it asserts there: `/priority`, `maximum`."""
    yield from dict.fromkeys(_walk(shapes, shapes.schema(name), name, "", ()))


def _walk(shapes: Shapes, node: Any, home: str, pointer: str, trail: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """`trail` holds the schemas on the way here: one that contains itself is walked once."""
    if not isinstance(node, dict) or id(node) in trail:
        return
    trail = (*trail, id(node))
    if isinstance(reference := node.get("$ref"), str):
        inner, place = _resolved(shapes, reference, home)
        yield from _walk(shapes, inner, place, pointer, trail)
    for part in node.get("allOf", ()):
        yield from _walk(shapes, part, home, pointer, trail)
    yield from ((pointer, keyword) for keyword in node if keyword in ASSERTIONS)
    yield from ((f"{pointer}/{name}", "required") for name in node.get("required", ()))
    for name, inner in node.get("properties", {}).items():
        yield from _walk(shapes, inner, home, f"{pointer}/{name}", trail)
    yield from _walk(shapes, node.get("items"), home, f"{pointer}/{ANY}", trail)


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


def placed(value: Any, pointer: str = "", most: int | None = None) -> Iterator[tuple[str, Any]]:
    """A value and each member of it, of a list the first `most`, with its place, indices as `*`."""
    yield pointer, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from placed(inner, f"{pointer}/{name}", most)
    elif isinstance(value, list):
        for inner in value[:most]:
            yield from placed(inner, f"{pointer}/{ANY}", most)


def is_put_to(keyword: str, value: Any) -> bool:
    """Whether a keyword says anything of such a value: a `maxLength` does of texts alone."""
    return not isinstance(value, bool) and isinstance(value, OF[keyword]) if keyword in OF else True
