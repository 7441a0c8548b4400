"""The audit log: what leaves an entry, and who sees it (AUD-1, AUD-2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import select

from reference_impl.domain.audit import MESSAGES, event_type
from reference_impl.store.account_tables import audit_log
from reference_impl.tests.harness import announcement, beat, serving, signed

if TYPE_CHECKING:
    from reference_impl.parts import Parts
    from reference_impl.tests.harness import Json, World


async def entries(world: World, user: str = "alice", **query: Any) -> list[Json]:
    """The user's entries, oldest first."""
    status, body = await world.rest("GET", "/audit-logs", user, params=query)
    assert status == 200
    return list(reversed(body["data"]))


async def all_rows(world: World) -> list[Any]:
    """Every row, whoever it belongs to."""
    async with world.parts.database._engine.connect() as connection:  # type: ignore[attr-defined]
        return list((await connection.execute(select(audit_log).order_by(audit_log.c.number))).mappings())


async def test_operations_leave_entries(world: World) -> None:
    """Each operation that changed something has its entry when it has been answered; what was refused has none."""
    agent = await world.agent("a1")
    made = (await world.rest("POST", "/constraints", json={"name": "x"}))[1]["data"]["id"]
    await world.rest("PATCH", "/agents/a1", json={"name": "Ada"})
    await world.rest("PATCH", "/agents/a1", json={"name": ""})
    await world.rest("PATCH", "/agents/a2", json={"name": "Ada"})
    await world.rest("DELETE", "/agents/a1")
    await world.rest("GET", "/agents")
    found = await entries(world)
    assert [(entry["eventType"], entry["agentId"]) for entry in found] == [
        ("AGENT_CONNECT", "a1"),
        ("CREATE_CONSTRAINT", None),
        ("RENAME_AGENT", "a1"),
    ]
    assert found[1]["details"]["id"] == made
    assert {entry["userId"] for entry in found} == {"alice"}
    assert {entry["ipAddress"] for entry in found} == {"127.0.0.1"}
    assert found[2]["userAgent"].startswith("Python/")
    await agent.inner.close()


async def test_messages_leave_entries(world: World) -> None:
    """An accepted message that changes something has its entry before its answer; beats and refusals have none."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await agent.ask("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": {}})
    await dashboard.say("AGENT_CONTROL", {"agentId": "a1", "action": "PAUSE", "reason": "lunch"})
    await dashboard.until("ACK")
    await dashboard.say("AGENT_CONTROL", {"agentId": "other", "action": "PAUSE"})
    await dashboard.until("ERROR")
    found = await entries(world, eventType="AGENT_CONTROL")
    assert [(entry["agentId"], entry["details"]) for entry in found] == [
        ("a1", {"socket": "dashboard", "action": "PAUSE", "reason": "lunch"})
    ]
    await dashboard.say("COMMAND_REQUEST", {"agentId": "a1", "content": "x", "type": "PLAN"})
    command = (await dashboard.until("ACK"))["payload"]["commandId"]
    (asked,) = await entries(world, eventType="COMMAND_REQUEST")
    assert (asked["agentId"], asked["commandId"]) == ("a1", command)
    _, made = await world.rest("POST", "/commands", json={"content": "x", "type": "PLAN", "targetAgents": ["a1"]})
    (created,) = await entries(world, eventType="CREATE_COMMAND")
    assert (created["agentId"], created["commandId"]) == ("a1", made["data"]["id"])


async def test_a_lost_agent_leaves_an_entry(world: World) -> None:
    """The end of an agent's connection is written down once, with the reason; its deletion as what it is."""
    dashboard = await world.dashboard()
    agent = await world.agent("a1")
    await agent.inner.close()
    await dashboard.until("AGENT_DISCONNECT")
    await world.rest("DELETE", "/agents/a1")
    await world.parts.audit.flush()
    found = await entries(world)
    assert [entry["eventType"] for entry in found if entry["agentId"] == "a1"].count("AGENT_DISCONNECT") == 1
    assert [entry["eventType"] for entry in found][-1] == "DELETE_AGENT"
    (lost,) = await entries(world, eventType="AGENT_DISCONNECT")
    assert lost["details"] == {"reason": "client_closed"}


async def test_refused_authentication_leaves_an_entry(world: World) -> None:
    """A token that opens nothing is written down for nobody to see: REST, socket and TOKEN_REFRESH alike."""
    await world.rest("GET", "/agents", None)
    await world.rest("POST", "/auth/verify", None, json={"token": "x"})
    refused = await world.socket("/ws/dashboard", token="x")
    await refused.ended()
    dashboard = await world.dashboard()
    await dashboard.ask("TOKEN_REFRESH", {"accessToken": signed("bob")})
    rows = await all_rows(world)
    assert [(row["event_type"], row["user_id"]) for row in rows] == [
        *[("AUTHENTICATION_REFUSED", None)] * 3,
        ("AUTHENTICATION_REFUSED", "alice"),
    ]
    assert rows[0]["details"]["path"] == "/api/v1/agents"
    assert await entries(world, "bob") == []


