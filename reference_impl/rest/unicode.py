"""Texts that JSON can say and no encoding can write: half of a surrogate pair (VAL-6)."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, Final

import orjson

_HALF: Final = re.compile("[\ud800-\udfff]")


def half_pairs(body: bytes) -> list[str]:
    """JSON pointers to the texts and objects that hold one; none for a body that is no JSON, which others refuse."""
    with suppress(ValueError):
        orjson.loads(body)  # which takes none, and is quick
        return []
    try:
        open_ends: list[tuple[str, Any]] = [("", json.loads(body))]
    except (ValueError, RecursionError):
        return []
    found = []
    while open_ends:
        pointer, value = open_ends.pop()
        if isinstance(value, str) and _HALF.search(value):
            found.append(pointer)
        elif isinstance(value, list):
            open_ends += [(f"{pointer}/{index}", item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            if any(_HALF.search(key) for key in value):
                found.append(pointer)  # the member itself cannot be named
            else:
                open_ends += [(f"{pointer}/{_step(key)}", item) for key, item in value.items()]
    return sorted(found)


def _step(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
