"""The served OpenAPI document and contracts/openapi.yaml say the same, read in both directions (HLT-1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from openapi_spec_validator import validate

from reference_impl.app import BASE, create_app, make_parts
from reference_impl.settings import Settings
from reference_impl.web.openapi import document

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
METHODS = ("get", "post", "put", "patch", "delete")
WORDS = frozenset({"title", "description", "summary"})
NEVER = frozenset({"$id", "$schema", "$defs"})
NOT_SERVED_YET: frozenset[str] = frozenset()
"""Operations of the contract that are still to be built; empty when the whole contract is served."""
FREE: dict[tuple[str, str], str] = {
    ("logout", "204"): "logout answers 200 or 204 (TOK-2); this server answers 200",
    ("metrics", "application/openmetrics-text"): "one of two text formats; this server writes the other",
}
"""What the contract leaves to the server, with the reason."""


def served() -> dict[str, Any]:
    app: Any = create_app(make_parts(Settings(database_url="never-opened.sqlite3")))
    return document(app)


SERVED: dict[str, Any] = orjson.loads(orjson.dumps(served()))
CONTRACT: dict[str, Any] = yaml.safe_load((CONTRACTS / "openapi.yaml").read_text("utf-8"))


def operations(whole: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each operation by its id, with path and method in it."""
    return {
        one["operationId"]: {**one, "at": (path.removeprefix(BASE), method)}
        for path, methods in whole["paths"].items()
        for method, one in methods.items()
        if method in METHODS
    }


HERE, THERE = operations(SERVED), operations(CONTRACT)
BOTH = sorted(HERE.keys() & THERE.keys())


def follow(reference: str, whole: dict[str, Any], file: str) -> tuple[Any, str]:
    """What a reference means, and the schema file it stands in."""
    path, _, inside = reference.partition("#")
    path = path.removeprefix("schemas/") or file
    found = orjson.loads((CONTRACTS / "schemas" / path).read_bytes()) if path else whole
    for step in inside.split("/")[1:]:
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found, path


def plain(value: Any, whole: dict[str, Any], file: str = "", above: tuple[str, ...] = ()) -> Any:
    """A part of a document with its references followed and its words for people left out."""
    if isinstance(value, list):
        return [plain(item, whole, file, above) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(reference := value.get("$ref"), str):
        found, path = follow(reference, whole, file)
        name = "".join(found.get("description", "")) if isinstance(found, dict) else ""
        return "itself" if name in above else plain(found, whole, path, (*above, name) if name else above)
    return one_form(
        {
            key: plain(item, whole, file, above)
            for key, item in value.items()
            if key not in NEVER and (key not in WORDS or isinstance(item, dict))  # a property may be named `title`
        }
    )


def one_form(schema: dict[str, Any]) -> dict[str, Any]:
    """The one of several ways to say the same: type and null, a constant, bounds of integers."""
    anyof = schema.get("anyOf")
    if isinstance(anyof, list) and {"type": "null"} in anyof and len(anyof) == 2:
        (other,) = [item for item in anyof if item != {"type": "null"}]
        kinds = [*([other["type"]] if isinstance(other.get("type"), str) else other.get("type", [])), "null"]
        schema = {**{key: item for key, item in schema.items() if key != "anyOf"}, **other, "type": kinds}
    if isinstance(schema.get("type"), list):
        schema = {**schema, "type": sorted(schema["type"])}
    if isinstance(schema.get("required"), list):
        schema = {**schema, "required": sorted(schema["required"])}
    if isinstance(schema.get("enum"), list):
        schema = {**schema, "enum": sorted(schema["enum"], key=str)}
    if "const" in schema:
        schema = {key: item for key, item in schema.items() if key != "type"}
    return schema


def without_defaults(schema: Any) -> Any:
    """A body's schema without `default`, which tells a client nothing here."""
    if isinstance(schema, list):
        return [without_defaults(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: without_defaults(item) for key, item in schema.items() if key != "default" or isinstance(item, dict)}


def test_the_served_document_is_openapi() -> None:
    """The served document is valid, refers only to itself and names no answer that is never given."""
    validate(SERVED)
    text = orjson.dumps(SERVED).decode()
    assert '"422"' not in text
    assert '"$ref":"schemas' not in text


def test_the_same_operations() -> None:
    """Every operation of the contract is served, and no other."""
    assert HERE.keys() == THERE.keys() - NOT_SERVED_YET
    assert THERE.keys() >= NOT_SERVED_YET


@pytest.mark.parametrize("name", BOTH)
def test_path_method_and_security(name: str) -> None:
    """An operation is found at the same place, and open to the same callers."""
    assert HERE[name]["at"] == THERE[name]["at"]
    assert HERE[name].get("security", SERVED["security"]) == THERE[name].get("security", CONTRACT["security"])


@pytest.mark.parametrize("name", BOTH)
def test_parameters(name: str) -> None:
    """It takes the same parameters, in the same places, with the same schemas."""

    def parameters(one: dict[str, Any], whole: dict[str, Any]) -> dict[Any, Any]:
        said = [plain(parameter, whole) for parameter in one.get("parameters", ())]
        return {(item["in"], item["name"]): (item.get("required", False), item["schema"]) for item in said}

    assert parameters(HERE[name], SERVED) == parameters(THERE[name], CONTRACT)


@pytest.mark.parametrize("name", BOTH)
def test_body(name: str) -> None:
    """It takes the same body, as strictly."""

    def body(one: dict[str, Any], whole: dict[str, Any]) -> Any:
        said = plain(one.get("requestBody", {}), whole)
        shapes = {kind: without_defaults(item["schema"]) for kind, item in said.get("content", {}).items()}
        return said.get("required", False), shapes

    assert body(HERE[name], SERVED) == body(THERE[name], CONTRACT)


@pytest.mark.parametrize("name", BOTH)
def test_answers(name: str) -> None:
    """It gives the same answers: statuses, headers, media types, schemas, and what can be asked next."""

    def answers(one: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for status, said in one["responses"].items():
            answer = plain(said, whole)
            content = {
                kind: item["schema"] for kind, item in answer.get("content", {}).items() if (name, kind) not in FREE
            }
            headers = {header: item.get("required", False) for header, item in answer.get("headers", {}).items()}
            if (name, status) not in FREE:
                found[status] = (headers, content, answer.get("links", {}))
        return found

    assert answers(HERE[name], SERVED) == answers(THERE[name], CONTRACT)
