"""No list shows a user what another user has: commands, presets, reports, constraints, audit entries (ISO-2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.resources import KINDS, Resource, data_of, owners
from conformance.rest_views import judged
from conformance.rule import Finding, Rule, provocation
from conformance.views import OK
from conformance.written import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.contract import Operation
    from conformance.resources import Owned
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

LISTS = {
    "listCommands": "commands",
    "listPresets": "presets",
    "listReports": "reports",
    "listConstraints": "constraints",
    "listAuditLogs": "",
}
"""List → the kind of its rows; audit entries are no kind of their own."""
NAMING = {"agentId": "agents", "commandId": "commands"}


class Sight(NamedTuple):
    """A list that a user was shown while another user had something."""

    e: Exchange
    whose: Mapping[Resource, Owned]
    accounts: Mapping[str, str]
    """The backend's id of a user → the user."""


def sights(t: Timeline) -> Iterator[Sight]:
    """Every whole list, but that of agents."""
    whose, accounts = owners(t), _accounts(t)
    for e in judged(t):
        others = any(o.user != e.user and o.since.seq < e.seq for o in whose.values())
        if e.operation in LISTS and e.status == OK and others:
            yield Sight(e, whose, accounts)


def _accounts(t: Timeline) -> dict[str, str]:
    """What each user is called in what they made."""
    found: dict[str, set[str]] = {}
    for e in judged(t):
        account = data_of(e).get("userId")
        if e.operation in {"createCommand", "createPreset"} and isinstance(account, str):
            found.setdefault(account, set()).add(e.user)
    return {account: users.pop() for account, users in found.items() if len(users) == 1}


def own_only(sight: Sight, _t: Timeline) -> Iterator[Finding]:
    """No row of another's, none that names what is another's."""
    e, kind = sight.e, LISTS[sight.e.operation or ""]
    for index, row in enumerate(rows_of(e)):
        if kind and (found := _foreign(sight, kind, row.get("id"))):
            yield Finding(_says(kind), e, f"/data/{index}/id", "only the user's own", row.get("id"), (found.since,))
        for name, other in NAMING.items():
            if found := _foreign(sight, other, row.get(name)):
                says = f"a list shows a user a row about another user's {other.removesuffix('s')}"
                yield Finding(says, e, f"/data/{index}/{name}", "only the user's own", row[name], (found.since,))
        account = sight.accounts.get(str(row.get("userId")))
        if account not in {None, e.user}:
            yield Finding(_says(kind), e, f"/data/{index}/userId", "the user's own id", row.get("userId"))


def _says(kind: str) -> str:
    return f"the list shows a user another user's {kind or 'audit entries'}"


def _foreign(sight: Sight, kind: str, name: Any) -> Owned | None:
    owned = sight.whose.get(Resource(kind, name)) if isinstance(name, str) and kind in KINDS else None
    return owned if owned is not None and owned.user != sight.e.user else None


def _listed(s: Scene, path: str, user: str, *rows: dict[str, Any]) -> None:
    s.rest("GET", path, 200, {"success": True, "data": list(rows)}, user=user)


def alice_has(s: Scene) -> None:
    """Alice has an agent and a preset."""
    s.agent("a1")
    s.rest("POST", "/presets", 201, {"success": True, "data": {"id": "p1", "userId": "u-alice"}})


def each_their_own(s: Scene) -> None:
    alice_has(s)
    _listed(s, "/presets", "bob", {"id": "p2", "userId": "u-bob"})
    _listed(s, "/presets", "alice", {"id": "p1", "userId": "u-alice"})
    _listed(s, "/audit-logs", "bob", {"id": "e1", "userId": None, "agentId": "b1"})


def presets_of_all(s: Scene) -> None:
    alice_has(s)
    _listed(s, "/presets", "bob", {"id": "p1"})


def entries_of_all(s: Scene) -> None:
    alice_has(s)
    _listed(s, "/audit-logs", "bob", {"id": "e1", "userId": "u-alice", "agentId": None})


def entries_about_alices_agent(s: Scene) -> None:
    alice_has(s)
    _listed(s, "/audit-logs", "bob", {"id": "e1", "userId": None, "agentId": "a1"})


@provocation(needs="second-user", budget=60.0)
async def two_users_with_everything(world: World) -> None:
    """Two users have one of everything; each looks at every list, whole, and picked by the other's agent."""
    estates = [await world.estate(index) for index in (0, 1)]
    for estate in estates:
        await estate.user.rest.patch(f"/agents/{estate.agent.id}", {"name": "Told apart"})
    operations = [o for o in world.site.operations if o.id in LISTS]

    async def look(index: int, operation: Operation) -> None:
        rest, largest = world.user(index).rest, world.site.contract.shapes.schema(operation.query["limit"])["maximum"]
        await rest.get(operation.path, query={"limit": str(largest)})
        if "agentId" in operation.query:
            await rest.get(operation.path, query={"agentId": estates[1 - index].agent.id})

    await asyncio.gather(*(look(index, operation) for index in (0, 1) for operation in operations))


RULES = (
    Rule(
        id="isolation.own-rows-only",
        clauses=("ISO-2",),
        judges="No list shows a user another user's rows, or rows about what another user has.",
        when=sights,
        check=own_only,
        good=(each_their_own,),
        bad=(presets_of_all, entries_of_all, entries_about_alices_agent),
        cases=(two_users_with_everything,),
    ),
)
