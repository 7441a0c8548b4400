"""The migration of old rows, where the target shows one that it has really done (DAT-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.rule import Finding, Rule
from conformance.rules.stored_agents import EVIDENCE, WORDS, Row, in_form, metrics_of, same_case, stored, stored_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Note, Timeline

KEPT = ("user_id", "name", "version")


def migrations(t: Timeline) -> Iterator[Note]:
    """The latest migration that the target showed."""
    yield from [n for n in t.notes if n.kind == EVIDENCE and n.data.get("migration")][-1:]


def migrated(note: Note, t: Timeline) -> Iterator[Finding]:
    """No row lost, the new form in every one, the same when done again, all rows there after going back."""
    rows: dict[str, list[Row]] = dict(note.data["migration"])
    before = {row["id"]: row for row in rows["before"]}
    for step in ("after", "again", "back"):
        yield from _all_there(rows["before"], rows[step], step, note)
    first = rows["after"][0] if rows["after"] else {}
    for index, row in enumerate(rows["after"]):
        at = f"/migration/after/{index}"
        yield from in_form(row, at, note, t)
        yield from same_case(row, first, at, note)
        yield from _moved(before.get(row["id"], {}), row, at, note, t)
    after = {row["id"]: row for row in rows["after"]}
    for index, row in enumerate(rows["again"]):
        if row["id"] in after and (changed := _changed(after[row["id"]], row)):
            says = "the migration changes rows when it runs a second time"
            at = f"/migration/again/{index}/{changed}"
            yield Finding(says, note, at, str(after[row["id"]].get(changed)), row.get(changed))


def _all_there(before: list[Row], now: list[Row], step: str, note: Note) -> Iterator[Finding]:
    told = {"after": "by the migration", "again": "by its second run", "back": "on the way back"}[step]
    found = {row["id"]: (index, row) for index, row in enumerate(now)}
    for row in before:
        if row["id"] not in found:
            says = f"a row is lost {told}"
            yield Finding(says, note, f"/migration/{step}", f"a row {row['id']!r}", f"{len(now)} rows without it")
            continue
        index, same = found[row["id"]]
        for name in KEPT:
            if same.get(name) != row.get(name):
                says = f"the {name} of a row is changed {told}"
                yield Finding(says, note, f"/migration/{step}/{index}/{name}", f"{row.get(name)!r}", same.get(name))
    if len(now) > len(before):
        yield Finding(f"a row is added {told}", note, f"/migration/{step}", f"{len(before)} rows", f"{len(now)} rows")


def _changed(once: Row, twice: Row) -> str:
    """The first column in which two rows differ; when a row was last touched does not matter."""
    return next((name for name in once if name != "updated_at" and once[name] != twice.get(name)), "")


def _moved(old: Row, new: Row, at: str, note: Note, t: Timeline) -> Iterator[Finding]:
    """Words are the same words, and the old keys' numbers are the new ones."""
    for name, words in WORDS.items():
        said, says = old.get(name), new.get(name)
        known = isinstance(said, str) and t.contract.shapes.accepts(f"common.json#/$defs/{words}", said.strip().upper())
        if known and isinstance(says, str) and says.upper() != str(said).strip().upper():
            wanted = f"{said}, in normal form"
            yield Finding(f"the migration makes another {name} of a known one", note, f"{at}/{name}", wanted, says)
    metrics = metrics_of(new)
    for name, value in _old_numbers(old).items():
        got = metrics.get(name, "nothing") if isinstance(metrics, dict) else "nothing"
        if got != value:
            says = f"the {name} that an old row held is not in metadata.metrics after the migration"
            yield Finding(says, note, f"{at}/metadata/metrics/{name}", str(value), got)


def _old_numbers(row: Row) -> dict[str, Any]:
    """What a row's old keys say, where that is a number that metrics may hold and nothing newer stands beside it."""
    metadata = row.get("metadata")
    if not isinstance(metadata, dict) or isinstance(metadata.get("metrics"), dict):
        return {}
    performance = metadata.get("performance_metrics")
    inside = performance if isinstance(performance, dict) else {}
    said = {
        "commandsExecuted": inside.get("commands_executed"),
        "uptime": metadata.get("uptime") or inside.get("uptime"),
        "memoryUsage": metadata.get("memory_usage"),
    }
    numbers = {k: v for k, v in said.items() if isinstance(v, int | float) and not isinstance(v, bool) and v >= 0}
    return {k: v for k, v in numbers.items() if k != "commandsExecuted" or isinstance(v, int)}


def _migration(s: Scene, **changes: Any) -> None:
    """A migration of two rows as it should be; steps given replace the right ones."""
    words: dict[str, Any] = {"type": "Claude", "status": "offline", "capabilities": None}
    metadata = {"performance_metrics": {"commands_executed": 7}, "memory_usage": 512.5, "uptime": 3600}
    numbers = {"commandsExecuted": 7, "uptime": 3600, "memoryUsage": 512.5, "cpuUsage": 0, "lastUpdated": s.born}
    old = [
        stored_row(s, "old", **words, metadata=metadata),
        stored_row(s, "odd", **words | {"status": "busy"}, metadata=None),
    ]
    new = [stored_row(s, "old", status="OFFLINE", metadata={"metrics": numbers}), stored_row(s, "odd", metadata={})]
    s.note(EVIDENCE, agents=[], migration={"before": old, "after": new, "again": new, "back": old} | changes)


def _after(s: Scene, **changes: Any) -> None:
    """The same with other values in the first row afterwards."""
    _migration(s)
    note = s.timeline().notes[-1]
    first, *rest = note.data["migration"]["after"]
    rows = [{**first, **changes}, *rest]
    s.note(EVIDENCE, agents=[], migration={**note.data["migration"], "after": rows, "again": rows})


def migrated_and_back(s: Scene) -> None:
    _migration(s)


def row_lost(s: Scene) -> None:
    _migration(s, after=[], again=[])


def row_lost_on_the_way_back(s: Scene) -> None:
    _migration(s, back=[])


def case_left(s: Scene) -> None:
    _after(s, status="Offline")


def one_row_in_lower_case(s: Scene) -> None:
    _after(s, type="claude")


def capabilities_left_null(s: Scene) -> None:
    _after(s, capabilities=None)


def old_keys_left(s: Scene) -> None:
    _after(s, metadata={"performance_metrics": {"commands_executed": 7}, "memory_usage": 512.5, "uptime": 3600})


def numbers_lost(s: Scene) -> None:
    _after(s, metadata={"metrics": {**s.metrics, "lastUpdated": s.born}})


def another_status(s: Scene) -> None:
    _after(s, status="ONLINE")


def owner_changed(s: Scene) -> None:
    _after(s, user_id="nobody")


def twice_is_not_once(s: Scene) -> None:
    _migration(s, again=[stored_row(s, "old", metadata={}), stored_row(s, "odd", metadata={})])


RULE = Rule(
    id="stored.migration",
    clauses=("DAT-2",),
    judges="A database of before the plan gets the normal form, loses nothing, bears a second run and goes back.",
    when=migrations,
    check=migrated,
    good=(migrated_and_back,),
    bad=(
        row_lost,
        row_lost_on_the_way_back,
        case_left,
        one_row_in_lower_case,
        capabilities_left_null,
        old_keys_left,
        numbers_lost,
        another_status,
        owner_changed,
        twice_is_not_once,
    ),
    cases=(stored,),
)
