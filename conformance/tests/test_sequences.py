"""Sequences: drawn alike from the same seed, valid as scripts, and shrunk to what still breaks."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from conformance.contract import load_contract
from conformance.engine.shrinking import LOOKS, Played, Shrinker
from conformance.judge import judge_all
from conformance.rules import all_rules, disconnect
from conformance.scene import Scene
from conformance.sequences.cases import kept, provocation_of
from conformance.sequences.draw import scripts
from conformance.sequences.model import Cast, Model, Move
from conformance.sequences.script import ScriptError, each_step, first_error, read_script
from conformance.sequences.shrink import AT_ONCE, shrink, size, tries_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONTRACT = load_contract()


def model() -> Model:
    return Model(CONTRACT, Cast({"agent-1": 0, "agent-2": 1}, {"dashboard-1": 0}, 2))


def script(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"format": 1, "agents": {"agent-1": 0}, "dashboards": {"dashboard-1": 0}, "steps": list(steps)}


def step(cause: str, actor: str = "agent-1", **payload: Any) -> dict[str, Any]:
    return {"actor": actor, "cause": cause, "say": "PING", "payload": payload}


def test_the_same_seed_draws_the_same_scripts() -> None:
    """Byte for byte; another seed draws others; all of them are scripts."""
    first, again, other = (scripts(CONTRACT, count=5, size=8, seed_=seed) for seed in (7, 7, 8))
    assert json.dumps(first) == json.dumps(again) != json.dumps(other)
    assert [first_error(s) for s in [*first, *other]] == [""] * 10


def test_nothing_is_drawn_of_what_is_withheld_or_forbidden() -> None:
    """A capability that is withheld has no steps, and what stops everything has none unless it is allowed."""
    withheld = frozenset({"commands", "terminal", "traces", "reports", "control"})
    for one in scripts(CONTRACT, count=30, size=8, seed_=1, withheld=withheld):
        assert not any("command" in s["cause"] or "stop" in s["cause"] for s in each_step(one))


def test_the_model_follows_the_machines() -> None:
    """An agent that has connected can be replaced and lost; what belongs to another user is offered as forbidden."""
    world = model()
    assert {m.cause for m in world.moves() if m.legal and m.actor == "agent-1"} == {"agent.connected"}
    world.take(Move("agent.connected", "agent-1", "agent-1"))
    causes = {m.cause for m in world.moves() if m.legal and m.actor == "agent-1"}
    assert {"agent.replaced", "agent.heartbeat", "agent.lost"} <= causes
    assert "agent.connected" not in causes
    foreign = [m for m in world.moves() if m.cause == "rest.rename" and m.actor == "user-1" and m.agent == "agent-1"]
    assert [m.legal for m in foreign] == [False]
    world.take(Move("agent.lost", "agent-1", "agent-1"))
    assert world.agents["agent-1"] == "OFFLINE"


def test_a_command_goes_along_its_machine() -> None:
    """Started, it can be completed; completed, every further word about it is forbidden."""
    world = model()
    for move in (
        Move("dashboard.init", "dashboard-1"),
        Move("agent.connected", "agent-1", "agent-1"),
        Move("dashboard.command", "dashboard-1", "agent-1", "command-1"),
        Move("agent.command-started", "agent-1", "agent-1", "command-1"),
        Move("agent.command-completed", "agent-1", "agent-1", "command-1"),
    ):
        assert move in world.moves()
        world.take(move)
    assert world.commands["command-1"].state == "COMPLETED"
    about = [m for m in world.moves() if m.command == "command-1" and m.cause.startswith("agent.command-")]
    assert about
    assert not any(m.legal for m in about if m.cause != "agent.command-acknowledged")


async def test_a_script_is_shrunk_to_the_steps_that_still_break() -> None:
    """Of many steps, some at the same time, the two that matter are left, and their actors."""
    noise = [step("agent.ping", n=n) for n in range(6)]
    whole = script(*noise[:3], {"together": [step("first"), *noise[3:5]]}, noise[5], step("second", extra=1))

    async def fails(candidate: dict[str, Any]) -> bool:
        causes = [s["cause"] for s in each_step(candidate)]
        return "first" in causes and "second" in causes[causes.index("first") :]

    smallest = await shrink(whole, fails)
    assert [s["cause"] for s in smallest["steps"]] == ["first", "second"]
    assert (size(smallest), smallest["dashboards"]) == (2, {})
    assert smallest["steps"][1]["payload"] == {}


async def test_what_would_disturb_others_is_tried_one_by_one() -> None:
    """Restarts, and what stops everything, are never tried beside one another."""
    running: list[int] = []

    async def fails(candidate: dict[str, Any]) -> bool:
        running.append(1)
        assert len(running) == 1
        await asyncio.sleep(0)
        running.pop()
        return any(s["cause"] == "wanted" for s in each_step(candidate))

    whole = script(*[step("agent.ping", n=n) for n in range(5)], step("wanted"))
    smallest = await shrink(whole, fails, at_once=1)
    assert [s["cause"] for s in smallest["steps"]] == ["wanted"]


async def test_a_failure_that_comes_and_goes_is_shrunk_too() -> None:
    """An edit is tried more than once before it is given up."""
    tried: dict[str, int] = {}

    async def fails(candidate: dict[str, Any]) -> bool:
        text = json.dumps(candidate)
        tried[text] = tried.get(text, 0) + 1
        return tried[text] % 2 == 0 and any(s["cause"] == "race" for s in each_step(candidate))

    smallest = await shrink(script(step("agent.ping"), step("race"), step("agent.ping")), fails)
    assert [s["cause"] for s in smallest["steps"]] == ["race"]


async def test_of_few_steps_two_are_taken_out_at_a_time() -> None:
    """What is there for one another goes together."""
    whole = script(step("opens"), step("breaks"), step("closes"))

    async def fails(candidate: dict[str, Any]) -> bool:
        causes = {s["cause"] for s in each_step(candidate)}
        return "breaks" in causes and len(causes & {"opens", "closes"}) != 1

    smallest = await shrink(whole, fails)
    assert [s["cause"] for s in smallest["steps"]] == ["breaks"]


@pytest.mark.parametrize(("share", "tries"), [(1.0, 1), (0.75, 3), (0.5, 5), (0.45, 6), (0.05, 6), (0.0, 6)])
def test_the_share_of_plays_that_show_a_breach_says_how_often_an_edit_is_tried(share: float, tries: int) -> None:
    """So that one of twenty edits at most is given up for nothing, within bounds."""
    assert tries_for(share) == tries


async def test_a_race_is_looked_for_in_many_plays_at_once() -> None:
    """One that shows in the last of all plays is shrunk still; what bears no company is played one by one."""
    scene = Scene(CONTRACT)
    disconnect.never(scene)
    timeline = scene.timeline()
    judgements = tuple(judge_all(all_rules().values(), timeline))
    whole = script(step("race"), step("agent.ping"))

    async def plays(at_once: int) -> int:
        played: list[str] = []

        async def play(candidate: Mapping[str, Any], name: str, *, patient: bool) -> Played:
            assert (name, patient) in {(timeline.case, True), (timeline.case, False)}
            played.append(json.dumps(candidate))
            shows = len(played) >= at_once and any(s["cause"] == "race" for s in each_step(candidate))
            return Played(candidate, timeline, judgements if shows else ())

        shrinker = Shrinker(play, lambda _: True, lambda _: at_once > 1)
        best = await shrinker.smallest(Played(whole, timeline, judgements), 30.0)
        assert [s["cause"] for s in best.script["steps"]] == ["race"]
        return played.count(json.dumps(whole))

    assert await plays(AT_ONCE) == AT_ONCE
    assert await plays(1) == 1


@pytest.mark.parametrize("shows_in", [5 * AT_ONCE, None])
async def test_what_shows_seldom_is_looked_for_again_and_again(
    shows_in: int | None,
) -> None:
    """After so many plays it is shrunk all the same; what never shows is told as it was, for the looking has an end."""
    scene = Scene(CONTRACT)
    disconnect.never(scene)
    timeline = scene.timeline()
    judgements = tuple(judge_all(all_rules().values(), timeline))
    whole = script(step("race"), *(step("agent.ping", n=n) for n in range(4)))
    plays = 0

    async def play(candidate: Mapping[str, Any], _name: str, *, patient: bool) -> Played:
        nonlocal plays
        plays += 1
        shows = shows_in is not None and (plays == shows_in or (plays > shows_in and patient))
        return Played(candidate, timeline, judgements if shows and "race" in repr(candidate) else ())

    best = await Shrinker(play, lambda _: True, lambda _: True).smallest(Played(whole, timeline, judgements), 30.0)
    if shows_in is None:
        assert (best.script, plays) == (whole, LOOKS * AT_ONCE)
    else:
        assert [s["cause"] for s in best.script["steps"]] == ["race"]


@pytest.mark.parametrize("needs_patience", [True, False])
async def test_what_shows_in_plays_that_end_early_is_shrunk_by_those_at_first(needs_patience: bool) -> None:
    """What is missing at the end shows in patient ones only; by them the fewest steps are looked for in any case."""
    scene = Scene(CONTRACT)
    disconnect.never(scene)
    timeline = scene.timeline()
    judgements = tuple(judge_all(all_rules().values(), timeline))
    whole = script(step("lost"), step("shows it early"), *(step("agent.ping", n=n) for n in range(4)))
    edits: list[bool] = []

    async def play(candidate: Mapping[str, Any], name: str, *, patient: bool) -> Played:
        assert name == timeline.case
        if candidate != whole:
            edits.append(patient)
        causes = {s["cause"] for s in each_step(candidate)}
        early = "shows it early" in causes and not needs_patience
        return Played(candidate, timeline, judgements if "lost" in causes and (patient or early) else ())

    best = await Shrinker(play, lambda _: True, lambda _: True).smallest(Played(whole, timeline, judgements), 30.0)
    assert [s["cause"] for s in best.script["steps"]] == ["lost"]
    assert edits[0] is needs_patience
    assert edits[-1] is True


def test_what_stops_everything_needs_permission_and_the_user_alone() -> None:
    """A script is a case that asks for what its steps need."""
    one = provocation_of(script(step("dashboard.emergency-stop", "dashboard-1")), "stopping/1")
    assert (one.id, one.alone, one.needs) == ("stopping/1", True, frozenset({"destructive"}))


def test_a_corpus_is_read_and_what_is_no_script_is_named(tmp_path: Path) -> None:
    """Scripts alone and saved failures are both taken; another file is refused in one sentence."""
    (tmp_path / "alone.json").write_text(json.dumps(script(step("agent.ping"))))
    (tmp_path / "saved.json").write_text(json.dumps({"format": 1, "script": script(step("agent.ping"))}))
    assert [p.id for p in kept(tmp_path)] == ["corpus/alone", "corpus/saved"]
    (tmp_path / "other.json").write_text('{"format": 1, "steps": [{"actor": "../etc"}]}')
    with pytest.raises(ScriptError, match=r"other\.json holds no script: at /"):
        read_script(tmp_path / "other.json")


def test_much_happens_to_commands_and_much_at_the_same_time() -> None:
    """The draw is fond of what changes a state: without that, races are too seldom to be found."""
    found = scripts(CONTRACT, count=100, size=12, seed_=3)
    causes = Counter(s["cause"] for one in found for s in each_step(one))
    assert causes["agent.command-started"] > causes["agent.ping"] / 2
    together = sum("together" in group for one in found for group in one["steps"])
    assert together > sum(len(one["steps"]) for one in found) / 4
