"""Judging beside a run: a process of its own says what a thread would, in time, and is not missed when it dies."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from conformance.contract import load_contract
from conformance.engine.bench import LATE, MOST, Bench
from conformance.engine.judging_process import JudgingProcess, NobodyError
from conformance.judge import judge_all
from conformance.reached import reached
from conformance.rule import Rule
from conformance.rules import all_rules
from conformance.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.timeline import Timeline

CONTRACT = load_contract()
RULES = {rule.id: rule for rule in all_rules().values()}
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no such process")


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(RULES, CONTRACT)
    yield made
    made.close()


def seen(nested: int = 0) -> Timeline:
    """A heartbeat that a dashboard is told in the wrong words, and a value that nests so often."""
    scene = Scene(CONTRACT)
    dashboard, agent = scene.dashboard(), scene.agent("a1")
    agent.heartbeats()
    value: Any = {}
    for _ in range(nested):
        value = [value]
    dashboard.told("a1", status="online", metrics=scene.metrics, more=value)
    scene.wait(3)
    return scene.timeline()


@pytest.mark.parametrize("nested", [0, 200])
async def test_it_says_what_is_said_here(bench: Bench, nested: int) -> None:
    """Judgements, findings and evidence are the same, whatever a backend sent; what was reached is known."""
    timeline, same = seen(nested), seen(nested)
    judged, late, interrupted = await bench.judged(timeline, RULES)
    assert (late, interrupted) == ("", False)
    assert list(judged) == judge_all(RULES.values(), same)
    assert any(judgement.findings for judgement in judged)
    assert reached(timeline) == reached(same)


@linux
async def test_each_processor_judges(bench: Bench) -> None:
    """Timelines are judged at once, up to a number, and say what they say alone."""
    timelines = [seen() for _ in range(MOST + 1)]
    alone = tuple(judge_all(RULES.values(), seen()))
    for judged, late, _ in await asyncio.gather(*(bench.judged(timeline, RULES) for timeline in timelines)):
        assert (judged, late) == (alone, "")
    assert len(bench._processes) == min(MOST, os.cpu_count() or 1)


def test_a_timeline_that_is_forgotten_is_gone() -> None:
    """What was judged leaves nothing that only the search for garbage would find."""
    timeline = seen()
    judge_all(RULES.values(), timeline)
    reached(timeline)
    here: list[weakref.ref[object]] = [weakref.ref(thing) for thing in (timeline, *timeline.connections)]
    gc.disable()
    try:
        timeline.forget()
        del timeline
        assert [ref() for ref in here] == [None] * len(here)
    finally:
        gc.enable()


@linux
async def test_a_process_that_dies_is_not_missed(bench: Bench) -> None:
    """What it did not answer is judged here, and so is what comes then."""
    await bench.judged(seen(), RULES)
    (process,) = bench._processes
    os.kill(process._pid, signal.SIGKILL)
    for _ in range(2):
        judged, late, _ = await bench.judged(seen(), ["casing.upper-case-words"])
        assert (len(judged[0].findings), late) == (1, "")
    assert not bench._processes


@linux
def test_it_holds_nothing_of_ours_and_ends_with_us() -> None:
    """It has no file of this process but its line, hears no interrupt, and leaves nothing behind."""
    read, write = os.pipe()
    process = JudgingProcess(RULES, CONTRACT)
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)
    os.kill(process._pid, signal.SIGINT)
    found, is_over = process.judged(seen(), ["casing.upper-case-words"], float("inf"))
    assert (len(found), is_over) == (1, False)
    pid = process._pid
    process.end()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(NobodyError):
        process.judged(seen(), ["casing.upper-case-words"], float("inf"))


def endless(_t: Timeline) -> Iterator[int]:
    while True:
        yield 1


def test_one_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that comes to no end is left when the run is to end, though it does not ask for the time."""
    monkeypatch.setattr("conformance.engine.bench.GRACE", 0.1)
    facts: dict[str, Any] = {"id": "never.ends", "clauses": ("DIS-1",), "judges": "This.", "good": (), "bad": ()}
    stuck = Rule(**facts, when=lambda t: (n for n in endless(t) if n > 1), check=lambda _o, _t: ())

    async def judged() -> tuple[Any, str, bool]:
        bench = Bench({stuck.id: stuck}, CONTRACT)
        task = asyncio.create_task(bench.judged(seen(), [stuck.id]))
        await asyncio.sleep(0)
        bench.hurry()
        try:
            return await task
        finally:
            bench.close()

    if sys.platform == "linux":  # elsewhere its thread would go on for ever
        assert asyncio.run(judged()) == ((), LATE, False)
