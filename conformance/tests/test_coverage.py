"""What a run reached is counted on what was said, answered and seen; what was not is told with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.contract import load_contract
from conformance.contract.keywords import asserted
from conformance.coverage import Coverage, Share
from conformance.dialogue import FOREIGN_USER
from conformance.scene import Scene
from conformance.timeline import VALID

CONTRACT = load_contract()


def taken(scene: Scene) -> dict[str, Share]:
    """What a timeline reaches."""
    coverage = Coverage(CONTRACT)
    coverage.take(scene.timeline())
    return coverage.shares()


def asked(*requests: tuple[dict[str, Any], int], credential: str = VALID) -> dict[str, Share]:
    scene = Scene(CONTRACT)
    for request, status in requests:
        body = {"success": status < 400, "data": {}}
        scene.rest("POST", "/presets", status, body, request=request, credential=credential)
    return taken(scene)


LONGEST = "createPreset /name maxLength"
RIGHT = {"name": "n", "content": "Look", "type": "PLAN"}


@pytest.mark.parametrize(
    ("statuses", "why"),
    [
        ((201, None), "no value that breaks it was sent and answered"),
        ((None, 400), "no value that keeps it was sent and answered"),
        ((429, 429), "no value that keeps and none that breaks it was sent and answered"),
        ((201, 400), None),
        ((400, 201), None),
    ],
)
def test_a_keyword_of_a_request_has_two_sides(statuses: tuple[int | None, ...], why: str | None) -> None:
    """A value that keeps it and one that breaks it, both answered, rightly or not; an answer 429 is none."""
    bodies = (RIGHT, RIGHT | {"name": "n" * 101})
    share = asked(*((body, status) for body, status in zip(bodies, statuses, strict=True) if status))["keywords"]
    assert share.why.get(LONGEST) == why
    assert (LONGEST in share.missing) == (why is not None)


def test_what_a_stranger_asks_reaches_no_keyword() -> None:
    """A request without a good token is refused unread."""
    assert LONGEST in asked((RIGHT, 401), (RIGHT | {"name": "n" * 101}, 401), credential="none")["keywords"].missing


def test_a_request_that_needs_no_token_counts_without() -> None:
    """Signing in is asked by nobody in particular."""
    scene = Scene(CONTRACT)
    for body, status in (({"email": "a@example.com"}, 202), ({"email": 5}, 400)):
        scene.rest("POST", "/auth/magic-link", status, {"success": True}, request=body, credential="none")
    found = taken(scene)
    assert "requestMagicLink /email type" not in found["keywords"].missing
    assert "requestMagicLink /email" not in found["fields"].missing


def test_a_query_counts_as_what_it_means() -> None:
    """A limit is a number, kept and broken; that a text is a text cannot be broken, and is not counted."""
    scene = Scene(CONTRACT)
    for limit, status in (("5", 200), ("0", 400), ("x", 400)):
        scene.rest("GET", "/agents", status, {"success": True, "data": []}, query={"limit": limit})
    found = taken(scene)["keywords"]
    assert not {"listAgents ?limit  minimum", "listAgents ?limit  type"} & set(found.missing)
    assert "listAgents ?limit  maximum" in found.missing
    assert found.uncounted["listAgents ?status  type"] == "whatever stands in a query is a text"


def test_a_keyword_of_an_answer_needs_a_value_it_speaks_of() -> None:
    """A description that is null says nothing of its greatest length; why something did not come is told."""
    scene = Scene(CONTRACT)
    preset = CONTRACT.samples.right("preset.json") | {"description": None}
    scene.rest("GET", "/presets/p1", 200, {"success": True, "data": preset})
    found = taken(scene)["keywords"]
    assert "getPreset 200 /data/name type" not in found.missing
    assert found.why["listPresets 200 /data/*/name type"] == "listPresets 200 did not come"
    speechless = {name for name, why in found.why.items() if why == "no value came of which it says anything"}
    assert {name.split()[2] for name in speechless if name.startswith("getPreset 200 ")} <= {"/data/description"}


def test_every_item_of_a_list_has_a_place() -> None:
    """The items of a list are a field of their own."""
    share = asked((RIGHT | {"targetAgentTypes": ["CLAUDE"]}, 201))["fields"]
    assert "createPreset /targetAgentTypes/*" not in share.missing


def test_a_schema_that_contains_itself_is_walked_once() -> None:
    """A trace has children that are traces: there are places of both, and an end."""
    found = {pointer for pointer, _ in asserted(CONTRACT.shapes, "trace-entry.json")}
    assert "/children" in found
    assert max(pointer.count("/children") for pointer in found) <= 2


def test_another_users_dashboard_is_a_step() -> None:
    """A DASHBOARD_INIT that names another user, refused and closed, is a step of the dashboard's machine."""
    scene = Scene(CONTRACT)
    socket = scene.socket("dashboard", credential=FOREIGN_USER)
    asked = socket.sends("DASHBOARD_INIT", {"userId": "somebody-else", "subscriptions": {}})
    socket.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": False, "originalMessageId": asked.id})
    socket.closes(by="backend", code=4003)
    share = taken(scene)["transitions"]
    assert "dashboard-connection opened dashboard.foreign-user closed" not in share.missing
    assert set(share.why) == set(share.missing)
    assert share.uncounted["command QUEUED command.failed FAILED"].startswith("nothing that a client does")
