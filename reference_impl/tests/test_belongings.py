"""Presets and constraints over REST (PRE-1, LIM-1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reference_impl.tests.harness import World

PRESET = {"name": "Daily", "content": "Look at {{repo}}", "type": "REVIEW"}
WHOLE = {
    **PRESET,
    "description": "Every morning \0 \N{ROCKET}",
    "targetAgentTypes": ["CODEX", "CLAUDE"],
    "variables": [{"name": "repo", "description": None, "default": "main \0"}, {"name": "branch"}],
}
LIMITS = {
    "name": "Small",
    "description": "tight \0",
    "timeLimitMs": 2**53 - 1,
    "tokenBudget": 1,
    "memoryLimitMb": 0.5,
    "cpuLimitPercent": 100,
    "isDefault": True,
}


@pytest.mark.parametrize(
    ("path", "written", "least", "blank"),
    [
        (
            "/presets",
            WHOLE,
            PRESET,
            {"description": None, "targetAgentTypes": [], "variables": [], "usageCount": 0, "lastUsedAt": None},
        ),
        (
            "/constraints",
            LIMITS,
            {"name": "Least"},
            {
                "description": None,
                "timeLimitMs": None,
                "tokenBudget": None,
                "memoryLimitMb": None,
                "cpuLimitPercent": None,
                "isDefault": False,
            },
        ),
    ],
)
async def test_written_is_read(world: World, path: str, written: Any, least: Any, blank: Any) -> None:
    """What is created and replaced is what is read; what a PUT leaves out is blank again; what is deleted is gone."""
    status, made = await world.rest("POST", path, json=written)
    assert status == 201
    item = made["data"]
    assert {key: item[key] for key in written} == written
    one = f"{path}/{item['id']}"
    assert (await world.rest("GET", one)) == (200, made)
    assert (await world.rest("GET", f"{path}/{item['id'].upper()}")) == (200, made)
    status, replaced = await world.rest("PUT", one, json=least)
    assert (status, {key: replaced["data"][key] for key in (*least, *blank)}) == (200, {**least, **blank})
    assert (replaced["data"]["id"], replaced["data"]["createdAt"]) == (item["id"], item["createdAt"])
    assert replaced["data"]["updatedAt"] >= item["updatedAt"]
    assert await world.rest("GET", one) == (200, replaced)
    assert await world.rest("DELETE", one) == (204, {})
    for method in ("GET", "DELETE", "PUT"):
        assert (await world.rest(method, one, json=least if method == "PUT" else None))[0] == 404


@pytest.mark.parametrize(("path", "least"), [("/presets", PRESET), ("/constraints", {"name": "x"})])
async def test_pages_and_owners(world: World, path: str, least: Any) -> None:
    """Pages meet each item once, newest first; another user's items do not exist."""
    ids = []
    for number in range(5):
        _, made = await world.rest("POST", path, json={**least, "name": f"n{number}"})
        ids.append(made["data"]["id"])
    met = []
    for offset in (0, 2, 4, 6):
        _, page = await world.rest("GET", path, params={"limit": 2, "offset": offset})
        assert page["pagination"] == {"total": 5, "limit": 2, "offset": offset}
        met += page["data"]
    assert {item["id"] for item in met} == set(ids)
    times = [item["createdAt"] for item in met]
    assert times == sorted(times, reverse=True)
    assert (await world.rest("GET", path, "bob"))[1]["pagination"]["total"] == 0
    for method in ("GET", "PUT", "DELETE"):
        body = least if method == "PUT" else None
        foreign = await world.rest(method, f"{path}/{ids[0]}", "bob", json=body)
        missing = await world.rest(method, f"{path}/00000000-0000-4000-8000-000000000000", "bob", json=body)
        malformed = await world.rest(method, f"{path}/no%00id", "bob", json=body)
        assert foreign == missing == malformed
        assert foreign[0] == 404
    assert (await world.rest("GET", f"{path}/{ids[0]}"))[0] == 200


async def test_a_name_is_used_once(world: World) -> None:
    """A preset's name is taken for the same user, case included, and free for another."""
    _, first = await world.rest("POST", "/presets", json=PRESET)
    answers = await asyncio.gather(*(world.rest("POST", "/presets", json=PRESET) for _ in range(3)))
    assert [(status, body["code"]) for status, body in answers] == [(409, "PRESET_NAME_TAKEN")] * 3
    status, other = await world.rest("POST", "/presets", json={**PRESET, "name": "daily"})
    assert status == 201
    assert (await world.rest("POST", "/presets", "bob", json=PRESET))[0] == 201
    one = f"/presets/{other['data']['id']}"
    assert (await world.rest("PUT", one, json=PRESET))[0] == 409
    assert (await world.rest("GET", one))[1] == other
    assert (await world.rest("PUT", f"/presets/{first['data']['id']}", json=PRESET))[0] == 200
    assert (await world.rest("GET", "/presets"))[1]["pagination"]["total"] == 2


