"""The pure part: steps of agents, subscriptions, pacing, rates, rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from reference_impl.domain.agents import Agent, Announcement, Failure, Flags, Metrics
from reference_impl.domain.catalogue import FROM_CLIENT, KNOWN
from reference_impl.domain.legacy_rows import capabilities_of, metadata_of, old_metadata_of, status_of, type_of
from reference_impl.domain.machine import AgentMachine
from reference_impl.domain.pacing import Pacer, RateLimit
from reference_impl.domain.subscriptions import Subscriptions
from reference_impl.domain.times import parse_ms, rfc3339
from reference_impl.domain.vocabulary import AgentStatus, AgentType, is_agent_id
from reference_impl.live.handlers import HANDLERS
from reference_impl.store.rows import agent_of, row_of

quick = settings(max_examples=60, deadline=None, database=None)

times = some.integers(0, 4_102_444_800_000)
amounts = some.one_of(some.integers(0, 2**53), some.floats(0, 1e300))
flags = some.builds(Flags, some.integers(0, 10**6), some.booleans(), some.booleans())
metrics = some.builds(Metrics, some.integers(0, 2**53), amounts, amounts, some.floats(0, 100), times)
announcements = some.builds(
    Announcement,
    some.just("a1"),
    some.none() | some.text(min_size=1, max_size=100),
    some.sampled_from(AgentType),
    some.text(max_size=20),
    some.text(max_size=20),
    flags,
)
json_values: some.SearchStrategy[Any] = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=10,
)
old_keys = some.sampled_from(["performance_metrics", "memory_usage", "uptime", "cpu_usage", "metrics", "capabilities"])
blobs = json_values | some.dictionaries(old_keys, json_values)

machine = AgentMachine()


def new_agent(said: Announcement, now: int = 1000) -> Agent:
    return machine.register(None, said, user_id="alice", connection_id="c", now=now)


@given(announcements, some.lists(some.tuples(some.sampled_from(["beat", "fail", "lose", "rename", "again"]), times)))
@quick
def test_time_never_goes_back(said: Announcement, steps: list[tuple[str, int]]) -> None:
    """Whatever happens to an agent, updated_at and last_heartbeat never go back, id and created_at stay."""
    agent = new_agent(said)
    for step, now in steps:
        before = agent
        if step == "beat":
            agent = machine.beat(agent, Metrics(1, 2, 3, 4, now), now)
        elif step == "fail":
            agent = machine.fail(agent, Failure("UNKNOWN", "x", recoverable=False), now)
        elif step == "lose":
            agent = machine.lose(agent, now)
        elif step == "rename":
            agent = machine.rename(agent, "x", now)
        else:
            agent = machine.register(agent, said, user_id="alice", connection_id="d", now=now)
        assert agent.updated_at >= before.updated_at
        assert (agent.last_heartbeat or 0) >= (before.last_heartbeat or 0)
        assert (agent.agent_id, agent.created_at) == (before.agent_id, before.created_at)


@given(announcements, metrics)
@quick
def test_heartbeat_leaves_everything_else(said: Announcement, numbers: Metrics) -> None:
    """A heartbeat sets metrics and time, and nothing else; units stay as they were sent."""
    agent = new_agent(said)
    beaten = machine.beat(agent, numbers, numbers.last_updated)
    seen = numbers.last_updated
    assert beaten == replace(agent, metrics=numbers, updated_at=beaten.updated_at, last_heartbeat=seen)


@given(announcements, announcements, metrics)
@quick
def test_reconnecting_keeps_history(first: Announcement, second: Announcement, numbers: Metrics) -> None:
    """Connecting again keeps heartbeat and metrics, takes version and capabilities, and ends an ERROR."""
    agent = machine.beat(new_agent(first), numbers, numbers.last_updated)
    failed = machine.fail(agent, Failure("UNKNOWN", "x", recoverable=False), 1)
    assert failed.status is AgentStatus.ERROR
    again = machine.register(machine.lose(failed, 1), second, user_id="alice", connection_id="d", now=1)
    assert (again.metrics, again.last_heartbeat) == (agent.metrics, agent.last_heartbeat)
    assert (again.version, again.capabilities) == (second.version, second.flags.names())
    assert again.name == (second.name or agent.name)
    assert again.status is AgentStatus.ONLINE


@given(
    announcements,
    some.none() | metrics,
    some.dictionaries(some.text().filter(lambda key: key != "metrics"), json_values),
)
@quick
def test_rows_keep_agents(said: Announcement, numbers: Metrics | None, metadata: dict[str, Any]) -> None:
    """An agent that is written as a row and read back is the same agent."""
    agent = replace(new_agent(said), metrics=numbers, metadata=metadata)
    assert agent_of(row_of(agent)) == agent


@given(blobs, some.sampled_from(["2025-10-01T00:00:00.000Z"]))
@quick
def test_metadata_is_moved_once_and_back(blob: Any, seen: str) -> None:
    """Moving metadata twice is moving it once; rolled back and moved again, it is the same."""
    moved = metadata_of(blob, seen)
    assert metadata_of(moved, "2030-01-01T00:00:00.000Z") == moved
    assert not {"performance_metrics", "memory_usage", "uptime", "cpu_usage"} & moved.keys()
    assert metadata_of(old_metadata_of(moved), seen) == moved


@given(json_values, json_values, json_values)
@quick
def test_any_word_becomes_a_known_one(status: Any, kind: Any, capabilities: Any) -> None:
    """Whatever a row holds, status and type become known words, and capabilities a list with basic, once each."""
    assert status_of(status) in AgentStatus.__members__
    assert type_of(kind) in AgentType.__members__
    names = capabilities_of(capabilities, {"capabilities": kind} if isinstance(kind, dict | list) else {})
    assert names[0] == "basic"
    assert len(set(names)) == len(names)


@given(some.lists(some.floats(0, 0.5), max_size=200))
@quick
def test_flood_is_paced(gaps: list[float]) -> None:
    """However heartbeats come, any two seconds hold at most 24, and none waits longer than half a second."""
    pacer, now, held, sent = Pacer(), 0.0, None, []

    def settle(until: float) -> None:
        nonlocal held
        while held is not None and (due := max(held, pacer.due(held))) <= until:
            pacer.sent(due)
            sent.append(due)
            assert due - held <= 0.5
            held = None

    for gap in gaps:
        now += gap
        settle(now)
        if held is None and pacer.due(now) <= now:
            pacer.sent(now)
            sent.append(now)
        else:
            held = now
    settle(now + 1)
    assert held is None
    for start in sent:
        assert sum(start <= moment < start + 2 for moment in sent) <= 24


@given(some.floats(0.1, 1))
@quick
def test_ten_a_second_are_not_paced(gap: float) -> None:
    """Heartbeats at ten a second or fewer go out at once, each of them."""
    pacer = Pacer()
    for number in range(100):
        now = number * gap + 1e-9 * number
        assert pacer.due(now) <= now
        pacer.sent(now)


def test_rate_limit_strikes() -> None:
    """A burst of twice the rate passes, more is excess; ten seconds with excess, however small, end it."""
    rate = RateLimit(50)
    assert [rate.accept(number / 1000) for number in range(101)] == [True] * 100 + [False]
    assert 0 < rate.retry_after(0.1) <= 1
    for per_second in (51, 60, 100, 1000):
        rate, messages = RateLimit(50), 0
        while not rate.exhausted:
            rate.accept(messages / per_second)
            messages += 1
        assert 9 <= messages / per_second <= 12


def test_allowed_rate_is_never_excess() -> None:
    """At the limit itself, and with a burst now and then, nothing is dropped."""
    rate = RateLimit(50)
    assert all(rate.accept(number / 50) for number in range(1000))
    assert all(rate.accept(30 + 3 * burst) for burst in range(10) for _ in range(100))


def test_rate_limit_forgives() -> None:
    """After ten quiet seconds the strikes begin anew."""
    rate = RateLimit(1)
    for start in range(0, 400, 20):
        assert [rate.accept(start + 0.1) for _ in range(3)] == [True, True, False]
    assert not rate.exhausted


@given(some.lists(some.tuples(some.booleans(), some.none() | some.sampled_from(["a", "b", "c"]))))
@quick
def test_last_choice_counts(changes: list[tuple[bool, str | None]]) -> None:
    """What was last said of an agent, by its id or of all, is what holds for it."""
    chosen = Subscriptions()
    expected = dict.fromkeys("abc", True)
    for on, subject in changes:
        chosen = chosen.on("agents", subject) if on else chosen.off("agents", subject, "abc")
        expected.update({subject: on} if subject else dict.fromkeys("abc", on))
    assert {name: chosen.agents is None or name in chosen.agents for name in "abc"} == expected


@given(times)
@quick
def test_times_read_as_written(ms: int) -> None:
    """A time reads back as it was written, and has 24 characters, so that text sorts as time does."""
    assert parse_ms(rfc3339(ms)) == ms
    assert len(rfc3339(ms)) == 24


def test_agent_ids() -> None:
    """An agent id is 1 to 128 of the allowed characters, and nothing after them."""
    assert all(map(is_agent_id, ["a", "A-Z_0.9:x", "x" * 128]))
    assert not any(map(is_agent_id, ["", "x" * 129, "a b", "a\n", "ä", "a/b"]))


def test_only_known_types_are_served() -> None:
    """Every handler serves a type that the contract lets that role send."""
    for role, handlers in HANDLERS.items():
        assert handlers.keys() <= FROM_CLIENT[role] <= KNOWN
