"""A JSON value over several lines, shortened around one place in it that is marked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: Final = 2
"""Items of an array that are shown whole, beside the one that matters."""
FIELDS: Final = 30
DEEPEST: Final = 8
LONGEST: Final = 200
FLAT: Final = 8
LINE: Final = 80


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `mark`: hit (this is the place), missing (it would stand here), left-out, or empty."""

    indent: int
    text: str
    mark: str = ""


def lines(value: Any, pointer: str = "") -> list[Line]:
    """The lines of a value; `pointer` names the place that matters (an empty one: none)."""
    path = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]] if pointer else None
    return list(_lines(value, path, 0, "", ""))


def _lines(value: Any, path: list[str] | None, depth: int, before: str, after: str) -> Iterator[Line]:
    hit = "hit" if path == [] else ""
    if not isinstance(value, dict | list) or not (value or path) or (not path and _fits_a_line(value)):
        yield Line(depth, before + _short(value) + after, hit)
        return
    if depth >= DEEPEST:
        yield Line(depth, before + ("{…}" if isinstance(value, dict) else "[…]") + after, hit or "left-out")
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield Line(depth, before + opening, hit)
    for line in (
        _fields(value, path or None, depth + 1) if isinstance(value, dict) else _rows(value, path or None, depth + 1)
    ):
        yield Line(line.indent, line.text, hit or line.mark)
    yield Line(depth, closing + after, hit)


def _fits_a_line(value: dict[str, Any] | list[Any]) -> bool:
    """Whether a container is small and flat."""
    inner = value.values() if isinstance(value, dict) else value
    return len(value) <= FLAT and not any(isinstance(v, dict | list) for v in inner) and len(_short(value)) <= LINE


def _fields(value: dict[str, Any], path: list[str] | None, depth: int) -> Iterator[Line]:
    here = path[0] if path else None
    kept = [k for i, k in enumerate(value) if i < FIELDS or k == here]
    for key in kept:
        comma = "," if key != kept[-1] or len(kept) < len(value) else ""
        yield from _lines(value[key], path[1:] if path and key == here else None, depth, f"{_short(key)}: ", comma)
    if len(kept) < len(value):
        yield Line(depth, f"… {len(value) - len(kept)} more fields", "left-out")
    if here is not None and here not in value:
        yield Line(depth, f"{_short(here)} is missing here", "missing")


def _rows(value: list[Any], path: list[str] | None, depth: int) -> Iterator[Line]:
    here = int(path[0]) if path and path[0].isdecimal() and len(path[0]) < len(str(10**9)) else None
    left_out = 0
    for index, row in enumerate(value):
        if index >= ROWS and index != here:
            left_out += 1
            continue
        if left_out:
            yield Line(depth, f"… {left_out} more", "left-out")
            left_out = 0
        comma = "," if index < len(value) - 1 else ""
        yield from _lines(row, path[1:] if path and index == here else None, depth, "", comma)
    if left_out:
        yield Line(depth, f"… {left_out} more", "left-out")
    if path and (here is None or here >= len(value)):
        yield Line(depth, f"item {path[0]:.40} is missing here", "missing")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