async def test_one_default(world: World) -> None:
    """Whoever becomes the default takes that from the one before, also when many try at once; bob keeps his."""
    await world.rest("POST", "/constraints", "bob", json={"name": "his", "isDefault": True})
    bodies = [{"name": f"n{number}", "isDefault": True} for number in range(6)]
    made = await asyncio.gather(*(world.rest("POST", "/constraints", json=body) for body in bodies))
    assert [status for status, _ in made] == [201] * 6
    first = made[0][1]["data"]["id"]
    assert (await world.rest("PUT", f"/constraints/{first}", json={"name": "n0", "isDefault": True}))[0] == 200
    _, mine = await world.rest("GET", "/constraints")
    assert [item["id"] for item in mine["data"] if item["isDefault"]] == [first]
    await world.rest("DELETE", f"/constraints/{first}")
    missing = await world.rest("PUT", f"/constraints/{first}", json={"name": "n0", "isDefault": True})
    assert missing[0] == 404
    _, his = await world.rest("GET", "/constraints", "bob")
    assert [item["isDefault"] for item in his["data"]] == [True]


WRONG = [
    ("/presets", {**PRESET, "name": ""}, "/name"),
    ("/presets", {**PRESET, "name": "x" * 101}, "/name"),
    ("/presets", {**PRESET, "name": None}, "/name"),
    ("/presets", {**PRESET, "content": ""}, "/content"),
    ("/presets", {**PRESET, "content": "x" * 10_001}, "/content"),
    ("/presets", {**PRESET, "type": "review"}, "/type"),
    ("/presets", {**PRESET, "description": "x" * 1_001}, "/description"),
    ("/presets", {**PRESET, "targetAgentTypes": ["GPT"]}, "/targetAgentTypes/0"),
    ("/presets", {**PRESET, "targetAgentTypes": None}, "/targetAgentTypes"),
    ("/presets", {**PRESET, "variables": [{}]}, "/variables/0/name"),
    ("/presets", {**PRESET, "variables": {}}, "/variables"),
    ("/presets", {"name": "a", "content": "b"}, "/type"),
    ("/constraints", {}, "/name"),
    ("/constraints", {"name": "a", "timeLimitMs": 0}, "/timeLimitMs"),
    ("/constraints", {"name": "a", "timeLimitMs": 1.5}, "/timeLimitMs"),
    ("/constraints", {"name": "a", "timeLimitMs": True}, "/timeLimitMs"),
    ("/constraints", {"name": "a", "timeLimitMs": 10**400}, "/timeLimitMs"),
    ("/constraints", {"name": "a", "tokenBudget": "5"}, "/tokenBudget"),
    ("/constraints", {"name": "a", "memoryLimitMb": 0}, "/memoryLimitMb"),
    ("/constraints", {"name": "a", "memoryLimitMb": 10**400}, "/memoryLimitMb"),
    ("/constraints", {"name": "a", "memoryLimitMb": float("nan")}, "/memoryLimitMb"),
    ("/constraints", {"name": "a", "cpuLimitPercent": 100.5}, "/cpuLimitPercent"),
    ("/constraints", {"name": "a", "isDefault": 1}, "/isDefault"),
    ("/constraints", {"name": "\ud800"}, "/name"),
]


async def test_wrong_bodies_change_nothing(world: World) -> None:
    """A body outside the schema answers 400 and says where; nothing is made or changed."""
    kept = {}
    for path, least in (("/presets", PRESET), ("/constraints", {"name": "a"})):
        kept[path] = (await world.rest("POST", path, json=least))[1]["data"]
    for path, body, pointer in WRONG:
        for method, where in (("POST", path), ("PUT", f"{path}/{kept[path]['id']}")):
            status, said = await world.rest(method, where, json=body)
            assert (status, said["code"]) == (400, "VALIDATION_ERROR"), (where, body)
            assert said["details"]["errors"][0]["pointer"] == pointer, (where, body)
    for path, item in kept.items():
        assert (await world.rest("GET", path))[1]["data"] == [item]


async def test_methods(world: World) -> None:
    """A method that is not served is answered with all that are."""
    for path in ("/presets", "/constraints"):
        assert (await world.raw("DELETE", path)).headers["Allow"] == "GET, POST"
        assert (await world.raw("PATCH", f"{path}/x")).headers["Allow"] == "DELETE, GET, PUT"
