"""What rules about REST look at: whole answers, agents known to exist or not to exist, rows compared field by field."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.remembered import remembered
from conformance.timeline import MISSING, VALID
from conformance.views import OK, causes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.timeline import Exchange, Timeline

TOO_MANY = 429
MIB = 1_048_576
KNOWN_VERSIONS = ("0", "1")
DEFAULT_LIMIT = 50
"""AGT-9: how many agents a page has when no limit is given."""
SHOWN = ("listAgents", "getAgent")
"""Operations that show agents."""
FIELDS = (
    "agent_id",
    "name",
    "agent_type",
    "status",
    "version",
    "capabilities",
    "last_heartbeat",
    "last_metrics",
    "created_at",
    "updated_at",
)


@remembered
def answered(t: Timeline) -> Iterator[Exchange]:
    """Every whole answer under the base path. None where the base path was still being looked for."""
    if any(n.kind == "departure" and "--base-path" in str(n.data.get("setting", "")) for n in t.notes):
        return
    for e in t.exchanges:
        if e.status and not e.failure and e.under_base:
            yield e


@remembered
def judged(t: Timeline, *, credential: str | None = VALID) -> Iterator[Exchange]:
    """Whole answers to requests in the current version (429 aside: it may come instead of any other)."""
    for e in answered(t):
        if e.status != TOO_MANY and credential in {None, e.credential} and version(e) == "1":
            yield e


def version(e: Exchange) -> str:
    """The API version that a request asks for."""
    return e.request_headers.get("x-api-version", "1")


def body_size(e: Exchange) -> int:
    """The bytes of the body that was sent; 0 where that is not known."""
    length = e.request_headers.get("content-length", "0")
    return int(length) if length.isdigit() else 0


def is_plain_json(e: Exchange) -> bool:
    """Whether the body that was sent is JSON, declared as JSON, and of at most 1 MiB."""
    declared = e.request_headers.get("content-type", "application/json").split(";")[0].strip().lower()
    return e.request is not MISSING and declared == "application/json" and body_size(e) <= MIB


def is_failure(value: object) -> bool:
    """Whether a body is the contract's failure body."""
    return isinstance(value, dict) and value.get("success") is False and isinstance(value.get("error"), str)


def code(value: object) -> object:
    """A failure's code, if it has one."""
    return value.get("code") if isinstance(value, dict) else None


def outcome(e: Exchange) -> int | str:
    """What became of a request that should have been served: the status, and what a failure says of its reason."""
    if not is_failure(e.value):
        return e.status
    return " ".join(str(part) for part in (e.status, e.value.get("code"), e.value["error"]) if part)[:160]


def agent_of(e: Exchange) -> str | None:
    """The agent that a path names."""
    parts = e.path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "agents" else None  # noqa: PLR2004 - "", "agents", id


def unknown_agents(t: Timeline) -> frozenset[str]:
    """Ids that the tester made up and never announced."""
    return frozenset(n.data["agent"] for n in t.notes if n.kind == "unknown-agent") - t.owners.keys()


def owner_of(t: Timeline, agent_id: str | None, before: float) -> str | None:
    """The only user who connected an agent before a moment; None when there is none, or more than one."""
    users = {a.user for a in t.agents if a.agent_id == agent_id}
    seen = any(a.agent_id == agent_id and a.accepted and a.accepted.at < before for a in t.agents)
    return users.pop() if seen and len(users) == 1 else None


def last_connection(t: Timeline, e: Exchange) -> Connection | None:
    """The latest connection of the agent that a request of its owner names, if nothing may have deleted it since."""
    agent_id = agent_of(e)
    mine = [a for a in t.agents if a.agent_id == agent_id and a.accepted and a.accepted.at < e.at]
    if not mine or owner_of(t, agent_id, e.at) != e.user:
        return None
    last = mine[-1]
    for d in t.exchanges:
        deletes = d.method == "DELETE" and d is not e and agent_of(d) == agent_id and d.status not in {404, 409}
        if deletes and d.ended > last.opened.at and d.at < e.ended:
            return None
    return last


