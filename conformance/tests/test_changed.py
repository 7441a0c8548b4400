"""What a change of the contract touches: found by comparing a working copy with a git revision, and planned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conformance.cli.changed import changed_since, chosen_by
from conformance.contract import load_contract
from conformance.contract.changes import Changes
from conformance.contract.load import contracts_dir
from conformance.contract.revision import LARGEST
from conformance.engine.plan import make_plan
from conformance.generate.effort import generated
from conformance.rules import all_rules
from conformance.sequences.script import each_step
from conformance.target import Target, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRACT = load_contract()
HEARTBEAT = "schemas/messages/from-agent/AGENT_HEARTBEAT.json"
ROOT = Path(__file__).parents[2]


def git(place: Path, *arguments: str) -> None:
    own = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(  # noqa: S603 - our own arguments
        ["git", *identity, *arguments],  # noqa: S607
        cwd=place,
        check=True,
        capture_output=True,
        env=own,
    )


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A repository that holds the contract, committed as `main`, below a directory."""
    place = tmp_path / "repository" / "below" / "contracts"
    shutil.copytree(contracts_dir(), place)
    git(tmp_path / "repository", "init", "-q", "-b", "main")
    commit(tmp_path / "repository")
    return place


def commit(repository: Path) -> None:
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "as it is")


def edit(file: Path, change: Callable[[Any], None]) -> None:
    """Changes what a JSON or YAML file says."""
    if file.suffix == ".json":
        said = json.loads(file.read_text())
        change(said)
        file.write_text(json.dumps(said))
    else:
        said = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        change(said)
        file.write_text(yaml.dump(said, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))


def planned(changes: Changes, effort: str = "quick", **more: Any) -> dict[str, Any]:
    """The generated cases of a change, by id."""
    target = Target(url="http://127.0.0.1:1", users=("a", "b"), jwt_secret="s")
    return {p.id: p for p in generated(CONTRACT, target, effort=effort, users=2, changes=changes, **more)}


def test_nothing_changed(contracts: Path) -> None:
    """A working copy as it was committed has no changes and no generated cases, and that is said."""
    changed = changed_since(contracts, "main")
    assert not changed
    assert planned(changed) == {}
    assert chosen_by("main", changed, 0).startswith("Nothing that is judged has changed in the contract since main")


def test_prose_and_order_change_nothing(contracts: Path) -> None:
    """A description, a title, a summary and the order of members are judged by nobody."""
    edit(contracts / HEARTBEAT, lambda s: s.update(description="Still alive.", title="Heartbeat"))
    edit(contracts / HEARTBEAT, lambda s: s.update(properties=dict(reversed(s["properties"].items()))))
    edit(contracts / "openapi.yaml", lambda d: d["paths"]["/agents"]["get"].update(summary="All agents."))
    edit(contracts / "asyncapi.yaml", lambda _: None)  # its members in another order
    assert not changed_since(contracts, "main")


def test_a_member_called_description_is_no_prose(contracts: Path) -> None:
    """What a schema says of a member that is called like a keyword counts."""
    edit(contracts / HEARTBEAT, lambda s: s["properties"].update(description={"type": "string"}))
    assert changed_since(contracts, "main").messages == {"from-agent.AGENT_HEARTBEAT"}


def test_one_schema_plans_exactly_its_cases(contracts: Path) -> None:
    """A bound on a message's field: that message, and sequences in which it is said; no request, nothing else."""
    edit(contracts / HEARTBEAT, lambda s: s["properties"].update(note={"type": "string", "maxLength": 9}))
    changed = changed_since(contracts, "main")
    assert changed == Changes(
        messages=frozenset({"from-agent.AGENT_HEARTBEAT"}), provoking=frozenset({"agent.heartbeat"})
    )
    cases = planned(changed)
    assert {name for name in cases if not name.startswith("sequence/")} == {"messages/from-agent.AGENT_HEARTBEAT"}
    sequences = [case.document for name, case in cases.items() if name.startswith("sequence/")]
    assert len(sequences) > 3
    assert all(any(step["cause"] == "agent.heartbeat" for step in each_step(s)) for s in sequences)


