"""What REST says of one agent holds together over time and between its two answers (AGT-6, AGT-7, AGT-8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.rest_views import Row, differences, instant, own_rows, rows, same
from conformance.rule import Finding, Rule
from conformance.views import KEPT_WITHIN, RESTART, Loss, causes, heartbeats, losses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

BEAT: dict[str, Any] = {"commandsProcessed": 41, "uptime": 7200, "memoryUsage": 768.5, "cpuUsage": 33.25}


class Between(NamedTuple):
    """A look at an agent between two equal looks by the other operation."""

    before: Row
    row: Row
    after: Row


def between(t: Timeline) -> Iterator[Between]:
    """Each look at an agent of this timeline that lies between two equal ones by the other operation."""
    for agent_id, user in t.owners.items():
        looks: dict[int, Row] = {}
        for row in own_rows(t, agent_id, user):
            looks.setdefault(row.where.seq, row)  # a list that has it a thousand times is one look
        seen = list(looks.values())
        moments = [c.at for c in causes(t, agent_id)]
        for row in seen:
            others = [r for r in seen if r.where.operation != row.where.operation]
            before = [r for r in others if r.where.ended <= row.where.at][-1:]
            after = [r for r in others if r.where.at >= row.where.ended][:1]
            if not before or not after or differences(before[0].value, after[0].value):
                continue
            if not any(before[0].where.at < m < after[0].where.ended for m in moments):
                yield Between(before[0], row, after[0])


def agree(found: Between, _t: Timeline) -> Iterator[Finding]:
    """Every field is the same."""
    before, row, after = found
    for name in differences(before.value, row.value):
        says = f"{name} differs between the list and the single agent: the two pages contradict each other"
        other = before.value.get(name, "nothing")
        got = row.value.get(name, "nothing")
        yield Finding(says, row.where, f"{row.pointer}/{name}", f"{other}", got, (before.where, after.where))


def list_and_single(s: Scene) -> None:
    s.agent("a1")
    s.lists(s.row("a1", last_metrics=s.metrics, capabilities=["interrupt", "basic"]))
    s.shows(s.row("a1", last_metrics=s.metrics | {"uptime": 60.0}, created_at="2025-10-09T08:00:00.000+00:00", extra=1))
    s.lists(s.row("a1", last_metrics=s.metrics, updated_at="2025-10-09T08:00:00.0004Z"))


def single_still_raw(s: Scene) -> None:
    s.agent("a1")
    s.lists(s.row("a1"))
    s.shows(s.row("a1", agent_id=..., id="a1", agent_type=..., type="claude"))
    s.lists(s.row("a1"))


def other_status(s: Scene) -> None:
    s.agent("a1")
    for status in ("ONLINE", "OFFLINE"):
        s.shows(s.row("a1"))
        s.lists(s.row("a1", status=status))
    s.shows(s.row("a1"))


async def list_single_list(world: World) -> None:
    """The list and the single agent by turns, of an agent that is connected and has left."""
    user = world.user()
    agent = await user.agent(agentType="CODEX")
    await agent.heartbeat(**BEAT)
    await world.quiet()
    for _ in range(2):
        for _ in range(2):
            await user.rest.all_agents()
            await user.rest.get(f"/agents/{agent.id}")
        await agent.leave()
        await user.rest.until(agent.id, lambda row: reading.status(row) == "OFFLINE")
        await world.quiet()


class Step(NamedTuple):
    """Two looks at the same agent, the second begun after the first was answered."""

    first: Row
    second: Row


def steps(t: Timeline) -> Iterator[Step]:
    """Each look at an agent, with the latest one before it."""
    last: dict[tuple[str, str], Row] = {}
    for row in sorted(rows(t, "listAgents", "getAgent", "renameAgent"), key=lambda r: r.where.at):
        key = (row.where.user, row.agent_id or "")
        first = last.get(key)
        if first is not None and first.where.ended <= row.where.at and instant(row.value.get("updated_at")):
            yield Step(first, row)
        if first is None or row.where.ended > first.where.ended:
            last[key] = row


def forward(step: Step, _t: Timeline) -> Iterator[Finding]:
    """`updated_at` is never before what it was, nor before `created_at`."""
    was, now = (instant(r.value.get("updated_at")) for r in step)
    born = instant(step.second.value.get("created_at"))
    at, got = f"{step.second.pointer}/updated_at", step.second.value.get("updated_at")
    if was and now and now < was:
        says = "updated_at went back: clients drop the newer answer as the older one"
        yield Finding(says, step.second.where, at, f"{was.isoformat()} or later", got, (step.first.where,))
    if born and now and now < born:
        yield Finding("updated_at is before created_at", step.second.where, at, f"{born.isoformat()} or later", got)


def later_and_later(s: Scene) -> None:
    s.shows(s.row("a1"))
    s.shows(s.row("a1", updated_at="2025-10-09T10:00:01.5+02:00"))
    s.lists(s.row("a1", updated_at="2025-10-09T08:00:01.500Z"))


def goes_back(s: Scene) -> None:
    s.shows(s.row("a1", updated_at="2025-10-09T08:00:02Z"))
    s.shows(s.row("a1", updated_at="2025-10-09T08:00:01Z"))


def before_its_birth(s: Scene) -> None:
    s.shows(s.row("a1", updated_at="2025-10-09T07:00:00Z"))
    s.shows(s.row("a1", updated_at="2025-10-09T07:00:00Z"))


async def a_life(world: World) -> None:
    """An agent is read after each thing that happens to it: heartbeats, a rename, leaving, coming back."""
    user, agent = world.user(), await world.user().agent()
    path = f"/agents/{agent.id}"
    for _ in range(2):
        await user.rest.get(path)
        await agent.heartbeat(**BEAT)
        await user.rest.until(agent.id, lambda row: row.get("last_metrics") is not None)
        await user.rest.patch(path, {"name": "Renamed"})
        await user.rest.get(path)
        await agent.leave()
        await user.rest.until(agent.id, lambda row: reading.status(row) == "OFFLINE")
        await agent.connect()
    await user.rest.get(path)


class Lost(NamedTuple):
    """A loss, what REST said of the agent before it, and what it says while the agent is away."""

    loss: Loss
    before: Row
    after: Row


def lost(t: Timeline) -> Iterator[Lost]:
    """Each answer about an agent that is away, for losses before which REST had shown its last heartbeat."""
    for loss in losses(t):
        said = [f for f in loss.agent.sent if f.type not in {"PING", "PONG"}]
        seen = own_rows(t, loss.agent_id, loss.agent.user)
        told = [b for b in heartbeats(t) if b.agent_id == loss.agent_id and b.sent.at < loss.closed.at]
        beats = [b.metrics for b in told]
        before = [r for r in seen if said and r.where.at > said[-1].at and r.where.ended <= loss.closed.at][-1:]
        if not before or not beats or before[0].value.get("last_heartbeat") is None or beats.count(beats[-1]) > 1:
            continue
        if any(f.type == "AGENT_HEARTBEAT" and f.at > told[-1].sent.at for f in said):
            continue  # its last one got no answer: nobody knows whether it counts
        due = t.bound(told[-1].sent.at, KEPT_WITHIN)  # a backend that is killed before may have lost it (HB-2)
        if any(n.kind in RESTART and told[-1].sent.at < n.at < due for n in t.notes):
            continue
        if reading.same_metrics(reading.metrics(before[0].value), beats[-1]):
            for row in seen:
                if loss.closed.at <= row.where.at and row.where.ended < loss.back_at:
                    yield Lost(loss, before[0], row)


def kept(found: Lost, _t: Timeline) -> Iterator[Finding]:
    """`last_heartbeat` and `last_metrics` are what they were."""
    loss, before, row = found
    for name in ("last_heartbeat", "last_metrics"):
        was, now = before.value.get(name), row.value.get(name)
        if not same(name, was, now):
            says = f"{name} is not kept when the agent goes away: it is gone exactly when somebody looks for it"
            yield Finding(says, row.where, f"{row.pointer}/{name}", f"{was}", now, (before.where, loss.closed))


def away(s: Scene, **after: object) -> None:
    """An agent that reports, is read, leaves and is read again."""
    agent = s.agent("a1")
    agent.heartbeats()
    s.shows(s.row("a1", last_heartbeat=s.born, last_metrics=s.metrics))
    agent.closes()
    s.shows(s.row("a1", **{"status": "OFFLINE", "last_heartbeat": s.born, "last_metrics": s.metrics, **after}))


def killed_before_it_was_stored(s: Scene) -> None:
    away(s)
    s.wait(2)
    agent = s.agent("a2")
    agent.heartbeats()
    s.shows(s.row("a2", last_heartbeat=s.born, last_metrics=s.metrics))
    s.note(RESTART[0])
    agent.closes("backend", None)
    s.shows(s.row("a2", status="OFFLINE", last_heartbeat=None, last_metrics=None))


def last_words_unanswered(s: Scene) -> None:
    away(s)
    agent = s.agent("a2")
    agent.heartbeats()
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a2", "healthMetrics": s.health | {"cpuUsage": 99}})
    s.shows(s.row("a2", last_heartbeat=s.born, last_metrics=s.metrics))
    agent.closes()
    s.shows(s.row("a2", status="OFFLINE", last_heartbeat=s.born, last_metrics=s.metrics | {"cpuUsage": 99}))


def remembered(s: Scene) -> None:
    away(s, last_heartbeat="2025-10-09T08:00:00.000+00:00")


def heartbeat_wiped(s: Scene) -> None:
    away(s, last_heartbeat=None)


def metrics_wiped(s: Scene) -> None:
    away(s, last_metrics=None)


def leaving_as_heartbeat(s: Scene) -> None:
    away(s, last_heartbeat="2025-10-09T08:00:05Z")


async def read_before_and_after_leaving(world: World) -> None:
    """An agent reports, is read, leaves, and is read again."""
    user, agent = world.user(), await world.user().agent()
    await agent.heartbeat(**BEAT)
    await user.rest.until(agent.id, lambda row: reading.metrics(row) is not None)
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}")
    await agent.leave()
    await user.rest.until(agent.id, lambda row: reading.status(row) == "OFFLINE")
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}")
    await user.rest.all_agents()


RULES = (
    Rule(
        id="agent.list-and-single-agree",
        clauses=("AGT-6",),
        judges="At the same moment the list and the single agent say the same.",
        when=between,
        check=agree,
        good=(list_and_single,),
        bad=(single_still_raw, other_status),
        cases=(list_single_list,),
    ),
    Rule(
        id="agent.updated-at-goes-forward",
        clauses=("AGT-7",),
        judges="updated_at never goes back, and is never before created_at.",
        when=steps,
        check=forward,
        good=(later_and_later,),
        bad=(goes_back, before_its_birth),
        cases=(a_life,),
    ),
    Rule(
        id="agent.last-words-kept",
        clauses=("AGT-8",),
        judges="An agent that went away keeps its last heartbeat and metrics.",
        when=lost,
        check=kept,
        good=(remembered, killed_before_it_was_stored, last_words_unanswered),
        bad=(heartbeat_wiped, metrics_wiped, leaving_as_heartbeat),
        cases=(read_before_and_after_leaving,),
    ),
)
