"""What is stored of agents, where the target shows it (DAT-1)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.rule import Finding, Rule, provocation
from conformance.views import heartbeats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Note, Timeline
    from conformance.views import Heartbeat
    from conformance.world.world import World

EVIDENCE = "evidence"
"""The kind of note that holds what the target's evidence command printed."""
WITHIN = 1.0
"""Seconds after which a row must have followed its agent."""
TRIES = 3
NAMED = {"interrupt": "supportsInterrupt", "trace": "supportsTrace"}
WORDS = {"status": "AgentStatus", "type": "AgentType"}

Row = dict[str, Any]


class Shown(NamedTuple):
    """An agent whose row was looked at: when it fitted, else when it had had its time."""

    agent: Connection
    beat: Heartbeat | None
    note: Note
    place: int
    """Where its row stands among the agents of the note; -1 for nowhere."""

    @property
    def row(self) -> Row:
        """Its row."""
        row: Row = self.note.data["agents"][self.place] if self.place >= 0 else {}
        return row


def shown(t: Timeline) -> Iterator[Shown]:
    """Each agent of this timeline, with its latest heartbeat, in the first evidence that fits or the last there is."""
    beats = {b.agent_id: b for b in heartbeats(t)}
    deleted = {e.path.rsplit("/", 1)[-1] for e in t.exchanges if e.operation == "deleteAgent"}
    for agent_id, agent in {a.agent_id: a for a in t.agents if a.agent_id not in deleted}.items():
        looks = [_look(agent, beats.get(agent_id or ""), note) for note in t.notes if note.kind == EVIDENCE]
        fitting = [s for s in looks if s.place >= 0 and (s.beat is None or not _stale(s))]
        late = [s for s in looks if s.note.at > t.bound(_last_word(s), WITHIN)]
        yield from fitting[:1] or late[-1:]


def _look(agent: Connection, beat: Heartbeat | None, note: Note) -> Shown:
    ids = [row.get("id") for row in note.data["agents"]]
    return Shown(agent, beat, note, ids.index(agent.agent_id) if agent.agent_id in ids else -1)


def _last_word(s: Shown) -> float:
    return s.beat.sent.at if s.beat else s.agent.opened.at


def _stale(s: Shown) -> list[str]:
    return reading.differing(metrics_of(s.row), s.beat.metrics) if s.beat else []


def metrics_of(row: Row) -> Any:
    """What stands under `metadata.metrics`."""
    metadata = row.get("metadata")
    return metadata.get("metrics") if isinstance(metadata, dict) else None


def stored_right(s: Shown, t: Timeline) -> Iterator[Finding]:
    """In the normal form, with what the agent announced and last reported."""
    at, evidence = f"/agents/{s.place}", tuple(f for f in (s.agent.init, s.beat and s.beat.sent) if f)
    if s.place < 0:
        yield Finding("no row of an agent is stored", s.note, "/agents", "a row with the agent's id", "none", evidence)
        return
    yield from in_form(s.row, at, s.note, t)
    first = s.note.data["agents"][0]
    yield from same_case(s.row, first, at, s.note)
    kind = s.agent.init.payload.get("agentType") if s.agent.init else None
    if isinstance(s.row.get("type"), str) and s.row["type"].upper() != kind:
        says = "the stored type is another than the announced one"
        yield Finding(says, s.note, at + "/type", f"{kind}, in upper or lower case", s.row["type"], evidence)
    yield from _capabilities(s, at)
    if s.beat:
        yield from _reported(s, s.beat, at, t)


def in_form(row: Row, at: str, note: Note, t: Timeline) -> Iterator[Finding]:
    """A row has the shape of DAT-1, and words that the vocabulary has, in upper or lower case."""
    for v in t.contract.violations("stored-agent.json", row):
        name = v.pointer.split("/")[1] if v.pointer else "row"
        yield Finding(f"{name} is not stored in its normal form", note, at + v.pointer, v.expected, v.got)
    for name, words in WORDS.items():
        value = row.get(name)
        if isinstance(value, str) and not t.contract.shapes.accepts(f"common.json#/$defs/{words}", value.upper()):
            yield Finding(f"the stored {name} is no {words}", note, f"{at}/{name}", f"a word of {words}", value)


def same_case(row: Row, first: Row, at: str, note: Note) -> Iterator[Finding]:
    """One normal form holds for every row."""
    for name in WORDS:
        here, there = row.get(name), first.get(name)
        if isinstance(here, str) and isinstance(there, str) and here.isupper() != there.isupper():
            says = f"{name} is stored in upper case in one row and in lower case in another"
            yield Finding(says, note, f"{at}/{name}", "one form in every row", f"{there} and {here}")


def _capabilities(s: Shown, at: str) -> Iterator[Finding]:
    stored = s.row.get("capabilities")
    announced = s.agent.init.payload.get("capabilities") if s.agent.init else None
    if not isinstance(stored, list) or not isinstance(announced, dict):
        return
    for name, flag in NAMED.items():
        if (name in stored) != (announced.get(flag) is True):
            expected = f"{'' if announced.get(flag) is True else 'no '}{name}, as announced"
            says = "the capabilities column does not hold what the agent announced"
            yield Finding(says, s.note, at + "/capabilities", expected, stored, tuple(f for f in [s.agent.init] if f))


