"""REST requests are made from the document by schemathesis, and judged by it, behind one adapter."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conformance.contract import load_contract
from conformance.contract.load import contracts_dir
from conformance.generate.effort import named
from conformance.generate.rest import Generator, Made
from conformance.generate.rest_cases import cases, coverage, fuzzing
from conformance.generate.rest_engine import Walks
from conformance.generate.rest_request import Request, by_the_library, plainly
from conformance.generate.rest_right import is_plainly_right
from conformance.target import Target
from conformance.tests.running import command, reference, run
from conformance.timeline import Exchange

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = load_contract()
FAILURE = {"success": False, "error": "No", "code": "VALIDATION_ERROR"}


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(seed=1)


def answer(request: Request, status: int, body: object = FAILURE, kind: str = "application/json") -> Exchange:
    text = orjson.dumps(body).decode()
    return Exchange(
        seq=0,
        at=0.0,
        ended=0.1,
        user="alice",
        credential="valid",
        method=request.method,
        path=request.target,
        operation=None,
        status=status,
        headers={"content-type": kind},
        text=text,
        value=body,
    )


def complaints(generator: Generator, made: Made, *answered: object, **more: str) -> set[str]:
    request = made.request
    assert request is not None
    return {c.check for c in generator.complaints(made, request, answer(request, *answered, **more))}  # type: ignore[arg-type]


def told(made: list[Made]) -> list[tuple[object, ...]]:
    return [(r.method, r.target, sorted(r.headers.items()), r.data) for m in made if (r := m.request)]


def test_coverage_is_the_same_each_time(generator: Generator) -> None:
    """Two generators make the same cases, in the same order, of each operation that takes something."""
    for operation in ("createCommand", "listAuditLogs", "replacePreset"):
        made = generator.coverage(operation)
        assert told(made) == told(Generator(seed=1).coverage(operation))
        assert len(made) > 50


def test_fuzzing_follows_the_seed(generator: Generator) -> None:
    """Drawn cases are the same for the same seed, and others for another; some keep the document, some do not."""
    drawn = generator.fuzzing("createPreset", 10)
    assert told(drawn) == told(Generator(seed=1).fuzzing("createPreset", 10))
    assert told(drawn) != told(Generator(seed=2).fuzzing("createPreset", 10))
    assert {made.is_positive for made in drawn} == {True, False}


def test_a_body_is_what_it_was_made_to_be(generator: Generator) -> None:
    """What is made to keep a body's schema keeps it, and what is made to break it breaks it, by our own validator."""
    for operation in (o for o in CONTRACT.operations.values() if o.body):
        for made in generator.coverage(operation.id):
            if made.has_body and not made.is_other_method:
                assert CONTRACT.shapes.accepts(operation.body, made.body) != made.breaks("body"), (operation.id, made)


def test_a_request_is_written_below_the_base_path(generator: Generator) -> None:
    """A request names path and query as they go out, says what its body is, and holds no token."""
    made = next(m for m in generator.coverage("renameAgent") if m.is_positive)
    made.name({"agentId": "cf.1"})
    request = made.request
    assert request is not None
    assert (request.method, request.target) == ("PATCH", "/agents/cf.1")
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert orjson.loads(request.data or b"") == made.body


@pytest.mark.parametrize("operation", CONTRACT.operations)
def test_most_cases_are_written_without_the_library(generator: Generator, operation: str) -> None:
    """What is written here is what the library would send, for each case of the coverage; few are left to it."""
    parts = [(plainly(made.case), by_the_library(made.case)) for made in generator.coverage(operation)]
    assert all(ours in (None, theirs) for ours, theirs in parts)
    few = len(parts) / 2 if CONTRACT.operations[operation].under_base else len(parts)
    assert sum(ours is None for ours, _ in parts) <= few


@pytest.mark.parametrize("operation", ["renameAgent", "createCommand", "listAuditLogs"])
def test_a_drawn_case_is_written_as_the_library_would(generator: Generator, operation: str) -> None:
    """The same of drawn cases, whose values are odder; what is not plain is left to the library."""
    parts = [(plainly(made.case), by_the_library(made.case)) for made in generator.fuzzing(operation, 60)]
    assert all(ours in (None, theirs) for ours, theirs in parts)
    assert {ours is None for ours, _ in parts} >= {False}


