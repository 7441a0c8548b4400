"""The contract files as plain data, with both validators: what the tests of the contract look at."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "contracts"
FIXTURES = ROOT / "fixtures"
BASE = "https://onsembl.ai/contracts/1.0/"
DIRECTIONS = ("from-agent", "from-dashboard", "to-agent", "to-dashboard")


def from_yaml(name: str) -> Any:
    return yaml.load((CONTRACTS / name).read_bytes(), Loader=yaml.CSafeLoader)


def from_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


CLAUSES = from_yaml("clauses.yaml")
OPENAPI = from_yaml("openapi.yaml")
ASYNCAPI = from_yaml("asyncapi.yaml")
SCHEMAS = {p.relative_to(CONTRACTS).as_posix(): from_json(p) for p in sorted((CONTRACTS / "schemas").rglob("*.json"))}
DOCUMENTS = {**SCHEMAS, "openapi.yaml": OPENAPI, "asyncapi.yaml": ASYNCAPI}
REGISTRY: Registry[Any] = Registry().with_resources(
    (BASE + name, DRAFT202012.create_resource(document)) for name, document in DOCUMENTS.items()
)
RS_REGISTRY = jsonschema_rs.Registry(
    [(BASE + name, document) for name, document in DOCUMENTS.items()], draft=jsonschema_rs.Draft202012
)
MESSAGES = ASYNCAPI["components"]["messages"]
CONFORMANCE = ASYNCAPI["x-conformance"]
OPERATIONS = {
    operation["operationId"]: operation
    for item in OPENAPI["paths"].values()
    for method, operation in item.items()
    if method not in {"servers", "parameters"}
}


def references(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def pointer_of(path: Any) -> str:
    return "".join(f"/{step}" for step in path)


def violations(reference: str, value: Any) -> dict[str, list[tuple[str, str]]]:
    """What each of the two validators finds wrong: pointer and keyword, sorted."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": BASE + reference}
    slow = jsonschema.Draft202012Validator(
        schema, registry=REGISTRY, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    fast = jsonschema_rs.Draft202012Validator(schema, registry=RS_REGISTRY, validate_formats=True)
    return {
        "jsonschema": sorted((pointer_of(e.absolute_path), str(e.validator)) for e in slow.iter_errors(value)),
        "jsonschema-rs": sorted(
            (pointer_of(e.instance_path), [s for s in e.schema_path if isinstance(s, str)][-1])
            for e in fast.iter_errors(value)
        ),
    }
