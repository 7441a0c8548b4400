"""The audit log: what changes state is in it, filters pick from it, and what is in it stays (AUD-1, AUD-2)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.resources import data_of
from conformance.rest_views import instant, judged
from conformance.rule import Finding, Rule, provocation
from conformance.views import OK
from conformance.written import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

PATH = "/audit-logs"
LARGEST = "1000"
SOON = 1.0
"""Seconds that the script gives an entry to appear."""
UNSEEN = frozenset(
    {"authorizeDevice", "requestMagicLink", "verifyMagicLink", "refreshTokens", "pollDeviceToken", "logout"}
)
"""Operations of nobody, or of a session that is not the caller's: their entries need not be in the caller's list."""


def logs(t: Timeline) -> Iterator[Exchange]:
    """Every answer with audit entries."""
    return (e for e in judged(t) if e.operation == "listAuditLogs" and e.status == OK)


def picked(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """Only entries that match what was asked for. One on the very millisecond of a bound is no evidence."""
    for index, row in enumerate(rows_of(e)):
        for name in ("eventType", "agentId"):
            if name in e.query and row.get(name) != e.query[name]:
                says = f"an entry is shown that the filter {name} leaves out"
                yield Finding(says, e, f"/data/{index}/{name}", e.query[name], row.get(name, "nothing"))
                return
        when = instant(row.get("createdAt"))
        since, until = instant(e.query.get("from")), instant(e.query.get("to"))
        if when and ((since and when < since) or (until and when > until)):
            says = "an entry is shown from outside the time that was asked for"
            wanted = f"from {e.query.get('from', 'the first')} to {e.query.get('to', 'the last')}"
            yield Finding(says, e, f"/data/{index}/createdAt", wanted, row.get("createdAt"))
            return


class Later(NamedTuple):
    """Entries that were shown, and a later answer that must show those of them that it was asked for."""

    before: Exchange
    after: Exchange


def kept(t: Timeline) -> Iterator[Later]:
    """Each whole answer, beside the latest earlier one that was asked for as much or more."""
    found = list(logs(t))
    for i, after in enumerate(found):
        if not _is_whole(after):
            continue
        earlier = [
            e for e in found[:i] if e.user == after.user and e.ended <= after.at and _holds(e.query, after.query)
        ]
        yield from (Later(before, after) for before in earlier[-2:] if rows_of(before))


def _is_whole(e: Exchange) -> bool:
    limit = e.query.get("limit", "100")
    return limit.isdigit() and e.query.get("offset", "0") == "0" and len(rows_of(e)) < int(limit)


def _holds(wide: Any, narrow: Any) -> bool:
    """Whether the first was asked for all that the second was."""
    return all(narrow.get(name) == wide[name] for name in wide if name not in {"limit", "offset"})


def still_there(later: Later, _t: Timeline) -> Iterator[Finding]:
    """Each entry that matches, and as it was."""
    shown = {str(row.get("id")): row for row in rows_of(later.after)}
    for row in rows_of(later.before):
        now = shown.get(str(row.get("id")))
        if now is None and _matches(row, later.after):
            says = "an audit entry that was there is not shown any more, or its filter leaves it out"
            yield Finding(
                says, later.after, "/data", f"the entry {row.get('id')}", f"{len(shown)} others", (later.before,)
            )
            return
        if now is not None and now != row:
            names = [name for name in row if now.get(name) != row[name]] or ["more"]
            says = f"an audit entry has changed its {names[0]}"
            got = now.get(names[0], "nothing")
            yield Finding(says, later.after, "/data", f"{row.get(names[0])}", got, (later.before,))
            return


def _matches(row: dict[str, Any], e: Exchange) -> bool:
    when = instant(row.get("createdAt"))
    since, until = instant(e.query.get("from")), instant(e.query.get("to"))
    inside = when is not None and (since is None or when > since) and (until is None or when < until)
    return inside and all(row.get(n) == e.query[n] for n in ("eventType", "agentId") if n in e.query)


def entry(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An audit entry."""
    right = {"id": f"e{number}", "eventType": "agent.renamed", "agentId": "a1", "details": None}
    return right | {"createdAt": f"2025-10-09T08:00:{number:02}Z"} | changes


