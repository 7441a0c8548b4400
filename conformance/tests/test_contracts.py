"""The contract files are valid, agree with one another, and judge the example messages as labelled."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import validate as validate_openapi
from referencing import Registry
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "contracts"
FIXTURES = ROOT / "fixtures"
BASE = "https://onsembl.ai/contracts/1.0/"
DIRECTIONS = ("from-agent", "from-dashboard", "to-agent", "to-dashboard")


def _yaml(name: str) -> Any:
    return yaml.load((CONTRACTS / name).read_bytes(), Loader=yaml.CSafeLoader)


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())


CLAUSES = _yaml("clauses.yaml")
OPENAPI = _yaml("openapi.yaml")
ASYNCAPI = _yaml("asyncapi.yaml")
SCHEMAS = {p.relative_to(CONTRACTS).as_posix(): _json(p) for p in sorted((CONTRACTS / "schemas").rglob("*.json"))}
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
GOOD_MESSAGES = sorted((FIXTURES / "messages/good").rglob("*.json"))
BAD_MESSAGES = sorted((FIXTURES / "messages/bad").rglob("*.json"))
GOOD_BODIES = sorted((FIXTURES / "rest/good").rglob("*.json"))
BAD_BODIES = sorted((FIXTURES / "rest/bad").rglob("*.json"))

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


def _label(path: Path) -> str:
    return path.relative_to(FIXTURES).with_suffix("").as_posix()


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


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _at(anchor: str) -> Any:
    name, _, pointer = anchor.partition("#")
    node = DOCUMENTS[name]
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node


def _pointer(path: Any) -> str:
    return "".join(f"/{step}" for step in path)


def _violations(reference: str, value: Any) -> dict[str, list[tuple[str, str]]]:
    """What each of the two validators finds wrong: pointer and keyword, sorted."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": BASE + reference}
    slow = jsonschema.Draft202012Validator(
        schema, registry=REGISTRY, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    fast = jsonschema_rs.Draft202012Validator(schema, registry=RS_REGISTRY, validate_formats=True)
    return {
        "jsonschema": sorted((_pointer(e.absolute_path), str(e.validator)) for e in slow.iter_errors(value)),
        "jsonschema-rs": sorted(
            (_pointer(e.instance_path), [s for s in e.schema_path if isinstance(s, str)][-1])
            for e in fast.iter_errors(value)
        ),
    }


def _message_schema(path: Path) -> str:
    return f"asyncapi.yaml#/components/messages/{path.parent.name}.{path.name.split('.')[0]}/payload"


def _body_schema(path: Path) -> str:
    return f"schemas/{path.name.split('.')[0].replace('+', '/')}.json"


def test_openapi_is_valid() -> None:
    """The OpenAPI document is valid OpenAPI 3.1."""
    validate_openapi(OPENAPI, base_uri=(CONTRACTS / "openapi.yaml").as_uri())


def test_asyncapi_is_valid() -> None:
    """The AsyncAPI document is valid by the official JSON Schema of AsyncAPI 3.0.0."""
    official = _json(Path(__file__).parent / "data/asyncapi-3.0.0.json")
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
    for reference in _references(schema):
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
    for reference in _references(DOCUMENTS[name]):
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

    assert [key for key in keys(_yaml(name)) if not isinstance(key, str)] == []


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


@pytest.mark.parametrize("path", GOOD_MESSAGES, ids=_label)
def test_good_message_fits(path: Path) -> None:
    """Both validators find nothing wrong with a good message."""
    assert _violations(_message_schema(path), _json(path)) == {"jsonschema": [], "jsonschema-rs": []}


@pytest.mark.parametrize("path", BAD_MESSAGES, ids=_label)
def test_bad_message_breaks_what_its_label_says(path: Path) -> None:
    """Both validators find one thing wrong with a bad message: the one at its label's pointer and keyword."""
    fixture = _json(path)
    said = [(fixture["breaks"]["pointer"], fixture["breaks"]["keyword"])]
    assert _violations(_message_schema(path), fixture["message"]) == {"jsonschema": said, "jsonschema-rs": said}


@pytest.mark.parametrize("path", GOOD_BODIES, ids=_label)
def test_good_body_fits(path: Path) -> None:
    """Both validators find nothing wrong with a good REST body."""
    assert _violations(_body_schema(path), _json(path)) == {"jsonschema": [], "jsonschema-rs": []}


@pytest.mark.parametrize("path", BAD_BODIES, ids=_label)
def test_bad_body_breaks_what_its_label_says(path: Path) -> None:
    """Both validators find the labelled fault of a bad REST body, or none where a clause's rule must."""
    fixture = _json(path)
    breaks = fixture["breaks"]
    said = [] if "clause" in breaks else [(breaks["pointer"], breaks["keyword"])]
    assert _violations(_body_schema(path), fixture["body"]) == {"jsonschema": said, "jsonschema-rs": said}
    assert breaks.get("clause", "AGT-1") in CLAUSES["clauses"]


@pytest.mark.parametrize("key", MESSAGES)
def test_message_has_fixtures(key: str) -> None:
    """Every message has a good example, and two bad ones."""
    direction, kind = key.split(".")
    assert list((FIXTURES / "messages/good" / direction).glob(f"{kind}.*.json"))
    assert len(list((FIXTURES / "messages/bad" / direction).glob(f"{kind}.*.json"))) >= 2


@pytest.mark.parametrize("path", GOOD_MESSAGES + BAD_MESSAGES, ids=_label)
def test_fixture_belongs_to_a_message(path: Path) -> None:
    """An example message stands in the folder of its direction under the name of its type."""
    key = f"{path.parent.name}.{path.name.split('.')[0]}"
    message = _json(path)
    assert message.get("message", message)["type"] == MESSAGES[key]["name"]


def test_every_schema_of_a_message_is_used() -> None:
    """Each file in schemas/messages is the payload of at least one message, and each message has its file."""
    used = {re.sub(r"#.*", "", ref) for key in MESSAGES for ref in _references(MESSAGES[key]["payload"])}
    files = {name for name in SCHEMAS if name.startswith("schemas/messages/")}
    assert {name for name in used if name.startswith("schemas/messages/")} == files


@pytest.mark.parametrize("key", MESSAGES)
def test_message_is_named_after_its_type(key: str) -> None:
    """A message's key is its direction and its wire type, with an underscore where the type has a colon."""
    direction, kind = key.split(".")
    message = MESSAGES[key]
    assert direction in DIRECTIONS
    assert message["name"].replace(":", "_") == kind
    assert message["payload"]["allOf"][1]["properties"]["type"]["const"] == message["name"]
    envelope = "client" if direction.startswith("from") else "server"
    assert message["payload"]["allOf"][0]["$ref"] == f"schemas/envelope-{envelope}.json"
    assert message["title"]
    assert message["summary"]


@pytest.mark.parametrize("key", MESSAGES)
def test_message_is_exchanged(key: str) -> None:
    """A message is received or sent by an operation of its role's channel and of the shared one, and of no other."""
    direction = key.split(".", maxsplit=1)[0]
    action = "receive" if direction.startswith("from") else "send"
    role = direction.split("-")[1]
    where = {
        (operation["action"], operation["channel"]["$ref"].rsplit("/", 1)[1])
        for operation in ASYNCAPI["operations"].values()
        if any(message["$ref"].endswith("/" + key) for message in operation["messages"])
    }
    assert where == {(action, role), (action, "shared")}


@pytest.mark.parametrize("key", [key for key in MESSAGES if key.startswith("from-")])
def test_client_message_says_when_and_what_answers(key: str) -> None:
    """A client's message names states of its connection, and an answer that the server may send to that role."""
    said = MESSAGES[key]["x-conformance"]
    role = key.split(".", maxsplit=1)[0].removeprefix("from-")
    machine = CONFORMANCE["machines"][f"{role}-connection"]
    assert said["states"]
    assert set(said["states"]) <= set(machine["states"])
    assert said["role_message"] == (machine["initial"] in said["states"])
    if said["answer"]["by"] is not None:
        assert f"to-{role}.{said['answer']['by']}" in MESSAGES
    assert said["capability"] is None or said["capability"] in CLAUSES["capabilities"]


@pytest.mark.parametrize("name", CONFORMANCE["machines"])
def test_machine_is_sound(name: str) -> None:
    """A machine's steps join its states, every state is reached, and each step has a cause or an explained end."""
    machine = CONFORMANCE["machines"][name]
    states = set(machine["states"])
    assert machine["initial"] in states
    for step in machine["transitions"]:
        assert {step["from"], step["to"]} <= states
        assert step["on"] in CONFORMANCE["causes"] or step["on"] in CONFORMANCE["ends"]
        assert step["from"] not in machine.get("terminal", ())
    drawn = Counter((step["from"], step["on"]) for step in machine["transitions"])
    assert max(drawn.values()) == 1
    assert states == {machine["initial"]} | {step["to"] for step in machine["transitions"]}


@pytest.mark.parametrize("name", CONFORMANCE["causes"])
def test_cause_names_what_exists(name: str) -> None:
    """A cause and its effects name messages, states, operations, clauses and close codes that exist."""
    cause = CONFORMANCE["causes"][name]
    on = cause["on"]
    machines = CONFORMANCE["machines"]
    states = {*machines["agent-connection"]["states"], *machines["dashboard-connection"]["states"]}
    assert sum(kind in on for kind in ("message", "close", "operation", "silence")) == 1
    if "message" in on:
        assert on["state"] in MESSAGES[on["message"]]["x-conformance"]["states"]
    if "operation" in on:
        assert str(on["status"]) in OPERATIONS[on["operation"]]["responses"]
    assert on.get("state", "opened") in states
    assert cause["effects"]
    for effect in cause["effects"]:
        assert effect["clause"] in CLAUSES["clauses"]
        assert effect.get("level", "MUST") in {"MUST", "SHOULD", "MAY"}
        assert sum(kind in effect for kind in ("message", "rest", "close")) == 1
        if "message" in effect:
            assert effect["message"].startswith("to-")
            assert effect["message"] in MESSAGES
            assert isinstance(effect["times"], int)
            assert effect.get("after", effect["message"]) in MESSAGES
        if "rest" in effect:
            assert effect["rest"] in OPERATIONS
        if "close" in effect:
            assert effect["close"] in CONFORMANCE["closeCodes"]
        assert effect["within_ms"] is None or effect["within_ms"] >= 0


@pytest.mark.parametrize("name", CONFORMANCE["causes"])
def test_cause_points_at_members_that_schemas_describe(name: str) -> None:
    """Each pointer of a cause leads to a member that the message's or the operation's schema describes."""

    def described(reference: str, pointer: str) -> bool:
        found = [REGISTRY.resolver(BASE).lookup(BASE + reference)]
        for token in pointer.split("/")[1:]:
            found = [below for place in found for below in _members(place.contents, place.resolver, token)]
        return bool(found)

    cause = CONFORMANCE["causes"][name]
    on = cause["on"]
    for condition in on.get("where", ()):
        assert described(f"asyncapi.yaml#/components/messages/{on['message']}/payload", condition["pointer"])
    for effect in cause["effects"]:
        for condition in effect.get("where", ()):
            if "message" in effect:
                target = f"asyncapi.yaml#/components/messages/{effect['message']}/payload"
            else:
                target = _pointer_to_answer(effect["rest"])
            assert described(target, condition["pointer"])
            if "same_as" in condition:
                source = (
                    f"asyncapi.yaml#/components/messages/{on['message']}/payload"
                    if "message" in on
                    else _pointer_to_body(on["operation"])
                )
                assert described(source, condition["same_as"])


def _members(schema: Any, resolver: Any, name: str) -> Any:
    """Every schema that describes a member of that name."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        found = resolver.lookup(schema["$ref"])
        yield from _members(found.contents, found.resolver, name)
    for below in schema.get("allOf", ()):
        yield from _members(below, resolver, name)
    if name in schema.get("properties", {}):
        yield type("Place", (), {"contents": schema["properties"][name], "resolver": resolver})


def _place(operation_id: str) -> str:
    for path, item in OPENAPI["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and operation.get("operationId") == operation_id:
                return f"openapi.yaml#/paths/{path.replace('/', '~1').replace('{', '%7B').replace('}', '%7D')}/{method}"
    raise KeyError(operation_id)


def _pointer_to_answer(operation_id: str) -> str:
    return f"{_place(operation_id)}/responses/200/content/application~1json/schema"


def _pointer_to_body(operation_id: str) -> str:
    return f"{_place(operation_id)}/requestBody/content/application~1json/schema"


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
        assert _violations(schema, good) == {"jsonschema": [], "jsonschema-rs": []}
    for bad in ("2025-10-30T12:00:00+02:00", "2025-10-30T12:00:00", "2025-10-30 12:00:00Z", "2025-10-30"):
        found = _violations(schema, bad)
        assert found["jsonschema"]
        assert found["jsonschema"] == found["jsonschema-rs"]
