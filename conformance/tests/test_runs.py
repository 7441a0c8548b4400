"""Runs against whole backends: right ones are green, and of a wrong one each fault is named, and no other."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from conformance.tests.backends.launch import backend
from conformance.tests.running import Told, command, reference, run, run_against

if TYPE_CHECKING:
    from pathlib import Path

ENVELOPE = ("--list-envelope", "agents")
WITHHELD = (
    *("auth-flows", "commands", "terminal", "traces", "reports", "presets", "constraints", "audit"),
    *("batching", "multi-node"),
)
"""What the second backend does not promise."""
LESS = tuple(part for name in WITHHELD for part in ("--withhold", name))
OPPONENTS = {
    "second": ("second",),
    "prefix": ("second", "--base-path", "/api"),
    "envelope": ("second", *ENVELOPE),
    "envelope-status": ("second", *ENVELOPE, "--one-wrong", "status"),
    "envelope-ids": ("second", *ENVELOPE, "--one-wrong", "ids"),
    "envelope-metrics": ("second", *ENVELOPE, "--one-wrong", "metrics"),
    "prefix-status": ("second", "--base-path", "/api", "--one-wrong", "status"),
    "shared": ("second", "--only-shared-socket"),
}
GREETINGS = {"list-in-capitals": "WSE-1", "ack-for-ready": "DSH-1", "list-before-ready": "DSH-1"}
"""Another handshake of dashboards → the one clause that it breaks."""
WATCHED = "DSH-1,DSH-3,DSH-4,DSH-5,STA-2,ACK-1,CON-2,DIS-1,DIS-2,CNS-1"
"""Clauses of level full that cannot be judged without a dashboard's handshake."""
INNER = {
    "prefix-status": "CASE-1",
    "envelope-status": "CASE-1",
    "envelope-ids": "AGT-1",
    "envelope-metrics": "AGT-3",
}
"""What is wrong inside a departure."""
PLAN = ("AGT-1", "AGT-2", "STA-1", "DIS-1", "DSH-1", "AGT-3", "CASE-1", "AGT-4")
"""A clause for each row of what did not work before the alignment."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """A run against each opponent."""
    return run_against(tmp_path_factory.mktemp("runs"), OPPONENTS, *LESS)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """Runs of the reference: as it is, as it was before the alignment, and the second backend behind its front."""
    place = tmp_path_factory.mktemp("bundled")

    def legacy() -> Told:
        with reference(place, "--legacy") as url:
            return run(place / "legacy", url)

    def front() -> Told:
        with backend("second") as upstream, backend("front", "--upstream", upstream) as url:
            return run(place / "front", url, *LESS)

    with ThreadPoolExecutor(3) as pool:
        started = {"reference": lambda: run(place / "reference"), "legacy": legacy, "front": front}
        return {name: told.result() for name, told in [(n, pool.submit(w)) for n, w in started.items()]}


@pytest.mark.parametrize("name", ["reference", "front"])
def test_right_backends_conform(bundled: dict[str, Told], name: str) -> None:
    """The reference, and a right backend behind a front that makes it different, conform with nothing left untried."""
    told = bundled[name]
    assert (told.code, told.report["verdict"]) == (0, "conforms")
    assert told.first.startswith("CONFORMS  core · ")
    assert told.report["problems"] == []


def test_the_reference_conforms_on_postgresql(tmp_path: Path) -> None:
    """One that the run starts for it, of which nothing is left; what was judged is named."""
    told = run(tmp_path / "postgresql", "--store", "postgresql")
    if "there is no initdb" in told.err and os.environ.get("CI") != "true":
        pytest.skip("PostgreSQL is not installed")
    assert told.code == 0, told.out + told.err
    assert "reference implementation on PostgreSQL" in told.first


def test_an_independent_backend_conforms(runs: dict[str, Told]) -> None:
    """A second backend that chooses differently wherever it may conforms."""
    assert (runs["second"].code, runs["second"].failed(core=False)) == (0, set())


@pytest.mark.parametrize("name", ["reference", "front"])
def test_every_core_clause_is_judged(bundled: dict[str, Told], name: str) -> None:
    """On a right backend every core clause passed, but those that no one can test from outside."""
    outcomes = {i: c["outcome"] for i, c in bundled[name].report["clauses"].items() if c["core"]}
    hidden = {"DAT-1", "DAT-2"}
    assert {i: o for i, o in outcomes.items() if o != "passed" and i not in hidden} == {}
    assert {outcomes[i] for i in hidden} <= {"passed", "untestable", "not_exercised"}


@pytest.mark.parametrize("name", ["reference", "legacy", "front"])
def test_what_was_planned_was_done(bundled: dict[str, Told], name: str) -> None:
    """A run that was not stopped reports as many cases as it planned."""
    plan = bundled[name].report["plan"]
    assert plan["planned"] == plan["emitted"] > 1


def test_the_backend_before_the_alignment_violates_every_row_of_the_plan(bundled: dict[str, Told]) -> None:
    """Each thing that did not work shows as a failed clause of its own."""
    assert bundled["legacy"].code == 1
    assert bundled["legacy"].report["verdict"] == "violates"
    assert set(PLAN) <= bundled["legacy"].failed()


def test_a_failure_can_be_judged_again_without_a_network(bundled: dict[str, Told]) -> None:
    """The file that a finding names is judged again as recorded, and shows the same breach."""
    told = bundled["legacy"]
    named = told.found("DIS-1")[0]["replay"].split()
    assert named[:2] == ["conformance", "replay"]
    again = command(told.place, "replay", named[2], "--report", "json=again.json")
    assert again.code == 1
    assert json.loads((told.place / "again.json").read_text())["clauses"]["DIS-1"]["outcome"] == "failed"


def test_a_failure_can_be_provoked_again(runs: dict[str, Told], tmp_path: Path) -> None:
    """The case that showed a breach is played against another backend, where it passes."""
    named = runs["envelope-status"].found("CASE-1")[0]["replay"].split()
    with backend("second") as url:
        again = command(tmp_path, "replay", str(runs["envelope-status"].place / named[2]), url)
    assert again.code == 0
    assert again.first.startswith("CONFORMS")


@pytest.mark.parametrize("name", ["prefix", "prefix-status"])
def test_another_prefix_is_named_once(runs: dict[str, Told], name: str) -> None:
    """An API under another prefix is one finding that says the setting."""
    (departure,) = runs[name].found("ENV-1")
    assert departure["rule"] == "departure.base-path"
    assert departure["setting"] == "--base-path /api"
    assert departure["times"] == 1


@pytest.mark.parametrize("name", ["envelope", "envelope-status", "envelope-ids", "envelope-metrics"])
def test_another_envelope_is_named_once(runs: dict[str, Told], name: str) -> None:
    """Lists in another envelope are one breach, in whatever else is wrong, and paint no other clause."""
    assert len({f["says"] for f in runs[name].found("ENV-1")}) == 1
    assert runs[name].failed() >= {"ENV-1"}


@pytest.mark.parametrize("name", ["prefix", "envelope"])
def test_a_departure_paints_nothing_else(runs: dict[str, Told], name: str) -> None:
    """Where only the place or the envelope is another, that is the only clause of the core that failed."""
    assert (runs[name].code, runs[name].failed()) == (1, {"ENV-1"})


@pytest.fixture(scope="module")
def greeted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """A run at level full against each backend that greets dashboards in its own way."""
    opponents = {name: ("second", "--greeting", name) for name in GREETINGS}
    return run_against(tmp_path_factory.mktemp("greeted"), opponents, "--level", "full", "--only", WATCHED)


@pytest.mark.parametrize(("name", "clause"), GREETINGS.items())
def test_another_greeting_paints_nothing_else(greeted: dict[str, Told], name: str, clause: str) -> None:
    """A backend that greets dashboards in its own way breaks the one clause that says so, and all others are judged."""
    told = greeted[name]
    assert {i for i in WATCHED.split(",") if told.report["clauses"][i]["outcome"] == "failed"} <= {clause}
    assert (told.code, told.failed()) == (1, {clause})
    judged = {told.report["clauses"][i]["outcome"] for i in WATCHED.split(",")}
    assert judged <= {"passed", "failed"}


@pytest.mark.parametrize(("name", "clause"), INNER.items())
def test_the_fault_inside_a_departure_is_found(runs: dict[str, Told], name: str, clause: str) -> None:
    """A wrong prefix or envelope does not hide the one thing that is wrong inside."""
    assert runs[name].code == 1
    assert {"ENV-1", clause} <= runs[name].failed()


def test_other_socket_paths_are_named_once_each(runs: dict[str, Told]) -> None:
    """A backend with only the shared socket breaks WSE-1, with one finding for each role that says the setting."""
    told = runs["shared"]
    assert (told.code, told.failed()) == (1, {"WSE-1"})
    settings = [f["setting"] for f in told.found("WSE-1", "departure.socket-path")]
    assert sorted(settings) == ["--agent-ws /ws", "--dashboard-ws /ws"]


def test_a_departure_that_is_named_is_none(tmp_path: Path) -> None:
    """A backend elsewhere conforms when its profile says where."""
    with backend("second", "--base-path", "/api", "--only-shared-socket") as url:
        profile = tmp_path / "target.toml"
        profile.write_text(f'url = "{url}"\nbase_path = "/api"\nagent_ws = "/ws"\ndashboard_ws = "/ws"\n')
        told = run(tmp_path / "named", str(profile), *LESS)
    assert (told.code, told.failed(core=False)) == (0, set())