def told(s: Scene, *entries: dict[str, Any], total: int | None = None, **query: str) -> None:
    """The log, asked for with a query, shows these entries."""
    page = {"total": len(entries) if total is None else total, "limit": int(query.get("limit", 100)), "offset": 0}
    asked = {k.rstrip("_"): v for k, v in query.items()}
    s.rest("GET", PATH, 200, {"success": True, "data": list(entries), "pagination": page}, query=asked)


def filtered(s: Scene) -> None:
    told(s, entry(3), entry(2), entry(1, eventType="agent.made"), agentId="a1")
    told(s, entry(3), entry(2), agentId="a1", eventType="agent.renamed")
    told(s, entry(3), entry(2), agentId="a1", from_="2025-10-09T08:00:02Z")
    told(s, entry(1, eventType="agent.made"), agentId="a1", to="2025-10-09T08:00:02Z")
    told(s, entry(4), entry(3), entry(2), entry(1, eventType="agent.made"), agentId="a1")


def type_ignored(s: Scene) -> None:
    told(s, entry(2), entry(1, eventType="agent.made"), eventType="agent.made")


def agent_ignored(s: Scene) -> None:
    told(s, entry(1, agentId=None), agentId="a1")


def from_ignored(s: Scene) -> None:
    told(s, entry(3), entry(1), from_="2025-10-09T08:00:02Z")


def to_ignored(s: Scene) -> None:
    told(s, entry(3), to="2025-10-09T08:00:02Z")


def matching_left_out(s: Scene) -> None:
    told(s, entry(2), entry(1), agentId="a1")
    told(s, agentId="a1", eventType="agent.renamed")


def gone_with_the_agent(s: Scene) -> None:
    told(s, entry(2), entry(1), agentId="a1")
    s.rest("DELETE", "/agents/a1", 204)
    told(s, entry(3), agentId="a1")


def rewritten(s: Scene) -> None:
    told(s, entry(1, details={"name": "Ada"}), agentId="a1")
    told(s, entry(1, details=None), agentId="a1")


async def an_agents_entries(world: World) -> None:
    """An agent is renamed and deleted; its entries are asked for by agent, type and time, before and after."""
    user = world.user()
    agent, rest = await user.agent(), user.rest
    for name in ("Ada", "Eve"):
        await rest.patch(f"/agents/{agent.id}", {"name": name})
    await agent.leave()
    await rest.shows(agent.id, status="OFFLINE")
    about = {"agentId": agent.id, "limit": LARGEST}
    all_of_it = await _settled(world, about)
    kinds = sorted({str(row.get("eventType")) for row in all_of_it})
    moments = sorted({m for row in all_of_it if (m := instant(row.get("createdAt")))})
    asks: list[dict[str, str]] = [{"eventType": kind} for kind in (*kinds, "no-such-event")]
    for moment in (*moments[:1], *moments[-1:]):
        for shift in (-1, 1):
            written = _written(moment + timedelta(milliseconds=shift))
            asks += [{"from": written}, {"to": written}]
    for ask in asks:
        await rest.get(PATH, query={**about, **ask})
    await rest.delete(f"/agents/{agent.id}")
    await rest.get(PATH, query=about)
    await rest.get(PATH, query=about)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        await rest.call(method, PATH)


async def _settled(world: World, query: dict[str, str]) -> list[dict[str, Any]]:
    """The entries, once two looks show as many: they may be written a little later than what they tell of."""
    seen = [0]

    def as_before(e: Exchange) -> bool:
        seen.append(len(rows_of(e)))
        return 0 < seen[-1] == seen[-2]

    return rows_of(await world.user().rest.poll(PATH, as_before, query=query))


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


class Deed(NamedTuple):
    """One operation that changed state, between two looks of its user at the number of entries."""

    e: Exchange
    before: Exchange
    after: Exchange


