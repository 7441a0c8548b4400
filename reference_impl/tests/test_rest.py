"""Agents over REST, and everything around a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reference_impl.tests.harness import beat, serving, signed

if TYPE_CHECKING:
    from reference_impl.tests.harness import World

TEN = {
    "agent_id",
    "name",
    "agent_type",
    "status",
    "version",
    "capabilities",
    "last_heartbeat",
    "last_metrics",
    "created_at",
    "updated_at",
}


async def test_agent_has_the_ten_fields(world: World) -> None:
    """An agent is exactly the plan's ten fields, the same in the list and alone."""
    await world.agent("a1", name="Ada")
    _, listed = await world.rest("GET", "/agents")
    _, single = await world.rest("GET", "/agents/a1")
    assert listed["data"] == [single["data"]]
    assert listed["pagination"] == {"total": 1, "limit": 50, "offset": 0}
    agent = single["data"]
    assert agent.keys() == TEN
    assert (agent["name"], agent["agent_type"], agent["status"]) == ("Ada", "CLAUDE", "ONLINE")
    assert agent["capabilities"] == ["basic", "interrupt"]
    assert (agent["last_heartbeat"], agent["last_metrics"]) == (None, None)


async def test_heartbeat_is_read_at_once(world: World) -> None:
    """When a heartbeat has been answered, REST shows its numbers."""
    agent = await world.agent("a1")
    for number in range(5):
        await agent.ask("AGENT_HEARTBEAT", beat("a1", commandsProcessed=number, uptime=1.5))
        _, found = await world.rest("GET", "/agents/a1")
        expected = {"commandsExecuted": number, "uptime": 1.5, "memoryUsage": 256, "cpuUsage": 12.5}
        assert found["data"]["last_metrics"] == expected
        assert found["data"]["last_heartbeat"] == found["data"]["updated_at"]


