"""The numbers of heartbeats are shown in the units in which the agent sent them (UNIT-2)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.rule import Finding, Rule
from conformance.rules.heartbeat import beats_and_reads, followed, told
from conformance.timeline import Frame
from conformance.views import Item, heartbeats, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline

FACTORS = (1000, 1024, 1024 * 1024, 60)


def shown_numbers(t: Timeline) -> Iterator[tuple[Item, Connection]]:
    """Every place that shows metrics of an agent of ours after an accepted heartbeat."""
    for agent in {a.agent_id: a for a in t.agents}.values():
        for item in (*reads(t, agent), *told(t, agent)):
            if isinstance(reading.metrics(item.value), dict) and _sent_before(t, agent, item):
                yield item, agent


def _sent_before(t: Timeline, agent: Connection, item: Item) -> list[dict[str, Any]]:
    return [b.metrics for b in heartbeats(t) if b.agent_id == agent.agent_id and b.sent.seq < item.where.seq]


def same_units(occasion: tuple[Item, Connection], t: Timeline) -> Iterator[Finding]:
    """No number is one that was sent, times or divided by what tells two units apart."""
    item, agent = occasion
    sent, shown = _sent_before(t, agent, item), reading.metrics(item.value)
    for name in ("uptime", "memoryUsage", "cpuUsage"):
        told = {value for s in sent if isinstance(value := s.get(name), int | float)}
        value = shown.get(name)
        if not isinstance(value, int | float) or value in told:
            continue
        kept = "metrics" if isinstance(item.where, Frame) else "last_metrics"
        for right, factor in product(sorted(told), FACTORS):
            if right and value in (right * factor, right / factor):
                says = f"{name} is shown in another unit than the agent sent: by a factor of {factor}"
                yield Finding(says, item.where, f"{item.pointer}/{kept}/{name}", str(right), value)
                break


def milliseconds(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.shows(s.row("a1", last_metrics=s.metrics | {"uptime": 60000}))


RULE = Rule(
    id="heartbeat.units-kept",
    clauses=("UNIT-2",),
    judges="No metric is shown in another unit than the agent sent it in.",
    when=shown_numbers,
    check=same_units,
    good=(followed,),
    bad=(milliseconds,),
    cases=(beats_and_reads,),
)
