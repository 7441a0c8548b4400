"""Messages are made from their schemas: what the schema says is what is sent, and nothing else has to be edited."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from conformance.contract import load_contract
from conformance.contract.keywords import asserted
from conformance.contract.shapes import Disagreement, Shapes, Violation
from conformance.coverage import Coverage
from conformance.generate.messages import Samples, cases, recombined, samples
from conformance.judge import judge
from conformance.rules import all_rules
from conformance.scene import Scene
from conformance.target import Target
from conformance.tests.running import run

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = load_contract()
SCHEMA = "messages/from-dashboard/AGENT_CONTROL.json"


def edited(**changes: Any) -> Samples:
    """What is made for AGENT_CONTROL after its schema was edited: properties are added or replaced."""
    documents = copy.deepcopy(dict(CONTRACT.shapes.documents))
    documents[SCHEMA]["properties"] |= changes
    contract = replace(CONTRACT, shapes=Shapes(documents))
    return samples(contract, contract.messages["from-dashboard.AGENT_CONTROL"])


@pytest.mark.parametrize("key", [key for key in CONTRACT.messages if key.startswith("from-")])
def test_valid_is_valid_and_broken_breaks_one_place(key: str) -> None:
    """Every message a client may send has valid payloads, and others that break each keyword of its schema in turn."""
    message = CONTRACT.messages[key]
    made = samples(CONTRACT, message)
    assert made.valid
    assert made.broken
    assert all(CONTRACT.shapes.accepts(message.schema, value) for value in made.valid)
    broken = [CONTRACT.shapes.broken(message.schema, value) for value in made.broken]
    assert all(len({pointer for pointer, _ in one}) == 1 for one in broken)
    said = {(re.sub(r"/\d+(?=/|$)", "/*", pointer), keyword) for one in broken for pointer, keyword in one}
    assert said >= set(asserted(CONTRACT.shapes, message.schema))


def test_a_new_field_is_sent() -> None:
    """A field that is added to a schema is in valid payloads, and broken in others."""
    made = edited(urgency={"type": "integer", "minimum": 1, "maximum": 3})
    assert {value["urgency"] for value in made.valid if "urgency" in value} >= {1, 3}
    assert any(isinstance(value, dict) and value.get("urgency") in {0, 4} for value in made.broken)


def test_a_tighter_bound_is_tried() -> None:
    """A bound that is added to a field is broken by one more, and reached."""
    made = edited(reason={"type": "string", "maxLength": 5})
    lengths = {len(v["reason"]) for v in made.broken if isinstance(v, dict) and isinstance(v.get("reason"), str)}
    assert 6 in lengths
    assert all(len(value.get("reason", "")) <= 5 for value in made.valid)


def test_a_new_word_is_said() -> None:
    """A word that is added to an enumeration is said by a valid message."""
    words = ["STOP", "RESTART", "PAUSE", "RESUME", "HIBERNATE"]
    assert {value["action"] for value in edited(action={"enum": words}).valid} == set(words)


def test_withheld_messages_are_left_out_and_what_stops_everything_asks() -> None:
    """No case for a message of a withheld capability; EMERGENCY_STOP needs permission and the user alone."""
    found = {p.id: p for p in cases(CONTRACT, Target("http://x", withheld=("traces",)))}
    assert "messages/from-agent.TRACE_EVENT" not in found
    stop = found["messages/from-dashboard.EMERGENCY_STOP"]
    assert (stop.alone, stop.needs) == (True, frozenset({"destructive"}))


def test_the_bundled_reference_keeps_to_them_all(tmp_path: Path) -> None:
    """Each message has its case, whatever users that is given: as many as are played at once have some of their own."""
    told = run(tmp_path / "run", "--level", "full", "--effort", "quick", "--only", "messages/*")
    assert told.code == 0, told.out
    assert told.report["plan"]["emitted"] == told.report["plan"]["planned"] > 20


def test_coverage_counts_what_was_sent_and_seen() -> None:
    """A heartbeat reaches its message, its fields, and a transition; a broken one the keyword that it breaks."""
    scene = Scene(CONTRACT)
    agent = scene.agent("a1")
    agent.heartbeats()
    agent.heartbeats(cpuUsage=101)
    coverage = Coverage(CONTRACT)
    coverage.take(scene.timeline())
    seen = coverage.seen
    assert seen["messages"]["from-agent.AGENT_HEARTBEAT"] == 1  # on how many timelines
    assert seen["fields"]["from-agent.AGENT_HEARTBEAT /healthMetrics/uptime"] == 1
    maximum = "from-agent.AGENT_HEARTBEAT /healthMetrics/cpuUsage maximum"
    assert (seen["kept"][maximum], seen["broken"][maximum]) == (1, 1)
    assert seen["transitions"]["agent ONLINE agent.heartbeat ONLINE"] >= 1
    share = coverage.shares()["messages"]
    assert share.reached + len(share.missing) == share.total
    assert "from-agent.TRACE_EVENT" in share.missing


def test_a_withheld_capability_is_not_counted() -> None:
    """What a target does not promise is no part of what can be reached."""
    whole, less = Coverage(CONTRACT).shares(), Coverage(CONTRACT, frozenset({"commands"})).shares()
    assert less["messages"].total < whole["messages"].total
    assert less["operations"].total < whole["operations"].total
    assert not any(name.startswith("command ") for name in less["transitions"].missing)


def test_each_assertion_of_a_schema_has_its_place() -> None:
    """References are followed, and a required member stands at its own place."""
    found = set(asserted(CONTRACT.shapes, "messages/from-agent/AGENT_HEARTBEAT.json"))
    assert {("/agentId", "required"), ("/healthMetrics/cpuUsage", "maximum"), ("/agentId", "pattern")} <= found


@pytest.mark.parametrize("key", ["from-agent.AGENT_ERROR", "from-dashboard.COMMAND_REQUEST"])
def test_drawn_payloads_are_what_they_say(key: str) -> None:
    """None is there twice; a valid one is accepted, a broken one is refused by both validators, in one place."""
    message = CONTRACT.messages[key]
    made = recombined(CONTRACT, message, count=80, seed=3)
    written = [orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in (*made.valid, *made.broken)]
    assert 50 < len(written) == len(set(written)) <= 80
    assert made.valid
    assert all(CONTRACT.shapes.accepts(message.schema, value) for value in made.valid)
    assert all(len(CONTRACT.violations(message.schema, value)) == 1 for value in made.broken)


def test_the_same_seed_draws_the_same_payloads() -> None:
    """Byte for byte; another seed draws others."""
    message = CONTRACT.messages["from-agent.AGENT_ERROR"]
    first, again, other = (recombined(CONTRACT, message, count=40, seed=seed) for seed in (1, 1, 2))
    assert orjson.dumps([*first.valid, *first.broken]) == orjson.dumps([*again.valid, *again.broken])
    assert first.broken != other.broken


def test_a_connection_is_not_drawn_for_each_greeting() -> None:
    """Valid role messages, which take a connection each, are enumerated and not drawn."""
    assert not recombined(CONTRACT, CONTRACT.messages["from-agent.AGENT_CONNECT"], count=8, seed=0).valid


def test_nobody_is_blamed_where_the_validators_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    """A served message that only the quick validator refuses is a fault of the harness."""
    scene = Scene(CONTRACT)
    agent = scene.agent("a1")
    agent.sends("AGENT_HEARTBEAT", {"agentId": "a1"})
    agent.gets("SERVER_HEARTBEAT", {"serverTime": scene.now, "nextPingExpected": 1})
    rule = all_rules()["errors.invalid-message"]
    assert judge(rule, scene.timeline()).findings

    def disagree(_shapes: Shapes, name: str, value: Any) -> list[Violation]:
        raise Disagreement(f"{name}: {value}")

    monkeypatch.setattr(Shapes, "violations", disagree)
    told = judge(rule, scene.timeline())
    assert (told.findings, told.error.split(" ")[0]) == ((), "Disagreement")
