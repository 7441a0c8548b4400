"""The lists of terminal output over REST: filtered, paged and bounded as asked (TRM-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.command_scene import ONE
from conformance.history_views import BOTH, History, histories, moment, row_key, settled, subject
from conformance.rest_views import code, is_failure, judged, unknown_agents
from conformance.rule import Finding, Rule
from conformance.rules.terminal_history import (
    COMMANDS,
    PATH,
    all_there,
    print_and_read,
    print_for_commands,
    printed,
)
from conformance.stream_scene import cast, lists, prints, row
from conformance.stream_views import commands, outputs, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

OK, BAD, NOT_FOUND = 200, 400, 404
OUT_OF_BOUNDS = (
    {"limit": "0"},
    {"limit": "10001"},
    {"limit": "many"},
    {"offset": "-1"},
    {"since": "yesterday"},
    {"streamType": "STDALL"},
)
WITHIN_BOUNDS = ({"limit": "1"}, {"limit": "10000"}, {"offset": "0"}, {"since": "2025-10-09T08:00:00Z"})


class Filtered(NamedTuple):
    """An answer with filters, and one of the same path without any, between which nothing was printed."""

    part: History
    whole: History


def filtered(t: Timeline) -> Iterator[Filtered]:
    """Each answer to a request with valid filters that has such a neighbour."""
    found = list(histories(t))
    plain = [h for h in found if h.is_whole and not {"streamType", "commandId"} & set(h.where.query)]
    for h in found:
        if not _valid(h.where):
            continue
        near = [w for w in plain if w.where.path == h.where.path and w is not h and _still(h, w, t)]
        if near:
            yield Filtered(h, near[0])


def _valid(e: Exchange) -> bool:
    since, stream = e.query.get("since"), e.query.get("streamType", "STDOUT")
    return (since is None or moment(since) is not None) and stream in {"STDOUT", "STDERR"} and "cursor" not in e.query


def _still(one: History, two: History, t: Timeline) -> bool:
    end = max(one.where.ended, two.where.ended)
    first = one.where if one.where.at < two.where.at else two.where
    return all(p.sent.at > end or settled(p, first, t) for p in outputs(t) if one.of in {p.agent_id, p.command})


def as_asked(pair: Filtered, _t: Timeline) -> Iterator[Finding]:
    """The rows that fit, from `offset` on, at most `limit` of them, and the total of all that fit."""
    part, every = pair
    query = part.where.query
    fits = [r for r in every.rows if _fits(r, query)]
    wanted = fits[part.offset : part.offset + part.limit]
    asked = "&".join(f"{k}={v}" for k, v in query.items()) or "no filter"
    if [_name(r) for r in part.rows] != [_name(r) for r in wanted]:
        says = f"terminal output with {asked} is not what the whole list says it should be"
        expects = f"{len(wanted)} rows: sequences {shown([r.get('sequence') for r in wanted])}"
        got = f"{len(part.rows)} rows: sequences {shown([r.get('sequence') for r in part.rows])}"
        yield Finding(says, part.where, "/data", expects, got, (every.where,))
    pages = part.where.value.get("pagination") if isinstance(part.where.value, dict) else None
    total = pages.get("total") if isinstance(pages, dict) else None
    if total != len(fits):
        says = f"the total of terminal output with {asked} is not the number of all that fit"
        yield Finding(says, part.where, "/pagination/total", str(len(fits)), total, (every.where,))


def _fits(found: dict[str, Any], query: Any) -> bool:
    since, when = moment(query.get("since")), moment(found.get("timestamp"))
    asked = query.get("commandId")
    return (
        query.get("streamType", found.get("streamType")) == found.get("streamType")
        and (asked is None or str(found.get("commandId")).lower() == asked.lower())
        and (since is None or (when is not None and when >= since))
    )


def _name(found: dict[str, Any]) -> Any:
    return found.get("id"), row_key(found)


class Asked(NamedTuple):
    """A request for terminal output of which the answer's status is known beforehand."""

    where: Exchange
    status: int
    why: str