def test_each_check_complains(generator: Generator) -> None:
    """Its checks speak through the adapter, each of what it is about, and are content with a right answer."""
    made = generator.coverage("createPreset")
    broken = next(m for m in made if m.breaks("body") and not m.is_other_method and isinstance(m.body, dict))
    right = next(m for m in made if m.is_positive)
    other = next(m for m in made if m.is_other_method and m.case.method == "PATCH")
    bare = next(m for m in made if m.is_without_token)
    assert complaints(generator, broken, 400) == set()
    assert "negative_data_rejection" in complaints(generator, broken, 201, {"success": True, "data": {}})
    assert "response_schema_conformance" in complaints(generator, right, 201, {"success": True, "data": {}})
    assert complaints(generator, right, 400) == {"positive_data_acceptance"}
    assert complaints(generator, right, 422) >= {"status_code_conformance"}
    assert complaints(generator, broken, 400, kind="text/html") == {"content_type_conformance"}
    assert "not_a_server_error" in complaints(generator, broken, 500)
    assert "unsupported_method" in complaints(generator, other, 404)
    assert "missing_required_header" in complaints(generator, bare, 201)


def test_one_case_for_each_operation_that_is_promised_and_allowed() -> None:
    """What is withheld is left out, and what would harm others needs permission and runs alone."""
    target = Target(url="http://127.0.0.1:1", withheld=("commands", "terminal", "traces"))
    made = list(cases(CONTRACT, target, phases=(coverage(), fuzzing(10)), seed=0))
    names = [provocation.id for provocation in made]
    assert len(names) == len(set(names))
    assert "rest/coverage/createPreset" in names
    assert "rest/fuzzing/getMe" in names
    assert not [name for name in names if "Command" in name or "health" in name]
    assert {p.id for p in made if p.alone} == {p.id for p in made if "destructive" in p.needs}
    assert "rest/coverage/emergencyStop" in {p.id for p in made if p.alone}


def test_a_part_of_the_coverage_is_spread_over_it(generator: Generator) -> None:
    """A quick run takes a few cases of each operation, and other ones with another seed."""
    all_of_them = told(generator.coverage("createCommand"))
    part = told(list(coverage(10).make(generator, "createCommand")))
    assert 5 <= len(part) <= 10
    assert set(map(str, part)) <= set(map(str, all_of_them))
    assert part != told(list(coverage(10).make(Generator(seed=2), "createCommand")))


def walked(answered: int, body: object, **seen: Any) -> tuple[list[tuple[str, str, str]], set[str]]:
    """What two walks ask a backend that always answers the same, and what the engine's checks have against it."""
    asked: list[tuple[str, str, str]] = []

    def send(request: Request, credential: str) -> Exchange:
        asked.append((request.method, request.target, credential))
        return replace(answer(request, answered, body), seq=len(asked))

    walks = Walks(["createPreset", "getPreset", "deletePreset"], 1, 2, send, lambda: bool(seen.get("is_over")))
    return asked, {against.complaint.check for against in walks.complaints()}


def test_walks_go_through_our_hands() -> None:
    """What the engine asks on its walks is handed out, below the base path, and its checks judge what came back."""
    asked, complained = walked(500, FAILURE)
    assert ("POST", "/presets", "good") in asked
    assert not [target for _, target, _ in asked if not target.startswith("/presets")]
    assert "not_a_server_error" in complained


def test_walks_try_without_a_token() -> None:
    """An answer that comes with a wrong token and with none is complained about."""
    asked, complained = walked(201, {"success": True, "data": {}})
    assert {"good", "none", "wrong"} & {credential for _, _, credential in asked} >= {"good", "none"}
    assert "ignored_auth" in complained


def test_a_walk_that_is_over_asks_nothing() -> None:
    """Once the case is over nothing more is sent, and nothing is complained about."""
    assert walked(500, FAILURE, is_over=True) == ([], set())


ANSWERS = (
    (200, {"success": True, "data": {}}),
    (201, {"success": True, "data": {}}),
    (400, FAILURE),
    (401, FAILURE),
    (404, FAILURE),
    (404, {"success": False}),
    (405, FAILURE),
    (409, FAILURE),
)


