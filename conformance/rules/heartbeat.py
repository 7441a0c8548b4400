"""Heartbeats: answered (HB-1), kept (HB-2), and refused when out of range (HB-3)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.dialogue import said_on
from conformance.rule import Finding, Rule
from conformance.views import (
    Heartbeat,
    Item,
    beats_of,
    connections_of,
    heartbeats,
    is_cut_short,
    is_in_shape,
    life_ends,
    reads,
    statuses,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

SCHEMA = "messages/from-agent/AGENT_HEARTBEAT.json"
NAMES = ("commandsProcessed", "uptime", "memoryUsage", "cpuUsage")
NUMBERS = ((1, 77, 641.25, 7.5), (0, 0, 0, 0), (3_000_000_000, 86400.5, 131072.25, 7.523), (2, 154, 642.25, 100))
"""Ordinary numbers, zeros (falsy in many languages), and some that do not fit into small or whole ones."""


class Beat(NamedTuple):
    """A heartbeat as it was sent, valid or not."""

    agent: Connection
    sent: Frame
    answers: list[Frame]


def _beats(t: Timeline, *, valid: bool) -> Iterator[Beat]:
    within = t.contract.within("agent.heartbeat", "to-agent.SERVER_HEARTBEAT")
    for agent in t.agents:
        own = (agent.agent_id, agent.init and agent.init.payload.get("agentId"))  # what was sent may be any JSON
        given = {s.sent.seq: s.answers for s in said_on(agent)}
        for sent in agent.sent:
            ready = agent.accepted is not None and sent.seq > agent.accepted.seq and sent.type == "AGENT_HEARTBEAT"
            if not ready or sent.payload.get("agentId") not in own or not isinstance(sent.value, dict):
                continue
            if t.contract.shapes.accepts(SCHEMA, sent.value.get("payload")) != valid:
                continue
            answers = [f for f in given.get(sent.seq, ()) if f.kind in {"SERVER_HEARTBEAT", "ACK", "ERROR"}]
            if answers or agent.until >= t.bound(sent.at, within):
                yield Beat(agent, sent, answers)


def valid_beats(t: Timeline) -> Iterator[Beat]:
    """Every valid heartbeat whose answer came or was waited for."""
    return _beats(t, valid=True)


def answered(beat: Beat, t: Timeline) -> Iterator[Finding]:
    """By SERVER_HEARTBEAT, within a second, in shape."""
    within = t.contract.within("agent.heartbeat", "to-agent.SERVER_HEARTBEAT")
    expected = f"SERVER_HEARTBEAT within {within:g} s"
    answer = next((f for f in beat.answers if f.kind == "SERVER_HEARTBEAT"), None)
    if answer is None:
        got = beat.answers[0].label if beat.answers else "none"
        yield Finding("a heartbeat is not answered by SERVER_HEARTBEAT", beat.sent, "", expected, got)
        return
    if answer.at > t.bound(beat.sent.at, within):
        late = f"{answer.at - beat.sent.at:.2f} s later"
        yield Finding("SERVER_HEARTBEAT came late", answer, "", expected, late, (beat.sent,))
    for v in t.contract.violations("messages/to-agent/SERVER_HEARTBEAT.json", answer.payload):
        yield Finding(
            "SERVER_HEARTBEAT is out of shape", answer, "/payload" + v.pointer, v.expected, v.got, (beat.sent,)
        )


class Kept(NamedTuple):
    """A heartbeat and what REST said of the agent afterwards, before the next one."""

    beat: Heartbeat
    items: list[Item]


def kept_beats(t: Timeline) -> Iterator[Kept]:
    """Each accepted heartbeat after which REST was read until it followed, or for longer than the bound."""
    beats = list(heartbeats(t))
    for beat in beats:
        if is_cut_short(t, beat):
            continue
        following = [at for at, seq in t.remember(_said, beat.agent_id) if seq > beat.sent.seq]
        end = min([*following, life_ends(t, beat.agent_id, beat.sent)])
        items = [i for i in reads(t, beat.agent) if i.where.seq > beat.answer.seq and i.ended <= end]
        if any(_follows(i, beat) for i in items) or any(i.where.at > t.bound(beat.sent.at, 1.0) for i in items):
            yield Kept(beat, items)


def _said(t: Timeline, agent_id: str) -> list[tuple[float, int]]:
    """When an agent sent valid heartbeats, and their `seq`: also those of which nobody knows what became of them."""
    sent = (f for agent in connections_of(t, agent_id) for f in beats_of(agent))
    return [(f.at, f.seq) for f in sent if is_in_shape(t, f)]


def _follows(item: Item, beat: Heartbeat) -> bool:
    return reading.same_metrics(reading.metrics(item.value), beat.metrics)


def kept(occasion: Kept, t: Timeline) -> Iterator[Finding]:
    """`last_metrics` and `last_heartbeat` follow."""
    beat, items = occasion
    evidence = (beat.sent, beat.answer)
    fitting = [i for i in items if _follows(i, beat)]
    last = (fitting or items)[-1]
    told = reading.metrics(last.value)
    for name in [] if fitting else reading.differing(told, beat.metrics):
        says = f"REST does not show the {name} that the last heartbeat reported"
        got = told.get(name, "nothing") if isinstance(told, dict) else told
        yield Finding(says, last.where, f"{last.pointer}/last_metrics/{name}", f"{beat.metrics[name]}", got, evidence)
    shown = _time_of(last.value)
    at = _unix(shown)
    if shown is None or (at is not None and abs(at - t.wall(beat.sent.at) / 1000) > t.terms.clock_tolerance):
        says = "last_heartbeat does not follow the heartbeat: the agent looks silent"
        yield Finding(says, last.where, f"{last.pointer}/last_heartbeat", "the time of the heartbeat", shown, evidence)


def _unix(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value.upper()).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def _time_of(row: dict[str, Any]) -> Any:
    return row.get("last_heartbeat", row.get("last_ping"))


class Advance(NamedTuple):
    """What REST gave as the time of the last heartbeat before and after one more of them."""

    beat: Heartbeat
    before: Item
    after: Item


def advances(t: Timeline) -> Iterator[Advance]:
    """Each heartbeat with a read before and after it, in fractions of a second; the later read moved on or was late."""
    for beat in heartbeats(t):
        items = [i for i in reads(t, beat.agent) if _unix(_time_of(i.value)) and "." in str(_time_of(i.value))]
        before = [i for i in items if i.where.seq < beat.sent.seq]
        after = [i for i in items if i.where.at > beat.answer.at]
        if not before or not after or is_cut_short(t, beat):
            continue
        old = _time_of(before[-1].value)
        moved = next((i for i in after if _time_of(i.value) != old), None)
        if moved is not None:
            yield Advance(beat, before[-1], moved)
        elif after[-1].where.at > t.bound(beat.sent.at, 1.0):
            yield Advance(beat, before[-1], after[-1])


def moves_on(a: Advance, _t: Timeline) -> Iterator[Finding]:
    """It is later than before."""
    old, new = _time_of(a.before.value), _time_of(a.after.value)
    if (_unix(new) or 0) <= (_unix(old) or 0):
        says = "last_heartbeat does not move on with the heartbeats: the agent looks silent"
        where = f"{a.after.pointer}/last_heartbeat"
        yield Finding(says, a.after.where, where, f"a time after {old}", new, (a.before.where, a.beat.sent))


def invalid_beats(t: Timeline) -> Iterator[Beat]:
    """Every heartbeat out of range or shape whose answer came or was waited for."""
    return _beats(t, valid=False)


def told(t: Timeline, agent: Connection) -> Iterator[Item]:
    """What events say of an agent."""
    return (i for i in statuses(t) if i.agent_id == agent.agent_id)


def refused(beat: Beat, t: Timeline) -> Iterator[Finding]:
    """By ERROR INVALID_MESSAGE, and nothing of it is ever shown."""
    expected = "ERROR INVALID_MESSAGE"
    answer = next(iter(beat.answers), None)
    code = answer.payload.get("code") if answer else None
    if answer is None or answer.kind != "ERROR" or code != "INVALID_MESSAGE":
        got = "no answer" if answer is None else f"{answer.label} {code or ''}".strip()
        yield Finding("a heartbeat out of range is not refused", beat.sent, "/payload/healthMetrics", expected, got)
    wrong = reading.reported(beat.sent.payload.get("healthMetrics"))
    if any(b.agent_id == beat.agent.agent_id and reading.same_metrics(b.metrics, wrong) for b in heartbeats(t)):
        return  # a right heartbeat said the same: whose numbers are shown cannot be told
    for item in (*reads(t, beat.agent), *told(t, beat.agent)):
        metrics = reading.metrics(item.value)
        if item.where.seq > beat.sent.seq and reading.same_metrics(metrics, wrong):
            yield Finding(
                "metrics out of range were stored",
                item.where,
                item.pointer,
                "the metrics before",
                metrics,
                (beat.sent,),
            )


def followed(s: Scene) -> None:
    dashboard, agent = s.dashboard(), s.agent("a1")
    agent.heartbeats()
    s.shows(s.row("a1"))
    dashboard.told("a1", metrics=s.metrics)
    s.shows(s.row("a1", last_heartbeat="2025-10-09T08:53:20.000Z", last_metrics=s.metrics))


def gone_before_the_answer(s: Scene) -> None:
    agent = s.agent("a1")
    agent.heartbeats()
    refreshed = agent.sends("TOKEN_REFRESH", {"accessToken": "t"})
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    agent.gets("ACK", {"messageId": refreshed.id, "success": True})
    agent.closes()


def read_while_the_next_came(s: Scene) -> None:
    time, agent = "2025-10-09T08:53:20.000Z", s.agent("a1")
    agent.heartbeats()
    s.wait(2)
    asked = s.seconds
    agent.heartbeats(commandsProcessed=9)
    s.shows(s.row("a1", last_heartbeat=time, last_metrics=s.metrics | {"commandsExecuted": 9}), at=asked)


def two_and_only_one_came_through(s: Scene, *, kept: int = 1) -> None:
    followed(s)
    agent, time = s.agent("a2"), "2025-10-09T08:53:20.000Z"
    for number in (1, 2):
        agent.sends("AGENT_HEARTBEAT", {"agentId": "a2", "healthMetrics": s.health | {"commandsProcessed": number}})
    agent.gets("SERVER_HEARTBEAT", {"serverTime": s.now, "nextPingExpected": 30000})
    agent.closes()
    s.wait(2)
    metrics = s.metrics | {"commandsExecuted": kept}
    s.shows(s.row("a2", status="OFFLINE", last_heartbeat=time, last_metrics=metrics))


def two_and_one_answer_was_lost(s: Scene) -> None:
    two_and_only_one_came_through(s, kept=2)


def answered_late_of_what_was_before(s: Scene) -> None:
    agent, asked = s.agent("a1"), s.seconds
    for second in (20, 21):
        agent.heartbeats()
        s.shows(s.row("a1", last_heartbeat=f"2025-10-09T08:53:{second}.500Z", last_metrics=s.metrics))
    agent.heartbeats()
    s.shows(s.row("a1", last_heartbeat="2025-10-09T08:53:20.500Z", last_metrics=s.metrics), at=asked + 0.035)
    s.shows(s.row("a1", last_heartbeat="2025-10-09T08:53:22.500Z", last_metrics=s.metrics))


def unanswered(s: Scene) -> None:
    agent = s.agent("a1")
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    s.wait(2)
    agent.closes()


def only_acknowledged(s: Scene) -> None:
    agent = s.agent("a1")
    beat = agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    agent.gets("ACK", {"messageId": beat.id, "success": True})


def not_stored(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.wait(2)
    s.shows(s.row("a1"))


def cpu_zero(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.wait(2)
    s.shows(s.row("a1", last_heartbeat="2025-10-09T08:53:20Z", last_metrics=s.metrics | {"cpuUsage": 0}))


def no_time(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.shows(s.row("a1", last_metrics=s.metrics))


def _two_beats(s: Scene, second: str) -> None:
    agent = s.agent("a1")
    agent.heartbeats()
    s.shows(s.row("a1", last_heartbeat="2025-10-09T08:53:20.100Z", last_metrics=s.metrics))
    s.wait(0.2)
    agent.heartbeats()
    s.wait(2)
    s.shows(s.row("a1", last_heartbeat=second, last_metrics=s.metrics))


def time_moves_on(s: Scene) -> None:
    _two_beats(s, "2025-10-09T08:53:20.350Z")


def time_frozen(s: Scene) -> None:
    _two_beats(s, "2025-10-09T08:53:20.100Z")


def an_hour_ahead(s: Scene) -> None:
    s.agent("a1").heartbeats()
    s.shows(s.row("a1", last_heartbeat="2025-10-09T09:53:20Z", last_metrics=s.metrics))


def _killed(s: Scene, *, after: float) -> None:
    agent, first = s.agent("a1"), "2025-10-09T08:53:20.100Z"
    agent.heartbeats()
    s.shows(s.row("a1", last_heartbeat=first, last_metrics=s.metrics))
    s.wait(2)
    agent.heartbeats(cpuUsage=99)
    s.wait(after)
    s.note("restarting", how="killed")
    agent.closes(by="backend", code=None)
    s.note("restarted")
    s.wait(2)
    s.shows(s.row("a1", status="OFFLINE", last_heartbeat=first, last_metrics=s.metrics))


def killed_before_it_had_to_be_kept(s: Scene) -> None:
    _killed(s, after=0.1)


def forgotten_by_a_kill(s: Scene) -> None:
    _killed(s, after=2)


def refuses(s: Scene) -> None:
    agent = s.agent("a1")
    beat = agent.sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health | {"cpuUsage": 101}})
    agent.gets("ERROR", {"code": "INVALID_MESSAGE", "message": "no", "recoverable": True, "originalMessageId": beat.id})
    s.shows(s.row("a1"))


def accepts_garbage(s: Scene) -> None:
    agent = s.agent("a1")
    agent.heartbeats(cpuUsage=4000)


def stores_garbage(s: Scene) -> None:
    refuses(s)
    s.shows(s.row("a1", last_metrics=s.metrics | {"cpuUsage": 101}))


async def beats_and_reads(world: World) -> None:
    """An agent sends heartbeats with all sorts of numbers; after each one REST is read until it follows."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    before: Any = None
    for numbers in NUMBERS:
        beat = await agent.heartbeat(**dict(zip(NAMES, numbers, strict=True)))
        await dashboard.sees_beat(agent, beat)
        await user.rest.shows(agent.id, beat=beat)
        read = await user.rest.until(agent.id, lambda row, old=before: _time_of(row) != old)  # type: ignore[misc]
        before = _time_of(reading.one(read.value) or {})


