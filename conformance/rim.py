"""What is taken of JSON that comes from outside: a value nested too deeply to walk is treated as no value."""

from __future__ import annotations

from typing import Any, Final

import orjson

from conformance.timeline import MISSING

DEEPEST: Final = 64
"""Levels of nesting that are taken; the contract's own messages are below 16."""


def is_shallow(value: Any, deepest: int = DEEPEST) -> bool:
    """Whether a JSON value is nested at most so deep; looks level by level, so that depth costs no stack."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(deepest):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            break
    return not level


def as_json(raw: bytes | str) -> Any:
    """The JSON value that a text holds; MISSING when it holds none, or one nested too deeply."""
    try:
        value = orjson.loads(raw)
    except ValueError:
        return MISSING
    opened = raw.count(b"[") + raw.count(b"{") if isinstance(raw, bytes) else raw.count("[") + raw.count("{")
    return value if opened <= DEEPEST or is_shallow(value) else MISSING  # who opens no more is no deeper
