"""Defects: each is what it says it is, and fits the parts there are."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from reference_impl.app import create_app, make_parts
from reference_impl.defects import UnknownDefectError, hard_names, load, names
from reference_impl.settings import Settings
from reference_impl.tests.harness import beat, serving

if TYPE_CHECKING:
    from reference_impl.clock import Clock
    from reference_impl.live.connection import Connection
    from reference_impl.parts import Parts

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
PLAN = """
    rest-raw-id rest-raw-type rest-lowercase-type rest-lowercase-status rest-last-ping rest-metadata-blob
    rest-cpu-always-zero rest-empty-capabilities rest-single-raw rest-leaks-owner
    status-no-name status-no-type status-no-version status-no-capabilities status-no-timestamp
    status-health-metrics status-commands-processed no-disconnect-event disconnect-no-timestamp
    no-initial-list initial-list-raw initial-list-stale mixed-case-channels legacy
"""
REST = """
    rest-404-is-500 rest-error-object rest-fails-after-commit rest-pagination-ignored rest-filter-casing
    rest-foreign-delete rest-list-all-users rest-validation-500 token-alg-none token-refresh-as-access
    metrics-never-null offline-wipes-heartbeat
"""
ACCOUNTS = "device-code-reusable audit-silent audit-all-users"
SOCKETS = """
    ws-open-before-auth ws-bad-token-left-open ws-expired-token-lives ws-swallows-bad-json ws-drops-on-bad-json
    ws-error-uncorrelated ws-no-pong ws-double-reply ws-seconds-timestamp
    init-array-only init-list-before-ready init-race-gap init-stale-event sub-predicates-true sub-unsubscribe-noop
    connect-shows-offline connect-wipes-metrics late-close-kills-new agent-takeover agent-spoof
    heartbeat-not-stored heartbeat-no-reply heartbeat-ms-uptime heartbeat-accepts-garbage heartbeat-timer-unreset
    timeout-never status-flood status-swallowed status-flicker status-reordered disconnect-twice error-not-forwarded
    cross-user-status
"""
TERMINALS = """
    terminal-double terminal-reordered terminal-stderr-as-stdout terminal-ansi-stripped terminal-history-differs
    terminal-slow-blocks trace-flat
"""
COMMANDS = """
    command-lost command-content-dropped command-priority-inverted command-complete-is-failed command-status-missing
    command-reopened command-duplicate-runs command-offline-dropped command-orphaned cross-user-command
    emergency-stops-everyone emergency-false-counts rest-commands-open rest-restart-offline-ok
    restart-keeps-online two-sockets-both-served
"""


def clean(path: Path) -> Parts:
    return make_parts(Settings(database_url=str(path / "onsembl.sqlite3"), log_level="error"))


@pytest.fixture(scope="module")
def clauses() -> dict[str, Any]:
    """The clauses of the contract."""
    document = yaml.safe_load((CONTRACTS / "clauses.yaml").read_text("utf-8"))
    return dict(document["clauses"])


def test_the_list() -> None:
    """The defects are those of the tables, and no others."""
    assert names() == sorted(f"{PLAN} {REST} {ACCOUNTS} {SOCKETS} {TERMINALS} {COMMANDS}".split())


@pytest.mark.parametrize("name", [*names(), *hard_names()])
def test_names_itself_and_real_clauses(name: str, clauses: dict[str, Any]) -> None:
    """A defect bears the name of its module, and the clauses it breaks are in the contract, each once."""
    (defect,) = load([name])
    assert defect.name == name
    assert defect.summary
    assert defect.clauses
    assert len(set(defect.clauses)) == len(defect.clauses)
    assert set(defect.clauses) <= set(clauses)


@pytest.mark.parametrize("name", [*names(), *hard_names()])
def test_fits_the_parts(name: str, tmp_path: Path) -> None:
    """A defect replaces at least one part, and a server can be built from what it leaves."""
    before = clean(tmp_path)
    after = load([name])[0].apply(before)
    assert any(getattr(before, field.name) is not getattr(after, field.name) for field in fields(before))
    assert create_app(after) is not None


@pytest.mark.parametrize("name", [*names(), *hard_names()])
def test_is_short(name: str) -> None:
    """A defect is less than 30 lines that are not blank or imports; a hard one may be half as long again."""
    hard = name in hard_names()
    path = import_module(f"reference_impl.defects.{'hard.' * hard}{name.replace('-', '_')}").__file__
    lines = Path(path or "").read_text("utf-8").splitlines()
    own = [line for line in lines if line.strip() and not line.strip().startswith(("from ", "import "))]
    assert len(own) < (45 if hard else 30)


@pytest.mark.parametrize("name", hard_names())
def test_what_is_hard_says_what_it_needs(name: str) -> None:
    """Three steps or two actors at once, in words; and `prove` leaves it to generated sequences."""
    assert load([name])[0].needs
    assert name not in names()


def test_unknown_names_are_refused() -> None:
    """A name that is no defect's is refused with a sentence that lists those there are."""
    with pytest.raises(UnknownDefectError, match=r"no defect 'rest-row-id'; did you mean rest-raw-id"):
        load(["rest-row-id"])
    with pytest.raises(UnknownDefectError, match=r"no defect 'perfect'; there are: .*rest-raw-id"):
        load(["rest-raw-id", "perfect"])