async def out_of_range(world: World) -> None:
    """Heartbeats out of range, each followed by a right one, which must be served."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    wrong: list[dict[str, Any]] = [
        {"cpuUsage": 101},
        {"cpuUsage": -1},
        {"memoryUsage": -5},
        {"uptime": -1},
        {"commandsProcessed": -3},
        {"cpuUsage": "12"},
        {"uptime": None},
        {"memoryUsage": True},
    ]
    for step, change in enumerate(wrong):
        await agent.heartbeat(**({"commandsProcessed": 1000 + step} | change))
    for text in ("NaN", "Infinity", "1e999"):
        health = f'{{"cpuUsage": {text}, "memoryUsage": 1, "uptime": 1, "commandsProcessed": 1}}'
        payload = f'{{"agentId": "{agent.id}", "healthMetrics": {health}}}'
        body = f'{{"type": "AGENT_HEARTBEAT", "id": "nan-{text}", "payload": {payload}}}'
        sent = await agent.link.send_text(body)
        await agent.link.until("ERROR", since=sent.seq)
    beat = await agent.heartbeat(commandsProcessed=5, cpuUsage=100)
    await dashboard.sees_beat(agent, beat)
    await user.rest.shows(agent.id, beat=beat)
    await world.quiet()


RULES = (
    Rule(
        id="heartbeat.answered",
        clauses=("HB-1",),
        judges="Every valid heartbeat is answered by SERVER_HEARTBEAT within a second.",
        when=valid_beats,
        check=answered,
        good=(
            followed,
            gone_before_the_answer,
        ),
        bad=(unanswered, only_acknowledged),
        cases=(beats_and_reads,),
    ),
    Rule(
        id="heartbeat.kept",
        clauses=("HB-2",),
        judges="After a heartbeat REST shows its metrics and its time within a second.",
        when=kept_beats,
        check=kept,
        good=(
            followed,
            killed_before_it_had_to_be_kept,
            read_while_the_next_came,
            two_and_only_one_came_through,
            two_and_one_answer_was_lost,
        ),
        bad=(not_stored, cpu_zero, no_time, an_hour_ahead, forgotten_by_a_kill),
        cases=(beats_and_reads,),
    ),
    Rule(
        id="heartbeat.time-moves-on",
        clauses=("HB-2",),
        judges="Each heartbeat moves last_heartbeat on.",
        when=advances,
        check=moves_on,
        good=(
            time_moves_on,
            answered_late_of_what_was_before,
        ),
        bad=(time_frozen,),
        cases=(beats_and_reads,),
    ),
    Rule(
        id="heartbeat.out-of-range-refused",
        clauses=("HB-3",),
        judges="A heartbeat out of range is refused with INVALID_MESSAGE and changes nothing.",
        when=invalid_beats,
        check=refused,
        good=(refuses,),
        bad=(accepts_garbage, stores_garbage),
        cases=(out_of_range,),
    ),
)