@pytest.mark.parametrize("operation", ["createConstraint", "getAgent", "listReports", "getMe", "stopAgent"])
def test_nothing_can_be_said_against_what_is_plainly_right(generator: Generator, operation: str) -> None:
    """An answer that is not shown to the checks is one that they would let pass; and there are such answers."""
    told, right = CONTRACT.operations[operation], 0
    kept = CONTRACT.samples.right(next(schema for schema in told.answers.values() if schema))
    for made in generator.coverage(operation):
        for status, body in (*ANSWERS, *((status, kept) for status in told.answers)):
            request = made.request
            assert request is not None
            seen = replace(answer(request, status, body), value=body)
            for e in (seen, replace(seen, headers={**seen.headers, "allow": "GET", "www-authenticate": "Bearer"})):
                if is_plainly_right(CONTRACT, told, made, e):
                    right += 1
                    assert list(generator.complaints(made, request, e)) == [], (made.says, status)
    assert right


def test_a_generated_case_is_found_by_its_name() -> None:
    """What a saved failure names can be made again; what no generator makes is none of these."""
    for case in ("rest/coverage/createPreset", "rest/fuzzing/getMe", "rest/stateful", "messages/from-agent.PING"):
        found = named(CONTRACT, case, 3)
        assert found is not None, case
        assert found.id == case
    assert named(CONTRACT, "rest/coverage/nothing", 3) is None


def edited(place: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[Any]:
    """The bodies made for createPreset once its schema was edited: properties are added or replaced."""
    shutil.copytree(contracts_dir(), place)
    file = place / "schemas" / "preset-write.json"
    schema = orjson.loads(file.read_bytes())
    schema["properties"] |= changes
    file.write_bytes(orjson.dumps(schema))
    monkeypatch.setattr("conformance.generate.rest.contracts_dir", lambda: place)
    made = Generator(seed=1).coverage("createPreset")
    return [(m.body, m.breaks("body")) for m in made if m.has_body and isinstance(m.body, dict)]


def test_a_new_field_is_asked_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that is added to a body's schema is in right requests, at its bounds, and broken in others."""
    made = edited(tmp_path / "contracts", monkeypatch, urgency={"type": "integer", "minimum": 1, "maximum": 3})
    assert {body["urgency"] for body, wrong in made if not wrong and "urgency" in body} >= {1, 3}
    assert {0, 4} <= {body["urgency"] for body, wrong in made if wrong and isinstance(body.get("urgency"), int)}


def test_a_tighter_bound_is_asked_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that is drawn tighter is kept by right requests and broken by one more."""
    made = edited(tmp_path / "contracts", monkeypatch, description={"type": "string", "maxLength": 5})
    texts = [(body["description"], wrong) for body, wrong in made if isinstance(body.get("description"), str)]
    assert max(len(text) for text, wrong in texts if not wrong) == 5
    assert 6 in {len(text) for text, wrong in texts if wrong}


def test_a_new_word_is_asked_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that is added to an enumeration is said by a right request."""
    words = ["NATURAL", "INVESTIGATE", "REVIEW", "PLAN", "SYNTHESIZE", "HIBERNATE"]
    made = edited(tmp_path / "contracts", monkeypatch, type={"enum": words})
    assert {body["type"] for body, wrong in made if not wrong} == set(words)


def test_a_failure_is_provoked_again_by_its_name(tmp_path: Path) -> None:
    """What a generated request broke is saved; replayed it breaks again on that backend, and not on a right one."""
    name = "rest/coverage/createPreset"
    with reference(tmp_path, "--defect", "rest-validation-500") as url:
        first = run(tmp_path, url, "--level", "full", "--effort", "quick", "--seed", "5", "--only", name)
        assert first.code == 1
        [saved] = {finding["replay"].split()[2] for finding in first.found("VAL-6")}
        again = command(tmp_path, "replay", saved, url, "--report", "json=report.json")
        assert (again.code, again.report["seed"], again.report["plan"]["planned"]) == (1, 5, 2)
        assert {case for finding in again.found("VAL-6") for case in finding["cases"]} == {name}
        assert command(tmp_path, "replay", saved).code == 1
    assert command(tmp_path, "replay", saved, "reference").code == 0
