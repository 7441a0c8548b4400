"""Bad JSON, bad envelopes, bad payloads: refused by ERROR, nothing changes, the connection goes on (WSX-1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from conformance import reading
from conformance.dialogue import ANSWER_SECONDS, Said, is_valid, refusal, said, said_as
from conformance.rule import Finding, Rule
from conformance.timeline import MISSING
from conformance.views import rest_agents, statuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.link import Link
    from conformance.world.world import World

WHOLE = 2000
"""The recorder keeps that much of a sent text; of longer ones nothing can be said."""


class Fault(NamedTuple):
    """A message that breaks JSON, the envelope or its payload's schema."""

    said: Said
    what: str


def faulty(t: Timeline) -> Iterator[Fault]:
    """Each faulty message on a socket with a good token."""
    for s in said(t):
        if what := _fault(s, t):
            yield Fault(s, what)


def _fault(s: Said, t: Timeline) -> str:
    frame = s.sent
    if is_valid(s, t):
        return ""
    if len(frame.text or "") >= WHOLE:
        return ""
    if frame.value is MISSING:
        return "" if _is_json(frame.text or "") else "a frame that is not JSON"
    shapes = t.contract.shapes
    if not shapes.accepts("envelope-client.json", frame.value):
        return "a message with a bad envelope"
    message = t.contract.message(f"from-{s.connection.role}", frame.type)
    return f"{frame.type} with a bad payload" if message is not None else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def refused_as_invalid(fault: Fault, t: Timeline) -> Iterator[Finding]:
    """ERROR INVALID_MESSAGE that names it; the connection goes on; nothing of it is seen anywhere."""
    s, what = fault
    codes = ["INVALID_MESSAGE"]
    if not s.ready:
        codes.append("NOT_INITIALIZED")
    if s.sent.type == "AGENT_CONNECT":
        codes.append("FORBIDDEN")
    found = [*refusal(s, t, what, *codes), *traces_of(s, t, what)]
    if found:
        _confirm(s, t)
    yield from found


def _confirm(s: Said, t: Timeline) -> None:
    """Raises `Disagreement` where the second validator has nothing against the message."""
    message = t.contract.message(f"from-{s.connection.role}", s.sent.type)
    if s.sent.value is MISSING or t.contract.violations("envelope-client.json", s.sent.value) or message is None:
        return
    t.contract.violations(message.schema, s.sent.payload)


def traces_of(s: Said, t: Timeline, what: str) -> Iterator[Finding]:
    """Findings where the count of a refused heartbeat, which no other heartbeat reported, is shown all the same."""
    count = _count(s.sent)
    if count is None or t.remember(_reported).get(count, set()) - {s.sent.seq}:
        return
    about = (s.connection.agent_id, s.sent.payload.get("agentId"))  # what was sent may be any JSON
    for item in (*statuses(t), *rest_agents(t)):
        if item.agent_id not in about:
            continue  # others may have done as much
        shown = reading.metrics(item.value)
        if item.where.seq > s.sent.seq and isinstance(shown, dict) and shown.get("commandsExecuted") == count:
            says = f"{what} was refused, and yet its metrics are shown"
            yield Finding(says, item.where, item.pointer, "the metrics from before", shown, (s.sent,))
            return


def _reported(t: Timeline) -> dict[int, set[int]]:
    """Each count that heartbeats reported which were not refused, with the `seq` of these."""
    found: dict[int, set[int]] = {}
    for s in said_as(t, "AGENT_HEARTBEAT"):
        if (count := _count(s.sent)) is not None and not s.errors:
            found.setdefault(count, set()).add(s.sent.seq)
    return found


def _count(frame: Frame) -> int | None:
    health = frame.payload.get("healthMetrics") if frame.type == "AGENT_HEARTBEAT" else None
    count = health.get("commandsProcessed") if isinstance(health, dict) else None
    return count if isinstance(count, int) else None


def _no(code: str, **more: object) -> dict[str, Any]:
    return {"code": code, "message": "No", "recoverable": True, **more}