def test_what_a_reference_leads_to_counts(contracts: Path) -> None:
    """A definition that operations share, several references away, touches each of them and nothing that has it not."""
    edit(contracts / "schemas/common.json", lambda s: s["$defs"]["AgentType"]["enum"].append("OTHER"))
    changed = changed_since(contracts, "main")
    assert {"listAgents", "getAgent", "renameAgent", "createPreset"} <= changed.operations
    assert {"from-agent.AGENT_CONNECT", "to-dashboard.AGENT_CONNECTED"} <= changed.messages
    assert not {"listReports", "health", "requestMagicLink"} & changed.operations
    assert "from-agent.PING" not in changed.messages
    assert "agent.connected" in changed.provoking
    cases = planned(changed)
    assert "rest/coverage/renameAgent" in cases
    assert "rest/coverage/listReports" not in cases


def test_an_operation_plans_its_requests(contracts: Path) -> None:
    """A parameter of an operation: its requests alone."""
    maximum = {"name": "shade", "in": "query", "schema": {"type": "string", "enum": ["RED"]}}
    edit(contracts / "openapi.yaml", lambda d: d["paths"]["/reports"]["get"]["parameters"].append(maximum))
    changed = changed_since(contracts, "main")
    assert changed == Changes(operations=frozenset({"listReports"}))
    assert set(planned(changed)) == {"rest/coverage/listReports"}
    assert "rest/stateful" in planned(changed, "deep", max_time=2.0)


def test_a_step_of_a_machine_plans_its_sequences(contracts: Path) -> None:
    """A step that is gone: the sequences in which its cause happens."""

    def without(d: Any) -> None:
        steps = d["x-conformance"]["machines"]["agent"]["transitions"]
        steps.remove({"from": "OFFLINE", "on": "rest.delete", "to": "ABSENT"})

    edit(contracts / "asyncapi.yaml", without)
    changed = changed_since(contracts, "main")
    assert changed == Changes(causes=frozenset({"rest.delete"}), provoking=frozenset({"rest.delete"}))
    cases = planned(changed)
    assert cases
    assert all(name.startswith("sequence/") for name in cases)


def test_a_clause_plans_the_cases_of_its_rules(contracts: Path) -> None:
    """The scripted cases of a changed clause are planned although the level leaves them out; nothing is generated."""
    edit(contracts / "clauses.yaml", lambda d: d["clauses"]["RPT-1"].update(sentence="A report is kept."))
    changed = changed_since(contracts, "main")
    assert changed == Changes(clauses=frozenset({"RPT-1"}))
    assert planned(changed) == {}

    rules = all_rules().values()
    offers = frozenset(need for rule in rules for p in rule.provocations for need in p.needs)

    def ids(beside: frozenset[str]) -> set[str]:
        target = Target(url="http://127.0.0.1:1")
        plan = make_plan(rules, CONTRACT, target, level="core", offers=offers, beside=beside)
        return {case.id for case in plan.cases}

    core = ids(frozenset())
    more = ids(changed.clauses) - core
    assert core < ids(changed.clauses)
    of_it = {p.id for rule in all_rules().values() if "RPT-1" in rule.clauses for p in rule.provocations}
    assert more <= of_it


def test_what_only_a_clause_speaks_of_touches_the_clause(contracts: Path) -> None:
    """A schema that no message and no operation has is judged by rules of the clauses that are anchored at it."""
    edit(contracts / "schemas/stored-agent.json", lambda s: s.update(minProperties=1))
    assert changed_since(contracts, "main").clauses == {
        c.id for c in CONTRACT.clauses.values() if any("stored-agent" in anchor for anchor in c.anchors)
    }


def test_what_everything_shares_plans_everything(contracts: Path) -> None:
    """Another address of a channel belongs to no message alone: all cases are planned."""
    edit(contracts / "asyncapi.yaml", lambda d: d["channels"]["agent"].update(address="/ws/agents"))
    changed = changed_since(contracts, "main")
    assert changed.everything
    assert planned(changed).keys() == planned(Changes(everything=True)).keys() >= {"messages/from-agent.PING"}


