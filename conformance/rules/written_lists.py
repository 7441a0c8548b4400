"""Lists of presets and constraints hold what was made and no more; a user has one default at most (PRE-1, LIM-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.rest_views import judged
from conformance.rule import Finding, Rule
from conformance.rules.written_resources import (
    a_constraints_life,
    a_presets_life,
    examples,
    names_of_presets,
    the_default_of_two_users,
    the_same_name_of_two_users,
)
from conformance.views import OK
from conformance.written import (
    CONSTRAINTS,
    PRESETS,
    Kind,
    Seen,
    bare_body,
    full_body,
    lives,
    rows_of,
    seen,
)
from conformance.written_scene import lists, makes, row, shows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline


def _lists(kind: Kind) -> Callable[[Timeline], Iterator[tuple[Exchange, Kind]]]:
    def when(t: Timeline) -> Iterator[tuple[Exchange, Kind]]:
        """Whole lists of a user who has made or deleted something before."""
        for e in judged(t):
            whole = e.query.get("limit") == "100" and not e.query.keys() - {"limit"} and len(rows_of(e)) < 100  # noqa: PLR2004 - a page
            made = (life for life in lives(t, kind).values() if life.user == e.user and life.writes[0].ended <= e.at)
            if e.operation == kind.operation("list") and e.status == OK and whole and any(made):
                yield e, kind

    return when


def listed(occasion: tuple[Exchange, Kind], t: Timeline) -> Iterator[Finding]:
    """Those that are there, and none that was deleted; no name twice, no second default."""
    e, kind = occasion
    ids = {row.get("id") for row in rows_of(e)}
    for life in lives(t, kind).values():
        if life.user != e.user:
            continue
        if life.id not in ids and life.written_at(e.at, e.ended):
            says = f"a {kind.singular} that was made is not in the list"
            yield Finding(says, e, "/data", life.id, f"{len(ids)} others", (life.writes[0],))
        elif life.id in ids and life.deleted_by(e.at):
            yield Finding(f"a deleted {kind.singular} is still in the list", e, "/data", f"no {life.id}", life.id)
    names = [row.get("name") for row in rows_of(e)]
    if kind.unique and (twice := next((n for n in names if names.count(n) > 1), None)) is not None:
        yield Finding(f"two {kind.name} of one user have the same name", e, "/data", "each name once", twice)
    defaults = [i for i, row in enumerate(rows_of(e)) if row.get("isDefault") is True]
    if len(defaults) > 1:
        says = "a user has two default constraints: nobody knows which limit applies"
        yield Finding(says, e, f"/data/{defaults[1]}/isDefault", "one default at most", len(defaults))


def defaults(t: Timeline) -> Iterator[tuple[Seen, bool]]:
    """Constraints that were made the default once, as they were shown, and whether they still should be it."""
    claims = [(life, w) for life in lives(t, CONSTRAINTS).values() for w in life.writes if w.request.get("isDefault")]
    for s in seen(t, CONSTRAINTS):
        mine = [w for life, w in claims if life.user == s.where.user]
        if not s.write.request.get("isDefault") or any(
            w.at < s.where.ended and w.ended > s.where.at for w in mine if w is not s.where
        ):
            continue
        others = [w for life, w in claims if life.user == s.where.user and life is not s.life and w.ended > s.write.at]
        overlapping = any(w.at < s.write.ended for w in others)
        taken = [w for w in others if w.ended <= s.where.at]
        if not overlapping:
            yield s, not taken


def one_default(occasion: tuple[Seen, bool], _t: Timeline) -> Iterator[Finding]:
    """The last one that was made the default, and no other."""
    s, is_it = occasion
    if s.value.get("isDefault") is not is_it:
        says = (
            "a constraint is not the default that was made it"
            if is_it
            else "a constraint stays the default beside another"
        )
        got = s.value.get("isDefault", "nothing")
        yield Finding(says, s.where, f"{s.pointer}/isDefault", f"{is_it}".lower(), got, (s.write,))


def default_moves(s: Scene) -> None:
    body = bare_body(CONSTRAINTS) | {"isDefault": True}
    makes(s, CONSTRAINTS, body)
    makes(s, CONSTRAINTS, body | {"name": "cf.2"}, "2")
    shows(s, CONSTRAINTS, body, isDefault=False)
    shows(s, CONSTRAINTS, body, "2")


def default_stays_too(s: Scene) -> None:
    body = bare_body(CONSTRAINTS) | {"isDefault": True}
    makes(s, CONSTRAINTS, body)
    makes(s, CONSTRAINTS, body | {"name": "cf.2"}, "2")
    shows(s, CONSTRAINTS, body)


def default_is_ignored(s: Scene) -> None:
    body = bare_body(CONSTRAINTS) | {"isDefault": True}
    makes(s, CONSTRAINTS, body, isDefault=False)


def two_defaults_listed(s: Scene) -> None:
    body = bare_body(CONSTRAINTS) | {"isDefault": True}
    makes(s, CONSTRAINTS, body)
    lists(s, CONSTRAINTS, row(CONSTRAINTS, body), row(CONSTRAINTS, body, "9"))


def _rule(kind: Kind, *cases: Any) -> Rule:
    body = full_body(kind)

    def not_listed(s: Scene) -> None:
        makes(s, kind, body)
        lists(s, kind)

    def listed_for_ever(s: Scene) -> None:
        makes(s, kind, body)
        s.rest("DELETE", f"/{kind.name}/id-1", 204)
        lists(s, kind, row(kind, body))

    return Rule(
        id=f"{kind.name}.listed",
        clauses=(kind.clause,),
        judges=f"The list holds each {kind.singular} that was made, and none that was deleted.",
        when=_lists(kind),
        check=listed,
        good=(examples(kind)["a_whole_life"],),
        bad=(not_listed, listed_for_ever, *((two_defaults_listed,) if kind is CONSTRAINTS else ())),
        cases=cases,
    )


RULES = (
    _rule(PRESETS, a_presets_life, names_of_presets, the_same_name_of_two_users),
    _rule(CONSTRAINTS, a_constraints_life, the_default_of_two_users),
    Rule(
        id="constraints.one-default",
        clauses=("LIM-1",),
        judges="The constraint that was last made the default is it, and no other of that user.",
        when=defaults,
        check=one_default,
        good=(default_moves,),
        bad=(default_stays_too, default_is_ignored),
        cases=(the_default_of_two_users,),
    ),
)
