"""Presets and constraints as a timeline wrote them: each one's life, who held which name when, what was read of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.resources import data_of, resource_of
from conformance.rest_views import judged
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.timeline import Exchange, Timeline

CREATED, NO_CONTENT = 201, 204
OURS = "cf."
"""Names that begin so are this tester's, unlike any other of any run."""

FULL: dict[str, dict[str, Any]] = {
    "presets": {
        "content": "Look at {{what}} 🤖\nand say so.",
        "type": "INVESTIGATE",
        "description": "Each morning",
        "targetAgentTypes": ["CODEX", "CLAUDE"],
        "variables": [{"name": "what", "description": "A place", "default": "src"}, {"name": "how"}],
    },
    "constraints": {
        "description": "For the night",
        "timeLimitMs": 60_000,
        "tokenBudget": 9_007_199_254_740_991,
        "memoryLimitMb": 512.5,
        "cpuLimitPercent": 100,
        "isDefault": False,
    },
}
BARE: dict[str, dict[str, Any]] = {"presets": {"content": "x", "type": "PLAN"}, "constraints": {}}


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of resource that users write."""

    name: str
    singular: str
    clause: str
    defaults: Mapping[str, Any]
    """What an optional member shows that was not written."""
    unique: bool
    """Whether a user may use a name once only."""

    def operation(self, verb: str) -> str:
        """The operation that lists, creates, gets, replaces or deletes it."""
        return f"{verb}{self.name.title() if verb == 'list' else self.singular.title()}"


PRESETS = Kind(
    "presets", "preset", "PRE-1", {"description": None, "targetAgentTypes": [], "variables": []}, unique=True
)
CONSTRAINTS = Kind(
    "constraints",
    "constraint",
    "LIM-1",
    dict.fromkeys(("description", "timeLimitMs", "tokenBudget", "memoryLimitMb", "cpuLimitPercent")),
    unique=False,
)


def full_body(kind: Kind, name: str = "cf.1") -> dict[str, Any]:
    """A body that writes every member."""
    return {"name": name, **FULL[kind.name]}


def bare_body(kind: Kind, name: str = "cf.1") -> dict[str, Any]:
    """A body that writes what it must."""
    return {"name": name, **BARE[kind.name]}


@dataclass(slots=True)
class Life:
    """One resource from its making on."""

    user: str
    id: str
    writes: list[Exchange] = field(default_factory=list)
    """Its making and its replacements, those that were answered with success."""
    doubtful: list[Exchange] = field(default_factory=list)
    """Requests to change or delete it that may have been served: answered 5xx or not at all, or deletions."""

    def written_at(self, start: float, end: float) -> Exchange | None:
        """The write that holds between two moments; None before the first, after the end, or while it changes."""
        before = [w for w in self.writes if w.ended <= start]
        later = [x for x in (*self.writes, *self.doubtful) if x.ended > start and x.at < end]
        gone = any(x.ended <= start and x.ended > self.writes[0].ended for x in self.doubtful)
        return before[-1] if before and not later and not gone else None

    def deleted_by(self, moment: float) -> bool:
        """Whether a deletion was answered before a moment."""
        return any(x.method == "DELETE" and x.status == NO_CONTENT and x.ended <= moment for x in self.doubtful)

    def may_hold(self, name: object, start: float, end: float) -> bool:
        """Whether it may have had a name at some time between two moments."""
        if self.deleted_by(start):
            return False
        settled = [w for w in self.writes if w.ended <= start][-1:]
        during = [w for w in self.writes if w.ended > start and w.at < end]
        return any(w.request.get("name") == name for w in (*settled, *during))


def lives(t: Timeline, kind: Kind) -> Mapping[str, Life]:
    """Every resource of a kind that was made here, by id."""
    return t.remember(_lives, kind)


def _lives(t: Timeline, kind: Kind) -> Mapping[str, Life]:
    found: dict[str, Life] = {}
    for e in judged(t):
        made = data_of(e).get("id")
        creates = e.operation == kind.operation("create") and e.status == CREATED and isinstance(e.request, dict)
        if creates and isinstance(made, str):
            found[made] = Life(e.user, made, [e])
    for e in t.exchanges:
        resource = resource_of(e)
        life = found.get(resource.id) if resource and resource.kind == kind.name else None
        if life is None or e.method == "GET" or 400 <= e.status < 500:  # noqa: PLR2004 - refused
            continue
        if e.operation == kind.operation("replace") and e.status == OK and isinstance(e.request, dict):
            life.writes.append(e)
        else:
            life.doubtful.append(e)
    for life in found.values():
        life.writes.sort(key=lambda e: e.ended)
    return found


class Seen(NamedTuple):
    """A resource as an answer showed it to its owner, and the write that held then."""

    life: Life
    write: Exchange
    where: Exchange
    pointer: str
    value: dict[str, Any]


def seen(t: Timeline, kind: Kind) -> Iterator[Seen]:
    """What every answer showed of a resource that was written before and not since, and the answers to the writes."""
    known = lives(t, kind)
    for e in judged(t):
        for pointer, value in _shown(e, kind):
            life = known.get(str(value.get("id")))
            if life is None or life.user != e.user:
                continue
            write = e if e in life.writes else life.written_at(e.at, e.ended)
            if write is not None:
                yield Seen(life, write, e, pointer, value)


def _shown(e: Exchange, kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    if e.operation in {kind.operation(verb) for verb in ("create", "get", "replace")} and e.status in {OK, CREATED}:
        yield "/data", data_of(e)
    elif e.operation == kind.operation("list") and e.status == OK:
        yield from ((f"/data/{i}", row) for i, row in enumerate(rows_of(e)))


def rows_of(e: Exchange) -> list[dict[str, Any]]:
    """The rows of a list."""
    data = e.value.get("data") if isinstance(e.value, dict) else None
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