def _reported(s: Shown, beat: Heartbeat, at: str, t: Timeline) -> Iterator[Finding]:
    metrics, at = metrics_of(s.row), at + "/metadata/metrics"
    for name in _stale(s):
        says = f"the stored {name} is not what the last heartbeat reported"
        got = metrics.get(name, "nothing") if isinstance(metrics, dict) else "nothing"
        yield Finding(says, s.note, f"{at}/{name}", f"{beat.metrics[name]}", got, (beat.sent,))
    updated = _unix(metrics.get("lastUpdated")) if isinstance(metrics, dict) else None
    if updated is not None and abs(updated - t.wall(beat.sent.at) / 1000) > t.terms.clock_tolerance + WITHIN:
        says, got = "lastUpdated is not when the metrics came", metrics["lastUpdated"]
        yield Finding(says, s.note, f"{at}/lastUpdated", "the time of the last heartbeat", got, (beat.sent,))


def _unix(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value.upper()).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def stored_row(s: Scene, agent_id: str = "a1", /, **changes: Any) -> Row:
    """A row as it should be; values given replace the right ones, `...` removes a column."""
    right = {
        "id": agent_id,
        "user_id": "alice",
        "name": "Ada",
        "type": "CLAUDE",
        "status": "ONLINE",
        "version": "1.2.0",
        "capabilities": ["basic", "interrupt"],
        "metadata": {"metrics": {**s.metrics, "lastUpdated": _time(s)}},
    }
    return {k: v for k, v in (right | changes).items() if v is not ...}


def _time(s: Scene) -> str:
    return datetime.fromtimestamp(s.now / 1000, UTC).isoformat()


def _seen(s: Scene, *rows: Row, after: float = 0.0) -> None:
    """An agent's heartbeat, and rows shown some time later."""
    s.agent("a1").heartbeats()
    s.wait(after)
    s.note(EVIDENCE, agents=list(rows))


def as_announced(s: Scene) -> None:
    s.agent("a2", agentType="GEMINI")
    _seen(s, stored_row(s), stored_row(s, "a2", type="GEMINI", metadata={}))


def in_lower_case(s: Scene) -> None:
    _seen(s, stored_row(s, type="claude", status="online"))


def a_little_later(s: Scene) -> None:
    _seen(s, stored_row(s, metadata={}))
    s.wait(0.5)
    s.note(EVIDENCE, agents=[stored_row(s)])


def no_row(s: Scene) -> None:
    _seen(s, after=2)


def no_capabilities(s: Scene) -> None:
    _seen(s, stored_row(s, capabilities=None))


def other_capabilities(s: Scene) -> None:
    _seen(s, stored_row(s, capabilities=["basic", "trace"]))


def loose_metrics(s: Scene) -> None:
    loose = {"performance_metrics": {"commands_executed": 3}, "memory_usage": 512, "uptime": 60}
    _seen(s, stored_row(s, metadata=loose), after=2)


def without_last_updated(s: Scene) -> None:
    _seen(s, stored_row(s, metadata={"metrics": s.metrics}))


def updated_long_ago(s: Scene) -> None:
    _seen(s, stored_row(s, metadata={"metrics": {**s.metrics, "lastUpdated": s.born}}))


def stale_metrics(s: Scene) -> None:
    _seen(s, stored_row(s, metadata={"metrics": {**s.metrics, "uptime": 30, "lastUpdated": _time(s)}}), after=2)


def mixed_case(s: Scene) -> None:
    s.agent("a2", agentType="GEMINI")
    _seen(s, stored_row(s), stored_row(s, "a2", type="GEMINI", status="online", metadata={}))


def other_words(s: Scene) -> None:
    _seen(s, stored_row(s, type="LLAMA", status="BUSY"))


@provocation(needs="evidence", budget=45.0)
async def stored(world: World) -> None:
    """Two agents announce themselves, one sends a heartbeat and one leaves; then the target shows what is stored."""
    user = world.user()
    few = {"maxTokens": 4096, "supportsInterrupt": False, "supportsTrace": True}
    agent, other = await asyncio.gather(user.agent(), user.agent(agentType="GEMINI", capabilities=few))
    await other.leave()
    beat = await agent.heartbeat(commandsProcessed=41, uptime=3605, memoryUsage=640.5, cpuUsage=33.25)
    await user.rest.shows(agent.id, beat=beat)
    for _ in range(TRIES):
        note = await world.evidence()
        if note is None or all(s.note is note and not _stale(s) for s in shown(world.timeline())):
            break
        await asyncio.sleep(WITHIN)


RULE = Rule(
    id="stored.agents",
    clauses=("DAT-1",),
    judges="The row of each agent holds what it announced and last reported, in the normal form.",
    when=shown,
    check=stored_right,
    good=(as_announced, in_lower_case, a_little_later),
    bad=(
        no_row,
        no_capabilities,
        other_capabilities,
        loose_metrics,
        without_last_updated,
        updated_long_ago,
        stale_metrics,
        mixed_case,
        other_words,
    ),
    cases=(stored,),
)