async def test_offline_agent_keeps_its_last_numbers(world: World) -> None:
    """An agent that has gone still shows its last heartbeat."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    _, before = await world.rest("GET", "/agents/a1")
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    _, after = await world.rest("GET", "/agents/a1")
    assert after["data"]["status"] == "OFFLINE"
    assert {key: after["data"][key] for key in ("last_heartbeat", "last_metrics")} == {
        key: before["data"][key] for key in ("last_heartbeat", "last_metrics")
    }


async def test_pages_hold_every_agent_once(world: World) -> None:
    """Going through the pages meets each agent once, newest first."""
    for number in range(7):
        await world.agent(f"a{number}")
    met = []
    for offset in range(0, 9, 3):
        _, page = await world.rest("GET", "/agents", params={"limit": 3, "offset": offset})
        assert page["pagination"] == {"total": 7, "limit": 3, "offset": offset}
        met += page["data"]
    assert {agent["agent_id"] for agent in met} == {f"a{number}" for number in range(7)}
    assert [(agent["created_at"]) for agent in met] == sorted((agent["created_at"] for agent in met), reverse=True)


async def test_filters_ignore_case(world: World) -> None:
    """Filters take a word in any case, and count only what matches."""
    dashboard = await world.dashboard()
    await world.agent("on")
    gone = await world.agent("off", agentType="CODEX")
    await gone.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    for query, expected in (
        ("status=online", ["on"]),
        ("status=OffLine", ["off"]),
        ("type=codex", ["off"]),
        ("type=CODEX&status=ONLINE", []),
    ):
        _, found = await world.rest("GET", f"/agents?{query}")
        assert [agent["agent_id"] for agent in found["data"]] == expected, query
        assert found["pagination"]["total"] == len(expected)


async def test_wrong_query_is_refused(world: World) -> None:
    """A query outside the schema answers 400 and points at the parameter."""
    for query in (
        "limit=0",
        "limit=101",
        "limit=1.0",
        "limit=",
        "offset=-1",
        "offset=x",
        "status=gone",
        "type=gpt",
        "type=",
    ):
        status, body = await world.rest("GET", f"/agents?{query}")
        assert (status, body["success"], body["code"]) == (400, False, "VALIDATION_ERROR"), query
        assert body["details"]["errors"][0]["pointer"] == "/" + query.partition("=")[0]


async def test_rename_is_told(world: World) -> None:
    """A new name is answered, stored, and told to dashboards."""
    await world.agent("a1")
    dashboard = await world.dashboard()
    status, body = await world.rest("PATCH", "/agents/a1", json={"name": "Grace"})
    assert (status, body["data"]["name"]) == (200, "Grace")
    assert (await dashboard.hear())["payload"]["name"] == "Grace"
    _, found = await world.rest("GET", "/agents/a1")
    assert found["data"] == body["data"]


JSON = "application/json"
WRONG_BODIES = [
    ('{"name": ""}', JSON, 400, "/name"),
    ('{"name": 5}', JSON, 400, "/name"),
    ('{"name": null}', JSON, 400, "/name"),
    ('{"name": "' + "x" * 101 + '"}', JSON, 400, "/name"),
    ("{}", JSON, 400, "/name"),
    ("[]", JSON, 400, ""),
    ("", JSON, 400, ""),
    ('{"name"', JSON, 400, ""),
    ('{"name": "\\ud800"}', JSON, 400, "/name"),
    ("[" * 50_000, JSON, 400, ""),
    ("name=x", "application/x-www-form-urlencoded", 415, None),
    ('{"name": "x"}', "text/plain", 415, None),
]


async def test_wrong_body_changes_nothing(world: World) -> None:
    """A body outside the schema is refused, says where, and leaves the agent alone."""
    await world.agent("a1")
    for body, kind, status, pointer in WRONG_BODIES:
        answered, said = await world.rest("PATCH", "/agents/a1", data=body, headers={"Content-Type": kind})
        assert (answered, said["success"]) == (status, False), body[:50]
        if pointer is not None:
            assert said["details"]["errors"][0]["pointer"] == pointer
    _, found = await world.rest("GET", "/agents/a1")
    assert found["data"]["name"] == "a1"


async def test_delete_only_what_is_not_connected(world: World) -> None:
    """A connected agent cannot be deleted; one that has gone can, once, and dashboards hear of it."""
    agent = await world.agent("a1")
    dashboard = await world.dashboard()
    status, body = await world.rest("DELETE", "/agents/a1")
    assert (status, body["code"]) == (409, "AGENT_CONNECTED")
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    assert await world.rest("DELETE", "/agents/a1") == (204, {})
    assert (await dashboard.until("AGENT_DISCONNECT"))["payload"]["reason"] == "deleted"
    assert (await world.rest("DELETE", "/agents/a1"))[0] == 404
    assert (await world.rest("GET", "/agents"))[1]["data"] == []


async def test_foreign_agent_does_not_exist(world: World) -> None:
    """Another user's agent answers as one that does not exist."""
    await world.agent("mine")
    for method in ("GET", "PATCH", "DELETE"):
        body = {"json": {"name": "x"}} if method == "PATCH" else {}
        foreign = await world.rest(method, "/agents/mine", "bob", **body)
        missing = await world.rest(method, "/agents/nobody", "bob", **body)
        assert foreign == missing == (404, {"success": False, "error": "Agent not found", "code": "AGENT_NOT_FOUND"})
    assert (await world.rest("GET", "/agents", "bob"))[1]["pagination"]["total"] == 0


BAD_TOKENS = {
    "bad signature": signed("alice", secret="another secret that is long enough to sign with"),
    "unsigned": signed("alice", algorithm="none", secret=""),
    "expired": signed("alice", exp=1),
    "not yet valid": signed("alice", nbf=4_000_000_000),
    "refresh": signed("alice", typ="refresh"),
    "no type": signed("alice", typ=None),
    "no expiry": signed("alice", exp=None),
    "unknown subject": signed("mallory", onsembl_provision=None),
    "no subject": signed("alice", sub=None),
    "garbage": "abc.def.ghi",
    "empty": "",
    "two words": "a b",
}