async def test_filters_and_pages(world: World) -> None:
    """Entries are filtered by type, agent and time, newest first; from is included and to is not."""
    for agent in ("a1", "a2"):
        await world.agent(agent)
        await world.rest("PATCH", f"/agents/{agent}", json={"name": "x"})
    found = await entries(world)
    assert len(found) == 4
    assert [entry["agentId"] for entry in await entries(world, agentId="a2")] == ["a2", "a2"]
    assert len(await entries(world, eventType="RENAME_AGENT", agentId="a1")) == 1
    assert await entries(world, eventType="rename \0") == []
    last = found[-1]["createdAt"]
    assert found[-1] in await entries(world, **{"from": last})
    assert found[-1] not in await entries(world, to=last)
    assert await entries(world, to="0000-01-01t00:00:00z") == []
    assert len(await entries(world, **{"from": "2016-12-31T23:59:60+00:00"})) == 4
    pages = [(await entries(world, limit=1, offset=offset)) for offset in range(5)]
    assert [page[0]["id"] for page in pages[:4]] == [entry["id"] for entry in reversed(found)]
    assert pages[4] == []
    assert (await world.rest("GET", "/audit-logs", "bob"))[1]["pagination"]["total"] == 0


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "from=yesterday", "to=2025-02-30T00:00:00Z", "from=2025-01-01T00:00:00", "agentId=%00"],
)
async def test_wrong_queries(world: World, query: str) -> None:
    """A query outside the schema answers 400 and names the parameter."""
    status, body = await world.rest("GET", f"/audit-logs?{query}")
    assert (status, body["details"]["errors"][0]["pointer"]) == (400, "/" + query.partition("=")[0])


async def test_nobody_changes_the_log(world: World) -> None:
    """There is no method but GET."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        refused = await world.raw(method, "/audit-logs")
        assert (refused.status, refused.headers["Allow"]) == (405, "GET")


async def test_refusals_have_a_bound(database: str) -> None:
    """Old refusals go beyond their bound; what users did stays."""
    async with serving(database, audit={"keep_refusals": 3}) as world:
        await world.agent("a1")
        await asyncio.gather(*(world.rest("GET", "/agents", None) for _ in range(9)))
        await world.parts.audit.forget(world.parts.clock.now_ms())
        kinds = [row["event_type"] for row in await all_rows(world)]
        assert kinds == ["AGENT_CONNECT", *["AUTHENTICATION_REFUSED"] * 3]
        await world.parts.audit.forget(world.parts.clock.now_ms() + 1_000 * 86_400_000)
        assert await all_rows(world) == []


def test_event_types() -> None:
    """The event type is the operation's or the message's name in UPPER_SNAKE."""
    assert event_type("replacePreset") == "REPLACE_PRESET"
    assert event_type("COMMAND_CANCEL") == "COMMAND_CANCEL"
    assert {"AGENT_CONNECT", "COMMAND_REQUEST", "EMERGENCY_STOP", "INVESTIGATION_REPORT"} <= MESSAGES
    assert not MESSAGES & {"AGENT_HEARTBEAT", "PING", "TERMINAL_OUTPUT", "TRACE_EVENT", "DASHBOARD_INIT"}


class Slow:
    """An audit log that keeps nothing until it is told to."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.may = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def add(self, entry: Any) -> None:
        await self.may.wait()
        await self.inner.add(entry)


async def test_answers_wait_for_their_entries(database: str) -> None:
    """No answer goes out before its entry is committed, nor does another overtake it; the next message is served."""
    slow: list[Slow] = []

    def wrap(parts: Parts) -> Parts:
        slow.append(Slow(parts.audit))
        return replace(parts, audit=cast("Any", slow[0]))

    async with serving(database, wrap=wrap) as world:
        watching = await world.dashboard()
        agent = await world.socket("/ws/agent")
        await agent.say("AGENT_CONNECT", announcement("a1"))
        await watching.until("AGENT_STATUS")
        await agent.say("PING", {"timestamp": 1})
        await agent.say("AGENT_HEARTBEAT", beat("a1"))
        await watching.until("AGENT_STATUS")
        renaming = asyncio.create_task(world.rest("PATCH", "/agents/a1", json={"name": "Ada"}))
        assert (await watching.until("AGENT_STATUS"))["payload"]["name"] == "Ada"
        assert await all_rows(world) == []
        assert not renaming.done()
        slow[0].may.set()
        heard = [(await agent.hear())["type"] for _ in range(3)]
        assert heard == ["ACK", "PONG", "SERVER_HEARTBEAT"]
        assert (await renaming)[0] == 200
        assert len(await all_rows(world)) == 2