def test_what_is_added_and_taken_away_is_named(contracts: Path) -> None:
    """A message that is gone has no cases any more, and is told."""
    edit(contracts / "asyncapi.yaml", lambda d: d["components"]["messages"].pop("from-agent.PONG"))
    changed = changed_since(contracts, "main")
    assert "from-agent.PONG" in changed.messages
    assert "message from-agent.PONG" in chosen_by("main", changed, 0)


def test_a_change_that_was_committed_counts_too(contracts: Path) -> None:
    """The working copy is compared with the revision, whatever was committed since."""
    edit(contracts / HEARTBEAT, lambda s: s.update(minProperties=1))
    commit(contracts)
    assert not changed_since(contracts, "main")
    assert changed_since(contracts, "HEAD~1").messages == {"from-agent.AGENT_HEARTBEAT"}


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("nowhere/main", "git knows no revision 'nowhere/main'"),
        ("--output=x", "'--output=x' is no git revision"),
        ("", "'' is no git revision"),
        ("HEAD\0", "no NUL"),
        ("empty", "there are no contract files in below/contracts/ at empty"),
        ("other", "the contract at other is of another form"),
        ("odd", "the contract at odd cannot be read"),
        ("bomb", "the contract at bomb cannot be read: it is too large"),
        ("large", "the contract at large cannot be read: it is too large"),
    ],
)
def test_a_revision_that_cannot_be_used_is_one_sentence(contracts: Path, revision: str, said: str) -> None:
    """An unknown revision, an option, one without contract, one that is none, one made to fill the memory."""
    changes: dict[str, Callable[[], object]] = {
        "empty": lambda: shutil.rmtree(contracts),
        "other": lambda: (contracts / "asyncapi.yaml").write_text("{}"),
        "odd": lambda: (contracts / "openapi.yaml").write_text("{"),
        "bomb": lambda: (contracts / "clauses.yaml").write_text(
            "a0: &a0 x\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
        ),
        "large": lambda: (contracts / "clauses.yaml").write_bytes(b"#" * (LARGEST + 1)),
    }
    if revision in changes:
        git(contracts, "checkout", "-q", "-b", revision)
        changes[revision]()
        commit(contracts.parents[1])
        git(contracts.parents[1], "checkout", "-q", "main")
    with pytest.raises(TargetError, match="--changed-since: ") as raised:
        changed_since(contracts, revision)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_contract_without_a_repository_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a directory that git does not know nor an installed package has revisions; nor is there always a git."""
    shutil.copytree(contracts_dir(), tmp_path / "contracts")
    with pytest.raises(TargetError, match="is in no git repository"):
        changed_since(tmp_path / "contracts", "main")
    with pytest.raises(TargetError, match="that of an installation"):
        changed_since(tmp_path / "_contracts", "main")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="there is no git"):
        changed_since(tmp_path / "contracts", "main")


def test_on_the_command_line(tmp_path: Path) -> None:
    """In a checkout whose contract changed, the run says what changed and plans no other generated case.

    The change is one that the bundled reference keeps too: a field that may hold anything.
    """
    for part in ("conformance", "reference_impl", "contracts", "reports"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    git(tmp_path, "init", "-q", "-b", "main")
    commit(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "conformance", "run", "--only", "preflight,messages/*,rest/*", *arguments]
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(  # noqa: S603 - our own arguments
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, env=env
        )

    unknown = run("--changed-since", "nowhere")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.startswith("conformance: --changed-since: git knows no revision 'nowhere'")
    edit(tmp_path / "contracts" / HEARTBEAT, lambda s: s["properties"].update(note={}))
    done = run("--changed-since", "main", "--report", "json=report.json")
    first, second = done.stdout.splitlines()[:2]
    assert first.startswith("CONFORMS"), done.stdout
    assert second.startswith("Changed in the contract since main: message from-agent.AGENT_HEARTBEAT.")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["plan"]["planned"] == 2
    assert report["plan"]["chosen"].startswith("Changed in the contract since main")
