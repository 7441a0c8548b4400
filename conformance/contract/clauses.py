"""Clauses: the numbered sentences of the contract (`contracts/clauses.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Level = Literal["MUST", "SHOULD", "MAY"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One numbered sentence of the contract."""

    id: str
    level: Level
    core: bool
    capability: str | None
    sentence: str
    breaks: str
    """For whom a breach breaks, and how, in one line."""
    source: str
    anchors: tuple[str, ...]
    untestable: str | None
    decisions: tuple[str, ...]

    def counts_at(self, level: str) -> bool:
        """Whether the verdict at a certification level (core or full) hangs on this clause."""
        return self.level == "MUST" and (self.core or level == "full")


def read_clauses(document: dict[str, Any]) -> dict[str, Clause]:
    """Clauses by id, in the document's order. Raises `ValueError` with the id for an entry out of form."""
    found = {}
    for clause_id, entry in document["clauses"].items():
        if entry["level"] not in get_args(Level):
            raise ValueError(f"{clause_id}: level {entry['level']!r} is none of {', '.join(get_args(Level))}")
        found[clause_id] = Clause(
            id=clause_id,
            level=entry["level"],
            core=bool(entry.get("core")),
            capability=entry.get("capability"),
            sentence=entry["sentence"].strip(),
            breaks=(entry.get("breaks") or "").strip(),
            source=entry["source"],
            anchors=tuple(entry.get("anchors") or ()),
            untestable=entry.get("untestable"),
            decisions=tuple(entry.get("decisions") or ()),
        )
    return found
