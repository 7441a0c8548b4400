"""Payloads of client messages, enumerated from their schemas: valid ones, and broken ones.

The enumeration is schemathesis' own: each message is a POST body of a synthetic OpenAPI document, and its coverage
phase walks every keyword, enumerated value and optional field, the same way each time. This module is the only one that
knows that library's inside. What it gives is checked against our own validator before it is used as evidence.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from conformance.contract.shapes import BASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from schemathesis.generation import GenerationMode
    from schemathesis.schemas import APIOperation, BaseSchema

    from conformance.contract.shapes import Shapes


@dataclass(frozen=True, slots=True)
class Payload:
    """One generated value for a message's payload."""

    value: Any
    breaks: str = ""
    """What it was made to break, in the generator's words; empty when it is valid."""


def valid_payloads(shapes: Shapes, schema: str) -> tuple[Payload, ...]:
    """Valid values that together reach each keyword, enumerated value and optional field of a schema."""
    return _enumerated(shapes, schema)[0]


def broken_payloads(shapes: Shapes, schema: str) -> tuple[Payload, ...]:
    """Values that break the schema."""
    return _enumerated(shapes, schema)[1]


@lru_cache(maxsize=256)
def _enumerated(shapes: Shapes, schema: str) -> tuple[tuple[Payload, ...], tuple[Payload, ...]]:
    from schemathesis.generation import GenerationMode  # noqa: PLC0415 - slow, and most runs do without

    operation = _document(shapes)[_path(schema)]["POST"]
    accepts = shapes.accepts
    positive = list(_cases(operation, GenerationMode.POSITIVE))
    right = next((p.value for p in positive if accepts(schema, p.value)), None)
    valid = [p for p in (_mended(shapes, schema, p, right) for p in positive) if accepts(schema, p.value)]
    broken = [p for p in _cases(operation, GenerationMode.NEGATIVE) if not accepts(schema, p.value)]
    apart = [p for b in broken for p in _apart(shapes, schema, b, right)]
    return _each_once(valid), _each_once(apart)


def _each_once(payloads: Iterable[Payload]) -> tuple[Payload, ...]:
    return tuple({json.dumps(p.value, sort_keys=True): p for p in reversed(list(payloads))}.values())[::-1]


def _mended(shapes: Shapes, schema: str, payload: Payload, right: Any, keep: str = "") -> Payload:
    """The payload with its broken members, but one, as in a right value.

    The generator fills in what a case is not about, and not always rightly: an empty text where a UUID or null belongs.
    """
    value = payload.value
    if not isinstance(value, dict) or not isinstance(right, dict):
        return payload
    odd = _odd_members(shapes, schema, value) - {keep}
    rest = {name: inner for name, inner in value.items() if name not in odd}
    return Payload(rest | {name: right[name] for name in odd & right.keys()}, payload.breaks)


def _apart(shapes: Shapes, schema: str, payload: Payload, right: Any) -> list[Payload]:
    """A payload with several broken members as some that have one each."""
    if not isinstance(payload.value, dict) or len(odd := _odd_members(shapes, schema, payload.value)) <= 1:
        return [payload]
    return [_mended(shapes, schema, payload, right, name) for name in sorted(odd)]


def _odd_members(shapes: Shapes, schema: str, value: Mapping[str, Any]) -> set[str]:
    places = (pointer.split("/")[1] for pointer, _ in shapes.broken(schema, value) if pointer)
    return {place.replace("~1", "/").replace("~0", "~") for place in places}


def _cases(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode) -> Iterator[Payload]:
    owner: Any = operation.schema
    config = owner.config.generation_for(operation=operation)
    for case in owner.iter_coverage_cases(operation, generation_modes=[mode], generation_config=config):
        data = case.meta.phase.data
        if case.method == "POST" and case.media_type == "application/json":
            yield Payload(case.body, data.description if mode.is_negative else "")


@lru_cache(maxsize=4)
def _document(shapes: Shapes) -> BaseSchema:
    """Every schema of the contract as the body of an operation of its own."""
    import schemathesis  # noqa: PLC0415 - slow, and most runs do without

    documents = shapes.documents
    paths = {
        _path(name): {
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": _reference(name)}}}},
                "responses": {"200": {"description": "taken"}},
            }
        }
        for name in documents
    }
    schemas = {_key(name): _rewritten(document, name) for name, document in documents.items()}
    loaded: BaseSchema = schemathesis.openapi.from_dict(
        {
            "openapi": "3.1.0",
            "info": {"title": "messages", "version": "1"},
            "paths": paths,
            "components": {"schemas": schemas},
        }
    )
    return loaded


def _rewritten(node: Any, name: str) -> Any:
    """The same schema with references into the synthetic document."""
    if isinstance(node, list):
        return [_rewritten(item, name) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _moved(value, name) if key == "$ref" else _rewritten(value, name)
        for key, value in node.items()
        if key not in {"$id", "$schema"}
    }


def _moved(reference: str, name: str) -> str:
    file, _, pointer = reference.partition("#")
    if file.startswith(BASE):
        return _reference(file.removeprefix(BASE)) + pointer
    return _reference(posixpath.normpath(posixpath.join(posixpath.dirname(name), file)) if file else name) + pointer


def _reference(name: str) -> str:
    return f"#/components/schemas/{_key(name)}"


def _key(name: str) -> str:
    return name.removesuffix(".json").replace("/", "__")


def _path(name: str) -> str:
    return f"/{_key(name)}"
