"""What the README says of capabilities is what the contract says."""

from __future__ import annotations

import re
from pathlib import Path

from conformance.contract import load_contract

README = Path(__file__).parents[2] / "README.md"


def named(cell: str) -> set[str]:
    """The clauses of a cell: `CMD-1 to CMD-3` stands for three."""
    found: set[str] = set()
    for first, last in re.findall(r"([A-Z]+-[A-Z]?\d+)(?: to ([A-Z]+-[A-Z]?\d+))?", cell):
        stem, start = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]
        end = int(re.search(r"\d+$", last or first)[0])  # type: ignore[index]
        found |= {f"{stem}{n}" for n in range(int(start), end + 1)}
    return found


def test_the_table_of_capabilities_names_each_with_all_its_clauses() -> None:
    """A row for each capability of the contract, with the clauses that belong to it and the line that withholds it."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \| `withheld = \[\"([a-z-]+)\"\]` \|$", README.read_text(), re.MULTILINE
    )
    told = {name: named(cell) for name, cell, _ in rows}
    clauses = load_contract().clauses.values()
    wanted = {c.capability: {x.id for x in clauses if x.capability == c.capability} for c in clauses if c.capability}
    assert told == wanted
    assert all(name == withheld for name, _, withheld in rows)