async def test_defects_add_up(database: str) -> None:
    """Two defects that are switched on together both show on the wire."""
    chosen = load(["rest-raw-id", "rest-lowercase-status"])

    def wrap(parts: Parts) -> Parts:
        for defect in chosen:
            parts = defect.apply(parts)
        return parts

    async with serving(database, wrap=wrap) as world:
        await world.agent("a1")
        _, answer = await world.rest("GET", "/agents/a1")
    assert (answer["data"]["id"], answer["data"]["status"]) == ("a1", "online")
    assert "agent_id" not in answer["data"]


async def test_stale_event_contradicts_the_snapshot(database: str) -> None:
    """With init-stale-event a dashboard is told ONLINE, after a snapshot that rightly says OFFLINE."""
    (defect,) = load(["init-stale-event"])
    async with serving(database, wrap=defect.apply) as world:
        watching = await world.dashboard()
        agent = await world.agent("a1")
        await agent.inner.close()
        await watching.until("AGENT_DISCONNECT")
        late = await world.socket("/ws/dashboard")
        await late.say("DASHBOARD_INIT", {})
        snapshot = await late.until("dashboard:connected")
        stale = await late.until("AGENT_STATUS")
    assert [item["status"] for item in snapshot["payload"]["agents"]] == ["OFFLINE"]
    assert stale["payload"]["status"] == "ONLINE"
    assert stale["payload"]["timestamp"] < snapshot["payload"]["timestamp"]


async def test_reordered_statuses_overtake_each_other(database: str) -> None:
    """With status-reordered the AGENT_STATUS of the second of two heartbeats comes before that of the first."""
    (defect,) = load(["status-reordered"])
    async with serving(database, wrap=defect.apply) as world:
        first = await world.dashboard()
        agent = await world.agent("a1")
        await first.until("AGENT_STATUS")
        await agent.ask("AGENT_HEARTBEAT", beat("a1", commandsProcessed=1))
        for number in (2, 3):
            await agent.say("AGENT_HEARTBEAT", beat("a1", commandsProcessed=number))
        told = [(await first.until("AGENT_STATUS"))["payload"]["metrics"]["commandsExecuted"] for _ in range(3)]
    assert told == [1, 3, 2]


def test_heartbeats_do_not_put_off_the_end(tmp_path: Path) -> None:
    """With heartbeat-timer-unreset an agent counts as silent since it connected, however often it beats."""
    parts = load(["heartbeat-timer-unreset"])[0].apply(clean(tmp_path))
    moments = iter([10.0, 13.0])
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    link = parts.make_link("a1", "c1", cast("Connection", None), cast("Clock", clock))
    link.seen()
    assert link.silent_for() == 3.0


async def test_device_code_opens_twice(tmp_path: Path) -> None:
    """With device-code-reusable an approved device gets tokens as often as it asks."""
    (defect,) = load(["device-code-reusable"])
    async with serving(str(tmp_path / "db"), wrap=defect.apply) as world:
        device = (await world.rest("POST", "/auth/device/authorize", None))[1]["data"]
        await world.rest("POST", "/auth/device/confirm", json={"userCode": device["userCode"]})
        poll = {"deviceCode": device["deviceCode"]}
        assert [(await world.rest("POST", "/auth/device/token", None, json=poll))[0] for _ in range(2)] == [200, 200]


async def test_audit_defects(tmp_path: Path) -> None:
    """With audit-silent a delete leaves no entry; with audit-all-users bob sees what alice did."""
    (silent,), (everybodys,) = load(["audit-silent"]), load(["audit-all-users"])
    async with serving(str(tmp_path / "db"), wrap=lambda parts: everybodys.apply(silent.apply(parts))) as world:
        made = (await world.rest("POST", "/constraints", json={"name": "x"}))[1]["data"]["id"]
        assert (await world.rest("DELETE", f"/constraints/{made}"))[0] == 204
        seen = (await world.rest("GET", "/audit-logs", "bob"))[1]["data"]
    assert [(entry["userId"], entry["eventType"]) for entry in seen] == [("alice", "CREATE_CONSTRAINT")]
