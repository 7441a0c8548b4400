"""Scripts as files: data from outside, checked against `script.schema.json` before anything is played."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson

from conformance.contract.load import contracts_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LARGEST = 4 * 1024 * 1024
NAME = "script.schema.json"


class ScriptError(Exception):
    """A file holds no script; the message is one sentence for a person."""


def read_script(path: Path) -> dict[str, Any]:
    """The script in a file, be it the script alone or a saved failure. Raises `ScriptError`."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        document = orjson.loads(content) if len(content) <= LARGEST else None
    except (OSError, ValueError) as error:
        raise ScriptError(f"{path} holds no script: {error}") from None
    script: dict[str, Any] = document.get("script", document) if isinstance(document, dict) else {}
    if wrong := first_error(script):
        raise ScriptError(f"{path} holds no script: {wrong}")
    return script


def first_error(script: Any) -> str:
    """What is wrong with a script, or an empty string."""
    for error in _validator().iter_errors(script):
        place = "".join(f"/{part}" for part in error.instance_path)
        return f"at {place or '/'} {error.message:.200}"
    return ""


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    place = contracts_dir()
    file = next(p for p in (place / NAME, place.parent / "reports" / NAME) if p.is_file())
    return jsonschema_rs.Draft202012Validator(orjson.loads(file.read_bytes()))


def extent(script: Mapping[str, Any]) -> tuple[int, int]:
    """By what scripts are compared, the smallest first: how many steps they have, then how much they say."""
    return sum(1 for _ in each_step(script)), len(str(script))


def each_step(script: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every step, those that happen together one after the other."""
    for step in script["steps"]:
        yield from step.get("together", [step])