async def test_bad_tokens_open_nothing(world: World) -> None:
    """Every bad token answers 401 with a challenge, also where the path or the query is wrong."""
    headers = [{}, {"Authorization": signed("alice")}, {"Authorization": f"Basic {signed('alice')}"}]
    headers += [{"Authorization": f"Bearer {token}"} for token in BAD_TOKENS.values()]
    for path in ("/agents", "/agents/x", "/nowhere", "/agents?limit=x"):
        for header in headers:
            response = await world.raw("GET", path, None, headers=header)
            assert response.status == 401, (path, header)
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert (await response.json())["success"] is False


async def test_unknown_path_and_method(world: World) -> None:
    """An unknown path answers 404, a wrong method 405 with all methods of the path."""
    for path in ("/nowhere", "/agents/", "/agents/a/b", "/agents/a1/nothing"):
        status, body = await world.rest("GET", path)
        assert (status, body["success"], body["code"]) == (404, False, "NOT_FOUND")
    response = await world.raw("PUT", "/agents/a1")
    assert (response.status, response.headers["Allow"]) == (405, "DELETE, GET, PATCH")
    assert (await response.json())["success"] is False


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_body(world: World, *, chunked: bool) -> None:
    """A body over one mebibyte answers 413, whether its size was announced or not."""
    body = b'{"name": "' + b"x" * 1024 * 1024 + b'"}'
    headers = {"Content-Type": "application/json"}

    async def chunks() -> object:
        yield body

    status, said = await world.rest("PATCH", "/agents/a1", data=chunks() if chunked else body, headers=headers)
    assert (status, said["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_request_id_is_echoed_or_made(world: World) -> None:
    """Every answer has the request id that was sent, or one that was made."""
    sent = await world.raw("GET", "/agents", headers={"X-Request-Id": "abc-1"})
    made = await world.raw("GET", "/nowhere", None)
    assert sent.headers["X-Request-Id"] == "abc-1"
    assert made.headers["X-Request-Id"]
    assert sent.content_type == made.content_type == "application/json"


async def test_versions(world: World) -> None:
    """Version 1 is the default and echoed, version 0 is the old shape, any other is refused."""
    agent = await world.agent("a1")
    await agent.ask("AGENT_HEARTBEAT", beat("a1"))
    assert (await world.raw("GET", "/agents")).headers["X-API-Version"] == "1"
    response = await world.raw("GET", "/agents/a1", headers={"X-API-Version": "0"})
    old = (await response.json())["data"]
    assert response.headers["X-API-Version"] == "0"
    assert (old["id"], old["type"], old["status"], old["user_id"]) == ("a1", "claude", "online", "alice")
    assert old["metadata"]["performance_metrics"]["commands_executed"] == 3
    assert "agent_id" not in old
    status, body = await world.rest("GET", "/agents", headers={"X-API-Version": "2"})
    assert (status, body["code"]) == (400, "UNSUPPORTED_VERSION")


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_documents_need_no_token(world: World, prefix: str) -> None:
    """Health, readiness, metrics and the documents are open."""
    for path in ("/health", "/health/ready", "/metrics", "/openapi.json", "/asyncapi.json"):
        response = await world.session.get(f"{world.url}{prefix}{path}")
        assert response.status == 200, path


async def test_metrics_count_events(world: World) -> None:
    """The plan's counters go up with each event."""
    await world.dashboard()
    await world.agent("a1")
    text = await (await world.session.get(f"{world.url}/metrics")).text()
    assert "websocket_events_agent_status_total 1.0" in text
    assert "websocket_events_dashboard_connected_total 1.0" in text


async def test_before_the_plan(database: str) -> None:
    """With all switches off, REST shows the raw row that the plan complains about."""
    off: dict[str, Any] = {
        "websocket": {"send_initial_agent_list": False, "enrich_status_events": False, "broadcast_disconnects": False},
        "agents": {"uppercase_status_type": False, "enable_caching": False},
        "frontend": {"live_data": False},
    }
    async with serving(database, **off) as world:
        agent = await world.agent("a1")
        await agent.ask("AGENT_HEARTBEAT", beat("a1"))
        _, body = await world.rest("GET", "/agents/a1")
        raw = body["data"]
        assert (raw["id"], raw["type"], raw["status"], raw["capabilities"]) == ("a1", "claude", "online", [])
        assert raw["metadata"]["memory_usage"] == 256
        assert "last_metrics" not in raw
