"""The contract files are valid, agree with one another, and judge the example messages as labelled."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import validate as validate_openapi

from conformance.tests.contract_files import (
    ASYNCAPI,
    BASE,
    CLAUSES,
    CONTRACTS,
    DOCUMENTS,
    OPENAPI,
    OPERATIONS,
    REGISTRY,
    SCHEMAS,
    from_json,
    from_yaml,
    references,
    violations,
)

CORE = """
CASE-1 ENV-1 AUTH-1 AGT-1 AGT-2 AGT-3 AGT-4 AGT-5 WSE-1 WSE-4 WSA-1 DSH-1 DSH-2 STA-1 STA-2 STA-3 DIS-1 DIS-2
CON-2 HB-2 CNS-1 DAT-1 DAT-2
"""

MEMBERS = "level core capability sentence breaks source anchors untestable reference_only decisions"

# Every keyword of JSON Schema 2020-12 that our schemas may use; a validator ignores any other without a word.
KEYWORDS = """
$schema $id $ref $defs $anchor $dynamicRef $dynamicAnchor $comment $vocabulary
allOf anyOf oneOf not if then else dependentSchemas prefixItems items contains
properties patternProperties additionalProperties propertyNames unevaluatedItems unevaluatedProperties
type const enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern
maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired
format contentEncoding contentMediaType contentSchema
title description default deprecated readOnly writeOnly examples
"""
FORMATS = {"date-time", "uuid", "email", "uri"}
MAPS_OF_SCHEMAS = {"$defs", "properties", "patternProperties", "dependentSchemas"}
LISTS_OF_SCHEMAS = {"allOf", "anyOf", "oneOf", "prefixItems"}
ONE_SCHEMA = {
    "not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
}  # fmt: skip


def _subschemas(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return
    yield schema
    for key, value in schema.items():
        if key in MAPS_OF_SCHEMAS:
            for below in value.values():
                yield from _subschemas(below)
        elif key in LISTS_OF_SCHEMAS:
            for below in value:
                yield from _subschemas(below)
        elif key in ONE_SCHEMA:
            yield from _subschemas(value)


def _at(anchor: str) -> Any:
    name, _, pointer = anchor.partition("#")
    node = DOCUMENTS[name]
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node


def test_openapi_is_valid() -> None:
    """The OpenAPI document is valid OpenAPI 3.1."""
    validate_openapi(OPENAPI, base_uri=(CONTRACTS / "openapi.yaml").as_uri())


def test_asyncapi_is_valid() -> None:
    """The AsyncAPI document is valid by the official JSON Schema of AsyncAPI 3.0.0."""
    official = from_json(Path(__file__).parent / "data/asyncapi-3.0.0.json")
    errors = list(jsonschema.Draft7Validator(official).iter_errors(ASYNCAPI))
    assert [f"{e.json_path}: {e.message[:200]}" for e in errors] == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_valid(name: str) -> None:
    """A schema is valid JSON Schema 2020-12, says its own address, title and purpose, and every reference resolves."""
    schema = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == BASE + name
    assert schema["title"]
    assert schema["description"]
    resolver = REGISTRY.resolver(BASE + name)
    for reference in references(schema):
        resolver.lookup(reference)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_has_no_unknown_keyword(name: str) -> None:
    """A schema uses only keywords and formats that validators know, and tolerates further members."""
    for schema in _subschemas(SCHEMAS[name]):
        assert set(schema) <= set(KEYWORDS.split())
        assert schema.get("format", "uuid") in FORMATS
        assert "additionalProperties" not in schema
        assert "unevaluatedProperties" not in schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_a_schema_requires_is_described(name: str) -> None:
    """A required member has a schema of its own, so that no slip in a name goes unseen."""
    for schema in _subschemas(SCHEMAS[name]):
        if "required" in schema and "type" in schema:
            assert set(schema["required"]) <= set(schema["properties"])


@pytest.mark.parametrize("name", ["openapi.yaml", "asyncapi.yaml"])
def test_references_of_documents_resolve(name: str) -> None:
    """Every reference in the OpenAPI and AsyncAPI documents resolves to something."""
    resolver = REGISTRY.resolver(BASE + name)
    for reference in references(DOCUMENTS[name]):
        resolver.lookup(reference)


@pytest.mark.parametrize("name", ["openapi.yaml", "asyncapi.yaml", "clauses.yaml"])
def test_yaml_means_the_same_to_every_reader(name: str) -> None:
    """No key of a YAML document is anything but text, so that YAML 1.1 and 1.2 read the same."""

    def keys(node: Any) -> Any:
        if isinstance(node, dict):
            for key, value in node.items():
                yield key
                yield from keys(value)
        elif isinstance(node, list):
            for value in node:
                yield from keys(value)

    assert [key for key in keys(from_yaml(name)) if not isinstance(key, str)] == []


@pytest.mark.parametrize("name", ["openapi.yaml", "asyncapi.yaml", "clauses.yaml"])
def test_yaml_has_no_key_twice(name: str) -> None:
    """No mapping of a YAML document has a key twice: the first would be lost without a word."""

    def twice(node: yaml.Node | None) -> Any:
        if isinstance(node, yaml.MappingNode):
            counted = Counter(key.value for key, _ in node.value)
            yield from (key for key, times in counted.items() if times > 1)
            for _, value in node.value:
                yield from twice(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                yield from twice(value)

    assert list(twice(yaml.compose((CONTRACTS / name).read_text(), Loader=yaml.CSafeLoader))) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_names_clauses_and_capability(name: str) -> None:
    """An operation names clauses that exist, and among them those of its own capability."""
    said = OPERATIONS[name]["x-conformance"]
    clauses = CLAUSES["clauses"]
    assert set(said["clauses"]) <= set(clauses)
    assert len(said["clauses"]) == len(set(said["clauses"]))
    if said["capability"] is not None:
        assert said["capability"] in {clauses[clause]["capability"] for clause in said["clauses"]}


def test_operation_ids_are_unique() -> None:
    """No two operations have the same operationId."""
    total = sum(isinstance(o, dict) for item in OPENAPI["paths"].values() for k, o in item.items() if k != "servers")
    assert len(OPERATIONS) == total


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_answers_as_every_operation_must(name: str) -> None:
    """An operation that needs a token answers 401, one with a body 400, 413 and 415, and one about an id 404."""
    operation = OPERATIONS[name]
    answers = set(operation["responses"])
    path = next(path for path, item in OPENAPI["paths"].items() if operation in item.values())
    if operation.get("security") != []:
        assert "401" in answers
    if "requestBody" in operation:
        assert {"400", "413", "415"} <= answers
    if "{" in path:
        assert "404" in answers


@pytest.mark.parametrize("clause_id", CLAUSES["clauses"])
def test_clause_is_whole(clause_id: str) -> None:
    """A clause has an id in form, a level, a known capability, a sentence, what it breaks and where it comes from."""
    clause = CLAUSES["clauses"][clause_id]
    assert re.fullmatch(r"[A-Z]{2,4}-R?[0-9]{1,2}", clause_id)
    assert set(clause) == set(MEMBERS.split())
    assert clause["level"] in {"MUST", "SHOULD", "MAY"}
    assert clause["capability"] is None or clause["capability"] in CLAUSES["capabilities"]
    assert clause["sentence"].endswith(".")
    assert ": " in clause["breaks"]
    assert "contract: " in clause["source"]
    assert clause["anchors"]
    assert clause["untestable"] or not clause["reference_only"]


@pytest.mark.parametrize("clause_id", CLAUSES["clauses"])
def test_anchors_of_a_clause_resolve(clause_id: str) -> None:
    """Every anchor of a clause leads to something in the OpenAPI or AsyncAPI document or in a schema."""
    for anchor in CLAUSES["clauses"][clause_id]["anchors"]:
        assert _at(anchor) is not None


def test_core_clauses_are_everybodys() -> None:
    """Every core clause is a MUST, belongs to no capability, and names the part of the plan that it comes from."""
    core = {i: c for i, c in CLAUSES["clauses"].items() if c["core"]}
    assert set(core) == set(CORE.split())
    for clause in core.values():
        assert clause["level"] == "MUST"
        assert clause["capability"] is None
        assert clause["source"].startswith("plan: ")


def test_every_capability_has_a_clause() -> None:
    """No capability is an empty promise."""
    assert set(CLAUSES["capabilities"]) == {c["capability"] for c in CLAUSES["clauses"].values()} - {None}


def test_decisions_about_utc_times_hold() -> None:
    """A UTC time may be written with Z or +00:00, in upper or lower case; another offset, or none, is no UTC time."""
    schema = "schemas/common.json#/$defs/RestTime"
    for good in ("2025-10-30T12:00:00Z", "2025-10-30T12:00:00.123456+00:00", "2025-10-30t12:00:00.1z"):
        assert violations(schema, good) == {"jsonschema": [], "jsonschema-rs": []}
    for bad in ("2025-10-30T12:00:00+02:00", "2025-10-30T12:00:00", "2025-10-30 12:00:00Z", "2025-10-30"):
        found = violations(schema, bad)
        assert found["jsonschema"]
        assert found["jsonschema"] == found["jsonschema-rs"]
