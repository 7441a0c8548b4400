"""The AsyncAPI document: its messages, who exchanges them, its machines, and its causes with their effects."""

import re
from collections import Counter
from typing import Any

import pytest

from conformance.tests.contract_files import (
    ASYNCAPI,
    BASE,
    CLAUSES,
    CONFORMANCE,
    DIRECTIONS,
    MESSAGES,
    OPENAPI,
    OPERATIONS,
    REGISTRY,
    SCHEMAS,
    references,
)


def test_every_schema_of_a_message_is_used() -> None:
    """Each file in schemas/messages is the payload of at least one message, and each message has its file."""
    used = {re.sub(r"#.*", "", ref) for key in MESSAGES for ref in references(MESSAGES[key]["payload"])}
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
