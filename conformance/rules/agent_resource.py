"""The agent as REST shows it: the plan's ten fields, none of the database's names (AGT-1 to AGT-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.rule import Finding, Rule
from conformance.timeline import Exchange
from conformance.views import Item, rest_agents, unknown_connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

DATABASE_NAMES = ("id", "type", "last_ping", "metadata", "user_id")
NUMBERS = ("commandsExecuted", "uptime", "memoryUsage", "cpuUsage")


def fields(item: Item, t: Timeline) -> Iterator[Finding]:
    """The ten fields with their types (what is inside last_metrics is AGT-3's, the words CASE-1's)."""
    for v in t.contract.violations("agent.json", item.value):
        if v.keyword in {"enum", "const"} or v.pointer.startswith("/last_metrics/"):
            continue
        missing = v.keyword == "required"
        name = v.pointer.rsplit("/", 1)[-1]
        says = f"{name} is missing: the frontend reads undefined" if missing else f"{name} is not what it should be"
        yield Finding(says, item.where, item.pointer + v.pointer, v.expected, v.got)


def no_database_names(item: Item, _t: Timeline) -> Iterator[Finding]:
    """None of the five names that AGT-2 forbids."""
    for name in DATABASE_NAMES:
        if name in item.value:
            yield Finding(
                f"{name} is the database's name and must not be sent",
                item.where,
                f"{item.pointer}/{name}",
                "absent",
                item.value[name],
            )


def right_row(s: Scene) -> None:
    s.lists(s.row("a1"), s.row("a2", last_heartbeat=s.born, last_metrics=s.metrics))
    s.shows(s.row("a1", status="OFFLINE", capabilities=[], further="field"))


def in_micros_and_offset(s: Scene) -> None:
    s.shows(s.row("a1", created_at="2025-10-09T08:00:00.123456+00:00"))


def raw_id(s: Scene) -> None:
    s.lists(s.row("a1", agent_id=..., id="a1"))


def raw_type(s: Scene) -> None:
    s.shows(s.row("a1", agent_type=..., type="CLAUDE"))


def last_ping(s: Scene) -> None:
    s.shows(s.row("a1", last_heartbeat=..., last_ping=s.born))


def capabilities_as_text(s: Scene) -> None:
    s.shows(s.row("a1", capabilities="basic"))


def time_as_number(s: Scene) -> None:
    s.shows(s.row("a1", created_at=1760000000))


def leaks_owner(s: Scene) -> None:
    s.lists(s.row("a1", user_id="alice"))


def raw_metadata(s: Scene) -> None:
    s.lists(s.row("a1", metadata={}))


def metrics(item: Item, t: Timeline) -> Iterator[Finding]:
    """`last_metrics` is null or the four numbers; null before the first heartbeat of a new agent."""
    at = f"{item.pointer}/last_metrics"
    if "last_metrics" not in item.value:
        yield Finding("there is no last_metrics", item.where, at, "null or the four numbers", "nothing")
        return
    value = item.value["last_metrics"]
    if value is None:
        return
    for v in t.contract.violations("common.json#/$defs/Metrics", value):
        yield Finding("last_metrics is not the four numbers", item.where, at + v.pointer, v.expected, v.got)
    agent = _newcomer(item, t)
    if agent is not None:
        says = "last_metrics has values although the agent never sent a heartbeat"
        yield Finding(says, item.where, at, "null until the first heartbeat", value, (agent.opened,))


def _newcomer(item: Item, t: Timeline) -> Connection | None:
    """The socket of an agent that this case made, when nothing on the timeline reported metrics before the answer."""
    mine = [a for a in t.agents if a.agent_id == item.agent_id and a.user == getattr(item.where, "user", None)]
    beaten = any(f.type == "AGENT_HEARTBEAT" and f.seq < item.where.seq for a in mine for f in a.sent)
    return None if beaten or not mine else mine[0]


def null_then_numbers(s: Scene) -> None:
    agent = s.agent("a1")
    s.shows(s.row("a1"))
    agent.heartbeats()
    s.shows(s.row("a1", last_heartbeat=s.born, last_metrics=s.metrics))


def metrics_missing(s: Scene) -> None:
    s.shows(s.row("a1", last_metrics=...))


def metrics_without_cpu(s: Scene) -> None:
    s.shows(s.row("a1", last_metrics={k: v for k, v in s.metrics.items() if k != "cpuUsage"}))


def metrics_as_text(s: Scene) -> None:
    s.shows(s.row("a1", last_metrics=s.metrics | {"uptime": "60"}))


def zeros_for_a_newcomer(s: Scene) -> None:
    s.agent("a1")
    s.shows(s.row("a1", last_metrics=dict.fromkeys(NUMBERS, 0)))


def announced_agents(t: Timeline) -> Iterator[tuple[Item, Connection]]:
    """REST rows of agents whose capabilities the tester announced."""
    for item in rest_agents(t):
        last = [a for a in t.agents if a.agent_id == item.agent_id and a.accepted and a.accepted.seq < item.where.seq]
        if last and last[-1].user == getattr(item.where, "user", None) and not _announcing(t, item):
            yield item, last[-1]


def _announcing(t: Timeline, item: Item) -> bool:
    """Whether the agent was announced anew while it was read: then it may have been either."""
    read = item.where
    end = read.ended if isinstance(read, Exchange) else read.at
    theirs = [c for c in t.agents if c.agent_id == item.agent_id] + unknown_connections(t, item.agent_id)
    mine = (c for c in theirs if c.init and c.init.at < end)
    return any(c.accepted is None or c.accepted.at > read.at for c in mine)


def capabilities(occasion: tuple[Item, Connection], _t: Timeline) -> Iterator[Finding]:
    """`basic`, and `interrupt` and `trace` exactly as announced."""
    item, agent = occasion
    announced = agent.init.payload.get("capabilities") if agent.init else None
    flags = announced if isinstance(announced, dict) else {}
    wanted = [
        "basic",
        *(["interrupt"] if flags.get("supportsInterrupt") else []),
        *(["trace"] if flags.get("supportsTrace") else []),
    ]
    unwanted = {"interrupt", "trace"} - set(wanted)
    got = item.value.get("capabilities")
    words = got if isinstance(got, list) else []
    if set(wanted) - set(map(str, words)) or unwanted & set(map(str, words)):
        says = "capabilities are not those the agent announced"
        evidence = (agent.init,) if agent.init else ()
        yield Finding(
            says, item.where, f"{item.pointer}/capabilities", f"an array holding {', '.join(wanted)}", got, evidence
        )


def as_announced(s: Scene) -> None:
    s.agent("a1", capabilities={"maxTokens": 1, "supportsInterrupt": True, "supportsTrace": False})
    s.shows(s.row("a1", capabilities=["basic", "interrupt", "of-our-own"]))


def announced_anew_and_cut_off(s: Scene) -> None:
    as_announced(s)
    s.agent("a2").closes()
    again = s.socket("agent")
    able = {"maxTokens": 1, "supportsInterrupt": False, "supportsTrace": True}
    who = {"agentId": "a2", "agentType": "CLAUDE", "version": "1", "hostMachine": "h", "capabilities": able}
    again.sends("AGENT_CONNECT", who)
    again.closes(by="backend", code=None)
    s.shows(s.row("a2", status="OFFLINE", capabilities=["basic", "trace"]))


def empty_although_announced(s: Scene) -> None:
    s.agent("a1")
    s.lists(s.row("a1", capabilities=[]))


def trace_not_announced(s: Scene) -> None:
    s.agent("a1")
    s.lists(s.row("a1", capabilities=["basic", "interrupt", "trace"]))


async def newcomer_then_heartbeat(world: World) -> None:
    """A new agent is read before and after its first heartbeat, in the list and by itself."""
    user = world.user()
    agent = await user.agent(capabilities={"maxTokens": 4096, "supportsInterrupt": True, "supportsTrace": False})
    await _both(world, agent.id)
    await agent.heartbeat(commandsProcessed=7, uptime=3600, memoryUsage=1024.5, cpuUsage=42.5)
    await _both(world, agent.id)


async def plain_agent(world: World) -> None:
    """An agent that announces neither interrupts nor traces, and one that announces both."""
    user = world.user()
    for able in (False, True):
        flags = {"maxTokens": 1, "supportsInterrupt": able, "supportsTrace": able}
        agent = await user.agent(agentType="CODEX", capabilities=flags)
        await _both(world, agent.id)
        await agent.leave()


async def _both(world: World, agent_id: str) -> None:
    rest = world.user().rest
    await rest.all_agents()
    await rest.get(f"/agents/{agent_id}")


RULES = (
    Rule(
        id="agent.ten-fields",
        clauses=("AGT-1",),
        judges="Every agent in a REST answer has the plan's ten fields, each of its type.",
        when=rest_agents,
        check=fields,
        good=(right_row, in_micros_and_offset),
        bad=(raw_id, raw_type, last_ping, capabilities_as_text, time_as_number),
        cases=(newcomer_then_heartbeat, plain_agent),
    ),
    Rule(
        id="agent.no-database-names",
        clauses=("AGT-2",),
        judges="No agent in a REST answer carries id, type, last_ping, metadata or user_id.",
        when=rest_agents,
        check=no_database_names,
        good=(right_row,),
        bad=(raw_id, raw_type, last_ping, leaks_owner, raw_metadata),
        cases=(newcomer_then_heartbeat,),
    ),
    Rule(
        id="agent.metrics-structured",
        clauses=("AGT-3",),
        judges="last_metrics is null before the first heartbeat and the four numbers after it.",
        when=rest_agents,
        check=metrics,
        good=(right_row, null_then_numbers),
        bad=(metrics_missing, metrics_without_cpu, metrics_as_text, zeros_for_a_newcomer),
        cases=(newcomer_then_heartbeat,),
    ),
    Rule(
        id="agent.capabilities-as-announced",
        clauses=("AGT-4",),
        judges="capabilities hold basic, and interrupt and trace exactly as the agent announced them.",
        when=announced_agents,
        check=capabilities,
        good=(as_announced, announced_anew_and_cut_off),
        bad=(empty_although_announced, trace_not_announced),
        cases=(newcomer_then_heartbeat, plain_agent),
    ),
)