def deeds(t: Timeline) -> Iterator[Deed]:
    """Each operation that succeeded, where its user did nothing else and nobody did anything as that user."""
    if not any(n.kind == "alone" for n in t.notes):
        return
    looks = [e for e in logs(t) if _total(e) is not None and not e.query.keys() - {"limit"}]
    for e in judged(t):
        operation = t.contract.operations.get(e.operation or "")
        if operation is None or operation.method == "GET" or operation.id in UNSEEN or e.status >= 300:  # noqa: PLR2004 - 2xx
            continue
        before = [x for x in looks if x.user == e.user and x.ended <= e.at][-1:]
        others = [x.at for x in t.exchanges if x.method != "GET" and x.at > e.at]
        after = [x for x in looks if x.user == e.user and e.ended <= x.at < min(others, default=float("inf"))]
        if before and after:
            yield Deed(e, before[0], after[-1])


def _total(e: Exchange) -> int | None:
    told = e.value.get("pagination") if isinstance(e.value, dict) else None
    total = told.get("total") if isinstance(told, dict) else None
    return total if isinstance(total, int) else None


def recorded(deed: Deed, _t: Timeline) -> Iterator[Finding]:
    """One more entry at least."""
    before, after = _total(deed.before) or 0, _total(deed.after) or 0
    if after <= before:
        says = f"{deed.e.label} leaves no entry in the audit log: nobody can say who did it"
        yield Finding(says, deed.after, "/pagination/total", f"more than {before}", after, (deed.e,))


def deletes_with_entry(s: Scene) -> None:
    s.note("alone")
    told(s, total=3, limit="1")
    s.rest("DELETE", "/agents/a1", 204)
    told(s, total=3, limit="1")
    told(s, entry(4), total=4, limit="1")


def deletes_silently(s: Scene) -> None:
    s.note("alone")
    told(s, total=3, limit="1")
    s.rest("DELETE", "/agents/a1", 204)
    told(s, total=3, limit="1")


@provocation(alone=True, budget=30.0)
async def every_deed(world: World) -> None:
    """Each promised operation that changes state, one at a time, with a look at the number of entries around it."""
    estate, site = await world.estate(), world.site
    world.recorder.note("alone")
    rest = estate.user.rest
    writing = [o for o in site.operations if o.method != "GET" and not o.destructive and o.id not in UNSEEN]
    order = sorted(
        (o for o in writing if estate.reaches(o)), key=lambda o: (o.method == "DELETE", o.id == "cancelCommand")
    )
    last = await _look(world)
    for operation in order:
        if operation.id == "deleteAgent":
            await estate.agent.leave()
            await rest.shows(estate.agent.id, status="OFFLINE")
            last = await _look(world)
        path = operation.fill(estate.ids)
        options = {"body": estate.body(operation)} if operation.body else {}
        if operation.id == "confirmDevice":
            begun = await rest.post("/auth/device/authorize", {}, credential="none")
            options = {"body": {"userCode": data_of(begun).get("userCode", "")}}
        answer = await rest.call(operation.method, path, **options)
        if answer.status < 300:  # noqa: PLR2004 - 2xx
            last = await _look(world, more_than=last)


async def _look(world: World, more_than: int = -1) -> int:
    """How many entries there are: once there are more than so many, or after long enough."""
    answer = await world.user().rest.poll(
        PATH, lambda e: (_total(e) or 0) > more_than, within=SOON, query={"limit": "1"}
    )
    return _total(answer) or 0


RULES = (
    Rule(
        id="audit.picks-what-matches",
        clauses=("AUD-2",),
        judges="Filters by type, agent and time show only entries that match.",
        when=logs,
        check=picked,
        good=(filtered,),
        bad=(type_ignored, agent_ignored, from_ignored, to_ignored),
        cases=(an_agents_entries,),
    ),
    Rule(
        id="audit.keeps-what-it-has",
        clauses=("AUD-2",),
        judges="An entry once shown is shown again, unchanged, wherever it matches; also when its agent is deleted.",
        when=kept,
        check=still_there,
        good=(filtered,),
        bad=(matching_left_out, gone_with_the_agent, rewritten),
        cases=(an_agents_entries,),
    ),
    Rule(
        id="audit.records-every-deed",
        clauses=("AUD-1",),
        judges="Each operation that changes state adds an entry to its user's audit log.",
        when=deeds,
        check=recorded,
        good=(deletes_with_entry,),
        bad=(deletes_silently,),
        cases=(every_deed,),
    ),
)