class Row(NamedTuple):
    """An agent as one answer of REST showed it."""

    where: Exchange
    pointer: str
    value: dict[str, Any]

    @property
    def agent_id(self) -> str | None:
        """Its id, under whatever name."""
        return reading.agent_id(self.value)


@remembered
def rows(t: Timeline, *operations: str) -> Iterator[Row]:
    """Agents in whole 200 answers of these operations (by default list and single), current version, good token."""
    for e in judged(t):
        if e.status != OK or e.operation not in (operations or SHOWN):
            continue
        if e.operation == "listAgents":
            found = reading.rows(e.value) or []
            yield from (Row(e, f"/data/{i}", row) for i, row in enumerate(found) if isinstance(row, dict))
        elif (one := reading.one(e.value)) is not None:
            yield Row(e, "/data", one)


def own_rows(t: Timeline, agent_id: str, user: str, *operations: str) -> list[Row]:
    """What REST said of one agent to one user, in order."""
    return [r for r in _rows_of(t, agent_id) if r.where.user == user and r.where.operation in (operations or SHOWN)]


def _rows_of(t: Timeline, agent_id: str) -> list[Row]:
    return t.remember(_rows_by_agent).get(agent_id, [])


def _rows_by_agent(t: Timeline) -> dict[str | None, list[Row]]:
    found: dict[str | None, list[Row]] = {}
    for row in rows(t):
        found.setdefault(row.agent_id, []).append(row)
    return found


def around(t: Timeline, e: Exchange, agent_id: str, user: str) -> tuple[Row, Row] | None:
    """A user's last look at an agent before a request and the first after it, if nothing else changed it between."""
    seen = own_rows(t, agent_id, user, "getAgent")
    before = [r for r in seen if r.where.ended <= e.at]
    after = [r for r in seen if r.where.at >= e.ended]
    if not before or not after:
        return None
    first, last = before[-1], after[0]
    others = (c for c in causes(t, agent_id) if c is not e and c.at < last.where.ended)
    if any(getattr(c, "ended", c.at) > first.where.at for c in others):  # what was under way may have come between
        return None
    return first, last


def instant(value: object) -> datetime | None:
    """An RFC 3339 time to the millisecond; None for anything else."""
    try:
        when = datetime.fromisoformat(value.upper()) if isinstance(value, str) else None
    except ValueError:
        return None
    if when is None:
        return None
    return when.replace(microsecond=when.microsecond // 1000 * 1000) if when.tzinfo else None


def same(name: str, left: object, right: object) -> bool:
    """Whether two values of an agent's field say the same: times as instants, capabilities as sets."""
    if name == "capabilities" and isinstance(left, list) and isinstance(right, list):
        return sorted(map(str, left)) == sorted(map(str, right))
    if name.endswith(("_at", "_heartbeat")) and (first := instant(left)) is not None:
        return first == instant(right)
    if name == "last_metrics" and isinstance(left, dict) and isinstance(right, dict):
        return reading.same_metrics(left, right)
    return bool(left == right)


def differences(left: dict[str, Any], right: dict[str, Any], names: tuple[str, ...] = FIELDS) -> list[str]:
    """The fields in which two rows differ, one that only one of them has among them."""
    return [n for n in names if not same(n, left.get(n, MISSING), right.get(n, MISSING))]


def masked(text: object, *ids: str | None) -> object:
    """An error's text with ids blanked out, to compare what two refusals say."""
    if not isinstance(text, str):
        return text
    for known in ids:
        if known:
            text = text.replace(known, "…")
    return re.sub(r"\s+", " ", text)


def lists(t: Timeline) -> Iterator[Exchange]:
    """Every list of agents."""
    return (
        e for e in judged(t) if e.operation == "listAgents" and e.status == OK and reading.rows(e.value) is not None
    )


def ids(e: Exchange) -> list[str]:
    """The agents in a list, in its order."""
    return [reading.agent_id(row) or "" for row in reading.rows(e.value) or []]


def number(e: Exchange, name: str, default: int) -> int:
    """A number in the query."""
    text = e.query.get(name, "")
    return int(text) if re.fullmatch(r"\d{1,16}", text) else default