def each_refused_by_name(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    dashboard.sends_text("{")
    dashboard.gets("ERROR", _no("INVALID_MESSAGE", originalMessageId=None))
    for sent in (dashboard.sends("PING", []), dashboard.sends("PING", {"timestamp": "x"}), dashboard.sends("", {})):
        dashboard.gets("ERROR", _no("INVALID_MESSAGE", originalMessageId=sent.id, further=1))
    beat = agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": {"commandsProcessed": 77}})
    agent.gets("ERROR", _no("INVALID_MESSAGE", originalMessageId=beat.id))
    dashboard.told("a1", metrics=s.metrics)


def another_counts_as_much(s: Scene) -> None:
    each_refused_by_name(s)
    s.lists(s.row("a1"), s.row("of-another-day", last_metrics=s.metrics | {"commandsExecuted": 77}))


def bad_json_swallowed(s: Scene) -> None:
    s.dashboard().sends_text("{")
    s.wait(3)


def bad_json_ends_it(s: Scene) -> None:
    agent = s.agent("a1")
    agent.sends_text("nonsense")
    agent.closes(by="backend", code=1007)


def uncorrelated(s: Scene) -> None:
    dashboard = s.dashboard()
    dashboard.sends("PING", {"timestamp": "x"})
    dashboard.gets("ERROR", _no("INVALID_MESSAGE"))


def bad_payload_served(s: Scene) -> None:
    agent = s.agent("a1")
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a1"})
    agent.gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 1})


def refused_but_shown(s: Scene) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard(s.item("a1"))
    beat = agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": {"commandsProcessed": 77}})
    agent.gets("ERROR", _no("INVALID_MESSAGE", originalMessageId=beat.id))
    dashboard.told("a1", metrics=s.metrics | {"commandsExecuted": 77})


async def bad_frames_from_a_dashboard(world: World) -> None:
    """A dashboard sends what is no JSON, bad envelopes and bad payloads, each beside a good PING."""
    dashboard = await world.user().dashboard()
    await _misbehave(world, dashboard.link)
    bad: dict[str, Any] = {"type": 7}
    sent = await dashboard.link.send("DASHBOARD_SUBSCRIBE", bad)
    await dashboard.link.answer(sent, within=ANSWER_SECONDS)


async def bad_frames_from_an_agent(world: World) -> None:
    """An agent sends the same, and heartbeats without numbers; then its good heartbeat is served."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    await _misbehave(world, agent.link)
    for health in (
        {"commandsProcessed": 730_001},
        {"cpuUsage": "high", "memoryUsage": 1, "uptime": 1, "commandsProcessed": 730_002},
    ):
        sent = await agent.link.send("AGENT_HEARTBEAT", {"agentId": agent.id, "healthMetrics": health})
        await agent.link.answer(sent, "SERVER_HEARTBEAT", within=ANSWER_SECONDS)
    beat = await agent.heartbeat()
    await dashboard.sees_beat(agent, beat)
    await user.rest.get(f"/agents/{agent.id}")


async def _misbehave(world: World, link: Link) -> None:
    await link.fence()
    broken = await link.send_text('{"type": "PING", "payload": {')
    await link.answer(broken, within=ANSWER_SECONDS)
    now = {"timestamp": 1, "sequence": 1}
    envelopes: list[Any] = [
        {"type": ..., "payload": now},
        {"type": 5, "payload": now},
        {"type": "PING", "payload": ...},
        {"type": "PING", "payload": [1]},
        {"type": "PING", "payload": {"timestamp": "soon"}},
        {"type": "PING", "payload": {}},
    ]
    for envelope in envelopes:
        message = {k: v for k, v in envelope.items() if v is not ...} | {"id": world.new_id(), "timestamp": 1}
        sent = await link.send_text(orjson.dumps(message).decode(), value=message)
        await link.answer(sent, "PONG", within=ANSWER_SECONDS)
        if not link.is_open:
            return
    await link.fence()


RULES = (
    Rule(
        id="errors.invalid-message",
        clauses=("WSX-1",),
        judges="Bad JSON, envelopes and payloads get ERROR INVALID_MESSAGE by name, change nothing and end nothing.",
        when=faulty,
        check=refused_as_invalid,
        good=(
            each_refused_by_name,
            another_counts_as_much,
        ),
        bad=(bad_json_swallowed, bad_json_ends_it, uncorrelated, bad_payload_served, refused_but_shown),
        cases=(bad_frames_from_a_dashboard, bad_frames_from_an_agent),
    ),
)
