"""Statuses and types are the upper-case words of the contract, on every channel (CASE-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.rule import Finding, Rule
from conformance.views import rest_agents, snapshot_items, statuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Event, Timeline
    from conformance.world.world import World

WORDS = {
    "status": frozenset({"ONLINE", "OFFLINE", "CONNECTING", "ERROR"}),
    "type": frozenset({"CLAUDE", "GEMINI", "CODEX", "CUSTOM"}),
    "activityState": frozenset({"IDLE", "PROCESSING", "QUEUED"}),
    "errorType": frozenset({"CONNECTION", "EXECUTION", "RESOURCE", "UNKNOWN"}),
}
FIELDS = {"agent_type": "type", "agentType": "type"} | {name: name for name in WORDS}


class Place(NamedTuple):
    """Where some of the words must come from the contract's lists."""

    where: Event
    pointer: str
    words: dict[str, str]
    """Field → word."""


def when(t: Timeline) -> Iterator[Place]:
    """Every agent in REST answers, snapshots and events that has a status or type."""
    places = [(i.where, i.pointer, i.value) for view in (rest_agents, snapshot_items, statuses) for i in view(t)]
    for dashboard in t.dashboards:
        places += ((f, "/payload", f.payload) for f in dashboard.of_kind("AGENT_CONNECTED", "AGENT_ERROR"))
    for where, pointer, value in places:
        if words := {name: word for name in FIELDS if isinstance(word := value.get(name), str)}:
            yield Place(where, pointer, words)


def check(place: Place, _t: Timeline) -> Iterator[Finding]:
    """Each word is in its list."""
    for name, word in place.words.items():
        allowed = WORDS[FIELDS[name]]
        if word not in allowed:
            kind = "in the wrong case" if word.upper() in allowed else "not a word of the contract"
            says = f"{name} {word!r:.40} is {kind}"
            yield Finding(says, place.where, f"{place.pointer}/{name}", " or ".join(sorted(allowed)), word)


def upper_case(s: Scene) -> None:
    s.lists(s.row("a1"), s.row("a2", status="ERROR", agent_type="CUSTOM"))
    s.dashboard(s.item("a1", status="OFFLINE")).told("a1", activityState="IDLE")


def rest_status(s: Scene) -> None:
    s.lists(s.row("a1", status="online"))


def rest_type(s: Scene) -> None:
    s.shows(s.row("a1", agent_type="claude"))


def socket_type(s: Scene) -> None:
    s.dashboard().told("a1", type="claude")


def snapshot_status(s: Scene) -> None:
    s.dashboard(s.item("a1", status="online"))


def unknown_word(s: Scene) -> None:
    s.lists(s.row("a1", status="BUSY"))


async def every_channel(world: World) -> None:
    """An agent is shown over REST, in a snapshot and in events."""
    user = world.user()
    early = await user.dashboard()
    agent = await user.agent(agentType="GEMINI")
    beat = await agent.heartbeat()
    await early.sees_beat(agent, beat)
    await user.dashboard()
    await user.rest.get("/agents")
    await user.rest.get(f"/agents/{agent.id}")


RULE = Rule(
    id="casing.upper-case-words",
    clauses=("CASE-1",),
    judges="Every status and type in REST agents, snapshots and events is one of the contract's upper-case words.",
    when=when,
    check=check,
    good=(upper_case,),
    bad=(rest_status, rest_type, socket_type, snapshot_status, unknown_word),
    cases=(every_channel,),
)
