"""Commands without a server: the aggregate, the machine, the queue."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reference_impl.domain.command_machine import CommandMachine, Ending
from reference_impl.domain.commands import Change, Command, Constraints, Part, Wish
from reference_impl.domain.errors import Refusal
from reference_impl.domain.queue import Queue, queue_of
from reference_impl.domain.vocabulary import ActivityState, CommandStatus, CommandType

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUED, EXECUTING = CommandStatus.QUEUED, CommandStatus.EXECUTING
COMPLETED, FAILED, CANCELLED = CommandStatus.COMPLETED, CommandStatus.FAILED, CommandStatus.CANCELLED
MACHINE = CommandMachine()
DONE = Ending(COMPLETED, None, 1, 2)


def part(status: CommandStatus, agent: str = "a1") -> Part:
    started = 10 if status in {EXECUTING, COMPLETED} else None
    return Part(agent, status, None, started, 20 if status.terminal else None)


def command(*parts: Part, number: int = 1, priority: int = 50, limit: int | None = None) -> Command:
    limits = None if limit is None else Constraints(limit)
    return Command(f"c{number}", "alice", "x", CommandType.PLAN, False, priority, limits, parts, 1, 1, number)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ((QUEUED, QUEUED), QUEUED),
        ((QUEUED, EXECUTING), EXECUTING),
        ((QUEUED, COMPLETED), EXECUTING),
        ((QUEUED, CANCELLED), QUEUED),
        ((COMPLETED, COMPLETED), COMPLETED),
        ((COMPLETED, CANCELLED), CANCELLED),
        ((CANCELLED, FAILED), FAILED),
        ((COMPLETED, FAILED), FAILED),
    ],
)
def test_a_command_is_as_far_as_its_agents(states: tuple[CommandStatus, ...], whole: CommandStatus) -> None:
    """EXECUTING once any has started, terminal when all are, by the worst of them; ended then and only then."""
    one = command(*(part(state, f"a{place}") for place, state in enumerate(states)))
    assert one.status is whole
    assert one.finished is whole.terminal
    assert (one.completed_at is not None) is whole.terminal


def test_a_command_never_goes_back() -> None:
    """Whatever two agents do with it in whatever order, the whole moves along the machine (CMD-R2)."""
    steps = {"ack": EXECUTING, "done": COMPLETED, "fail": FAILED, "stop": CANCELLED}
    rank = {QUEUED: 0, EXECUTING: 1, COMPLETED: 2, FAILED: 2, CANCELLED: 2}
    for path in itertools.product(itertools.product(("a1", "a2"), steps), repeat=4):
        one = command(part(QUEUED, "a1"), part(QUEUED, "a2"))
        for now, (agent, step) in enumerate(path, 10):
            before = one
            try:
                if step == "ack":
                    change = MACHINE.acknowledge(one, agent, started=True, now=now)
                else:
                    change = MACHINE.complete(one, agent, replace(DONE, status=steps[step]), now)
            except Refusal:
                continue
            one = change.after if change else one
            assert rank[one.status] >= rank[before.status]
            assert not before.finished or one == before


@pytest.mark.parametrize("over", [COMPLETED, FAILED, CANCELLED])
def test_the_end_is_the_end(over: CommandStatus) -> None:
    """Nothing follows an end (CMD-3)."""
    one = command(part(over))
    steps: list[Callable[[], object]] = [
        lambda: MACHINE.acknowledge(one, "a1", started=True, now=30),
        lambda: MACHINE.acknowledge(one, "a1", started=False, now=30),
        lambda: MACHINE.complete(one, "a1", DONE, 30),
        lambda: MACHINE.cancel(one, 30),
    ]
    for step in steps:
        with pytest.raises(Refusal, match="has ended") as refused:
            step()
        assert (refused.value.code, refused.value.status) == ("INVALID_STATE", 409)
    for change in (MACHINE.lose(one, "a1", 30), MACHINE.stop(one, 30)):
        assert change.after is one
    assert MACHINE.expire(one, "a1", 10**9, 1) is None


def test_a_cancel_ends_what_waits_and_asks_what_runs() -> None:
    """Of a command for two, the waiting part is over at once; the grace of the other runs from the first cancel."""
    one = command(part(QUEUED, "a1"), part(EXECUTING, "a2"))
    once = MACHINE.cancel(one, 30).after
    assert [(each.status, each.cancelled_at) for each in once.parts] == [(CANCELLED, None), (EXECUTING, 30)]
    twice = MACHINE.cancel(once, 40).after
    assert twice.parts == once.parts
    assert MACHINE.expire(twice, "a2", 129, 100) is None
    over = MACHINE.expire(twice, "a2", 130, 100)
    assert over is not None
    assert (over.after.status, over.after.error) == (CANCELLED, None)


def test_the_first_deadline_counts() -> None:
    """A limit that runs out within the grace makes FAILED, a grace that ends before the limit CANCELLED (CMD-7, 9)."""
    for limit, status in ((50, FAILED), (500, CANCELLED)):
        one = MACHINE.cancel(command(part(EXECUTING), limit=limit), 30).after
        change = MACHINE.expire(one, "a1", 1_000, 100)
        assert change is not None
        assert change.after.status is status
    assert MACHINE.deadline(command(part(EXECUTING)), part(EXECUTING), 100) is None
    assert MACHINE.deadline(command(part(QUEUED), limit=5), part(QUEUED), 100) is None


def test_times_never_go_back() -> None:
    """A clock that is behind makes no command that ends before it starts (CMD-R3)."""
    started = MACHINE.acknowledge(replace(command(part(QUEUED)), created_at=100, updated_at=100), "a1",
                                  started=True, now=50)  # fmt: skip
    assert started is not None
    over = MACHINE.complete(started.after, "a1", DONE, 40).after
    assert (over.started_at, over.completed_at, over.updated_at) == (100, 100, 100)


def test_a_change_knows_what_differs() -> None:
    """Only the parts that are not as before are written and told."""
    one = command(part(QUEUED, "a1"), part(QUEUED, "a2"))
    change = MACHINE.complete(one, "a2", DONE, 30)
    assert [(before.agent_id, after.status) for before, after in change.parts()] == [("a2", COMPLETED)]
    assert Change(one, one).parts() == []


def queue(*commands: Command) -> Queue:
    return Queue("a1").updated(commands)


def test_the_order_of_a_queue() -> None:
    """Higher priority first, then first come; what executes is apart (CMD-4)."""
    one = queue(
        command(part(QUEUED), number=3, priority=5),
        command(part(QUEUED), number=2, priority=5),
        command(part(QUEUED), number=4, priority=9),
        command(part(EXECUTING), number=1, priority=0),
        command(part(COMPLETED), number=5),
        command(part(QUEUED, "a2"), number=6),
    )
    assert one.shape == (("c1",), ("c4", "c2", "c3"))
    assert one.activity.state is ActivityState.PROCESSING
    assert (one.activity.queued, one.activity.executing[0].command_id) == (3, "c1")


def test_a_queue_follows_its_commands() -> None:
    """A command that changes is where it belongs now, or gone when it is over."""
    waiting = command(part(QUEUED))
    one = queue(waiting)
    assert one.activity.state is ActivityState.QUEUED
    started = MACHINE.acknowledge(waiting, "a1", started=True, now=5)
    assert started is not None
    assert one.updated([started.after]).shape == (("c1",), ())
    over = MACHINE.complete(started.after, "a1", DONE, 6).after
    assert one.updated([over]).activity.state is ActivityState.IDLE
    assert one.updated([]) is one


def test_slots_of_an_agent() -> None:
    """It gets as many as it has slots; what went to an earlier connection keeps its slot and goes again (CMD-4, 5)."""
    commands = [command(part(QUEUED), number=number, priority=number) for number in range(1, 8)]
    fresh = queue(*commands)
    assert [entry.command_id for entry in fresh.due("k1", 5)] == ["c7", "c6", "c5", "c4", "c3"]
    sent = [MACHINE.deliver(one, "a1", "k1").after for one in commands[:4]]
    held = fresh.updated(sent)
    assert [entry.command_id for entry in held.due("k1", 5)] == ["c7"]
    assert [entry.command_id for entry in held.due("k2", 5)] == ["c7", "c4", "c3", "c2", "c1"]
    running = held.updated([replace(one, parts=(replace(one.parts[0], status=EXECUTING),)) for one in sent])
    assert [entry.command_id for entry in running.due("k2", 5)] == ["c7"]
    assert queue_of("a1", []).due("k1", 5) == []


def test_the_same_wish_is_the_same_command() -> None:
    """A repeated wish is recognised by what it asks for, not by when (CMD-6)."""
    wish = Wish("x", CommandType.PLAN, ("a1",), command_id="c1")
    made = MACHINE.accept(wish.command("alice", "c1", ["a1", "a1"], 5)).after
    assert [each.status for each in made.parts] == [QUEUED]
    assert wish.asks_for(made)
    assert not replace(wish, priority=51).asks_for(made)
    assert not replace(wish, constraints=Constraints()).asks_for(made)
