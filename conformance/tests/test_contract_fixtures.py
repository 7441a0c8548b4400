"""Both validators judge the example messages and bodies as they are labelled."""

from pathlib import Path

import pytest

from conformance.tests.contract_files import CLAUSES, FIXTURES, MESSAGES, from_json, violations

GOOD_MESSAGES = sorted((FIXTURES / "messages/good").rglob("*.json"))
BAD_MESSAGES = sorted((FIXTURES / "messages/bad").rglob("*.json"))
GOOD_BODIES = sorted((FIXTURES / "rest/good").rglob("*.json"))
BAD_BODIES = sorted((FIXTURES / "rest/bad").rglob("*.json"))


def _label(path: Path) -> str:
    return path.relative_to(FIXTURES).with_suffix("").as_posix()


def _message_schema(path: Path) -> str:
    return f"asyncapi.yaml#/components/messages/{path.parent.name}.{path.name.split('.')[0]}/payload"


def _body_schema(path: Path) -> str:
    return f"schemas/{path.name.split('.')[0].replace('+', '/')}.json"


@pytest.mark.parametrize("path", GOOD_MESSAGES, ids=_label)
def test_good_message_fits(path: Path) -> None:
    """Both validators find nothing wrong with a good message."""
    assert violations(_message_schema(path), from_json(path)) == {"jsonschema": [], "jsonschema-rs": []}


@pytest.mark.parametrize("path", BAD_MESSAGES, ids=_label)
def test_bad_message_breaks_what_its_label_says(path: Path) -> None:
    """Both validators find one thing wrong with a bad message: the one at its label's pointer and keyword."""
    fixture = from_json(path)
    said = [(fixture["breaks"]["pointer"], fixture["breaks"]["keyword"])]
    assert violations(_message_schema(path), fixture["message"]) == {"jsonschema": said, "jsonschema-rs": said}


@pytest.mark.parametrize("path", GOOD_BODIES, ids=_label)
def test_good_body_fits(path: Path) -> None:
    """Both validators find nothing wrong with a good REST body."""
    assert violations(_body_schema(path), from_json(path)) == {"jsonschema": [], "jsonschema-rs": []}


@pytest.mark.parametrize("path", BAD_BODIES, ids=_label)
def test_bad_body_breaks_what_its_label_says(path: Path) -> None:
    """Both validators find the labelled fault of a bad REST body, or none where a clause's rule must."""
    fixture = from_json(path)
    breaks = fixture["breaks"]
    said = [] if "clause" in breaks else [(breaks["pointer"], breaks["keyword"])]
    assert violations(_body_schema(path), fixture["body"]) == {"jsonschema": said, "jsonschema-rs": said}
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
    message = from_json(path)
    assert message.get("message", message)["type"] == MESSAGES[key]["name"]