def bounds(t: Timeline) -> Iterator[Asked]:
    """Requests of the owner with each value in or out of bounds, and requests for agents that do not exist."""
    own = {h.where.seq for h in histories(t)}
    unknown = unknown_agents(t)
    for e in judged(t):
        if e.operation not in BOTH:
            continue
        about = subject(e)
        is_own = t.owners.get(about) == e.user or commands(t).get(about.lower(), ("", None))[0] == e.user
        wrong = [f"{k}={v}" for k, v in e.query.items() if {k: v} in OUT_OF_BOUNDS]
        if about in unknown and e.operation == "getTerminalOutput" and not e.query:
            yield Asked(e, NOT_FOUND, "an agent that does not exist")
        elif is_own and wrong:
            yield Asked(e, BAD, wrong[0])
        elif e.seq in own or (is_own and all({k: v} in WITHIN_BOUNDS for k, v in e.query.items())):
            yield Asked(e, OK, "a request within bounds")


def as_bounded(asked: Asked, _t: Timeline) -> Iterator[Finding]:
    """400 for a value out of bounds, 404 for an unknown agent, 200 for all else; never more rows than the limit."""
    e = asked.where
    if e.status != asked.status:
        says = f"{e.label} with {asked.why} is answered {e.status}"
        yield Finding(says, e, "", str(asked.status), e.status if e.status < BAD else f"{e.status} {code(e.value)}")
    elif asked.status != OK and not is_failure(e.value):
        yield Finding(f"{e.label} is refused without a failure body", e, "", "success false and error", shown(e.value))
    elif asked.status == OK:
        for h in (History(e, list(e.value.get("data") or []), ""),) if isinstance(e.value, dict) else ():
            if len(h.rows) > h.limit:
                yield Finding("a page is longer than its limit", e, "/data", f"at most {h.limit} rows", len(h.rows))


def _asks(s: Scene, *taken: int, total: int, **query: str) -> None:
    rows = [row(f) for f in printed(s)]
    lists(s, PATH, *rows)
    lists(s, PATH, *(rows[i] for i in taken), query=query, total=total)


def filter_ignored(s: Scene) -> None:
    _asks(s, 0, 1, 2, 3, total=4, streamType="STDERR")


def other_command_shown(s: Scene) -> None:
    _asks(s, 0, 1, 2, 3, total=4, commandId=ONE)


def since_excludes(s: Scene) -> None:
    _, agent = cast(s)
    rows = [row(prints(agent, str(number), number)) for number in range(3)]
    s.wait(2)
    lists(s, PATH, *rows)
    lists(s, PATH, rows[2], query={"since": rows[1]["timestamp"]})


def pages_overlap(s: Scene) -> None:
    _asks(s, 0, 1, total=4, limit="2", offset="1")


def total_of_the_page(s: Scene) -> None:
    _asks(s, 1, 2, total=2, limit="2", offset="1")


def bounds_kept(s: Scene) -> None:
    cast(s)
    s.note("unknown-agent", agent="zz")
    s.fails("GET", "/agents/zz/terminal-output", 404)
    lists(s, PATH, query={"limit": "1"})
    for wrong in OUT_OF_BOUNDS:
        s.fails("GET", PATH, 400, query=dict(wrong))
        s.fails("GET", COMMANDS, 400, query=dict(wrong))


def bounds_clamped(s: Scene) -> None:
    cast(s)
    lists(s, PATH, query={"limit": "10001"})


def limit_refused(s: Scene) -> None:
    cast(s)
    s.fails("GET", PATH, 400, query={"limit": "10000"})


def unknown_is_empty(s: Scene) -> None:
    s.note("unknown-agent", agent="zz")
    lists(s, "/agents/zz/terminal-output")


async def out_of_bounds(world: World) -> None:
    """The terminal output of an agent is asked for with values in and out of bounds, and of an agent unknown."""
    user = world.user()
    agent = await user.agent()
    await user.rest.get(f"/agents/{world.unknown_agent()}/terminal-output")
    for query in (*WITHIN_BOUNDS, *OUT_OF_BOUNDS):
        await user.rest.get(f"/agents/{agent.id}/terminal-output", query=query)


RULES = (
    Rule(
        id="terminal-history.filtered",
        clauses=("TRM-7",),
        judges="streamType, commandId, since, limit and offset pick what they say, and total counts it.",
        when=filtered,
        check=as_asked,
        good=(all_there,),
        bad=(filter_ignored, other_command_shown, since_excludes, pages_overlap, total_of_the_page),
        cases=(print_and_read, print_for_commands),
    ),
    Rule(
        id="terminal-history.bounds",
        clauses=("TRM-7",),
        judges="A value out of bounds is answered 400, an unknown agent 404, all else 200 with at most `limit` rows.",
        when=bounds,
        check=as_bounded,
        good=(bounds_kept, all_there),
        bad=(bounds_clamped, limit_refused, unknown_is_empty),
        cases=(out_of_bounds,),
    ),
)
