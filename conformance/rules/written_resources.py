"""Presets and constraints: what was written is what is read, and they live and end as they are told (PRE-1, LIM-1)."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.resources import data_of, resource_of, unknown_ids
from conformance.rest_views import instant, is_plain_json, judged, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import MISSING
from conformance.views import OK
from conformance.written import (
    CONSTRAINTS,
    CREATED,
    NO_CONTENT,
    OURS,
    PRESETS,
    Kind,
    Life,
    Seen,
    bare_body,
    full_body,
    lives,
    seen,
)
from conformance.written_scene import lists, makes, replaces, row, shows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.rule import Example, Provocation
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.user import User
    from conformance.world.world import World

NOT_FOUND, CONFLICT = 404, 409
KEPT = ("createdAt", "usageCount", "lastUsedAt", "userId")
"""What a replacement leaves as it is."""


def _written(kind: Kind) -> Callable[[Timeline], Iterator[Seen]]:
    return lambda t: seen(t, kind)


def _reads(kind: Kind) -> Callable[[Seen, Timeline], Iterator[Finding]]:
    def check(s: Seen, t: Timeline) -> Iterator[Finding]:
        """Each member as written, what was left out at its default, what is not written as it was."""
        wanted = {**kind.defaults, **{k: v for k, v in s.write.request.items() if k in _members(t, kind)}}
        if wanted.get("isDefault"):
            wanted.pop("isDefault")  # another may have taken it: see `one_default`
        elif kind is CONSTRAINTS and s.write.operation == kind.operation("replace"):
            wanted["isDefault"] = False
        for name, value in wanted.items():
            if not _same(value, s.value.get(name, MISSING), any_order=name == "targetAgentTypes"):
                says = f"the {kind.singular}'s {name} is not what was written"
                evidence = () if s.write is s.where else (s.write,)
                yield Finding(says, s.where, f"{s.pointer}/{name}", f"{value}", s.value.get(name, "nothing"), evidence)
        born = data_of(s.life.writes[0])
        for name in (n for n in KEPT if n in born and s.where.at > s.life.writes[0].ended):
            if not _same(born[name], s.value.get(name, MISSING)):
                says = f"the {kind.singular}'s {name} has changed although it was only replaced"
                yield Finding(
                    says, s.where, f"{s.pointer}/{name}", f"{born[name]}", s.value.get(name, "nothing"), (s.write,)
                )

    return check


def _members(t: Timeline, kind: Kind) -> set[str]:
    return set(t.contract.shapes.schema(f"{kind.singular}-write.json")["properties"])


def _same(wanted: Any, got: Any, *, any_order: bool = False) -> bool:
    """Whether two values say the same: times as instants, types of agents in any order.

    A variable's member that is null may be left out, and one that the contract does not know as well.
    """
    if isinstance(wanted, list) and isinstance(got, list):
        if any_order:
            return sorted(wanted) == sorted(map(str, got))
        return len(wanted) == len(got) and all(map(_same, wanted, got))
    if isinstance(wanted, dict) and isinstance(got, dict):
        return all(wanted.get(k) == got.get(k) for k in ("name", "description", "default"))
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if (moment := instant(wanted)) is not None:
        return moment == instant(got)
    return bool(wanted == got)


class Step(NamedTuple):
    """A request in the life of a resource, and the statuses that are right for it."""

    e: Exchange
    right: tuple[int, ...]
    because: str
    evidence: tuple[Exchange, ...] = ()


def _steps(kind: Kind) -> Callable[[Timeline], Iterator[Step]]:
    def when(t: Timeline) -> Iterator[Step]:
        """Right requests whose outcome this timeline alone decides."""
        known, unknown = lives(t, kind), unknown_ids(t)
        schema = f"{kind.singular}-write.json"
        for e in judged(t):
            right = is_plain_json(e) and t.contract.shapes.accepts(schema, e.request)
            resource = resource_of(e)
            if e.operation == kind.operation("create") and right:
                yield from _naming(e, known, kind, None, CREATED)
            elif resource is None or resource.kind != kind.name or e.operation is None:
                continue
            elif resource.id in unknown and (right or e.operation != kind.operation("replace")):
                yield Step(e, (NOT_FOUND,), "there is none of that id")
            elif (life := known.get(resource.id)) and life.user == e.user:
                yield from _living(e, known, kind, life, right=right)

    return when


def _living(e: Exchange, known: Any, kind: Kind, life: Life, *, right: bool) -> Iterator[Step]:
    replaces = e.operation == kind.operation("replace")
    if life.deleted_by(e.at) and (right or not replaces):
        yield Step(e, (NOT_FOUND,), "it was deleted")
    elif replaces and right and _is_there(life, e):
        yield from _naming(e, known, kind, life, OK)
    elif not replaces and _is_there(life, e):
        status = NO_CONTENT if e.method == "DELETE" else OK
        yield Step(e, (status,), "it is there", (life.writes[0],))


def _is_there(life: Life, e: Exchange) -> bool:
    made = life.writes[0].ended <= e.at
    return made and not any(x is not e and x.at < e.ended and x.method == "DELETE" for x in life.doubtful)


def _naming(e: Exchange, known: Any, kind: Kind, own: Life | None, served: int) -> Iterator[Step]:
    """A name that is written: taken, free, or nobody can tell."""
    name = e.request["name"]
    others = [life for life in known.values() if life.user == e.user and life is not own and e not in life.writes]
    holders = [w for life in others if (w := life.written_at(e.at, e.ended)) and w.request.get("name") == name]
    if kind.unique and holders:
        yield Step(e, (CONFLICT,), "its user has one of that name", (holders[0],))
    elif name.startswith(OURS) and not any(life.may_hold(name, e.at, e.ended) for life in others):
        yield Step(e, (served,), "its name is free")


def stepped(step: Step, _t: Timeline) -> Iterator[Finding]:
    """The status that is right."""
    e = step.e
    if e.status not in step.right:
        wanted = " or ".join(map(str, step.right))
        says = f"{e.label} is not answered {wanted} although {step.because}"
        yield Finding(says, e, "", f"{wanted}, for {step.because}", outcome(e), step.evidence)


def examples(kind: Kind) -> dict[str, Example]:
    """Examples for one kind, by name."""
    full, bare = full_body(kind), bare_body(kind)

    def a_whole_life(s: Scene) -> None:
        s.note("unknown-id", id="zz")
        makes(s, kind, full)
        types = {"targetAgentTypes": full["targetAgentTypes"][::-1]} if kind is PRESETS else {}
        shows(s, kind, full, createdAt="2025-10-09T08:00:00.000+00:00", extra=1, **types)
        replaces(s, kind, bare, updatedAt="2026-01-01T00:00:00Z")
        shows(s, kind, bare, usageCount=0)
        lists(s, kind, row(kind, bare))
        s.rest("DELETE", f"/{kind.name}/id-1", 204)
        for path in ("id-1", "zz"):
            s.fails("GET", f"/{kind.name}/{path}", 404)
        lists(s, kind)
        makes(s, kind, full, "2")

    def keeps_what_was_left_out(s: Scene) -> None:
        makes(s, kind, full)
        replaces(s, kind, bare, description=full["description"])

    def loses_a_member(s: Scene) -> None:
        makes(s, kind, full)
        shows(s, kind, full, description=None)

    def is_born_again(s: Scene) -> None:
        makes(s, kind, full)
        replaces(s, kind, full, createdAt="2026-01-01T00:00:00Z")

    def loses_itself(s: Scene) -> None:
        makes(s, kind, full)
        s.fails("GET", f"/{kind.name}/id-1", 404)

    def lives_on(s: Scene) -> None:
        makes(s, kind, full)
        s.rest("DELETE", f"/{kind.name}/id-1", 204)
        shows(s, kind, full)

    def unknown_is_made(s: Scene) -> None:
        s.note("unknown-id", id="zz")
        s.rest("PUT", f"/{kind.name}/zz", 200, {"success": True, "data": full}, request=full)

    return {k: v for k, v in locals().items() if callable(v)}


def names_once(s: Scene) -> None:
    makes(s, PRESETS, bare_body(PRESETS))
    makes(s, PRESETS, bare_body(PRESETS), status=409)
    makes(s, PRESETS, bare_body(PRESETS, "cf.1 of bob") | {"name": "CF.1"}, "2")
    replaces(s, PRESETS, bare_body(PRESETS))
    replaces(s, PRESETS, bare_body(PRESETS, "cf.3"))
    makes(s, PRESETS, bare_body(PRESETS), "4")


def overwrites(s: Scene) -> None:
    makes(s, PRESETS, bare_body(PRESETS))
    makes(s, PRESETS, bare_body(PRESETS), "2")


def takes_anothers_name(s: Scene) -> None:
    makes(s, PRESETS, bare_body(PRESETS))
    makes(s, PRESETS, bare_body(PRESETS, "cf.2"), "2")
    replaces(s, PRESETS, bare_body(PRESETS, "cf.2"))


def refuses_its_own_name(s: Scene) -> None:
    makes(s, PRESETS, bare_body(PRESETS))
    replaces(s, PRESETS, bare_body(PRESETS), 409)


class Writer:
    """Writes resources of a kind as one user."""

    def __init__(self, world: World, kind: Kind, user: User) -> None:
        self._world, self._kind, self._user = world, kind, user
        self._path = f"/{kind.name}"

    async def make(self, name: str, *, full: bool = False, **changes: Any) -> str:
        """One more; gives its id, or one of nothing where it was refused."""
        body = (full_body if full else bare_body)(self._kind, name) | changes
        answer = await self._user.rest.post(self._path, body)
        made = data_of(answer).get("id")
        return made if isinstance(made, str) else str(uuid.uuid4())

    async def replace(self, resource_id: str, name: str, *, full: bool = False, **changes: Any) -> None:
        """In place of what was there."""
        await self._user.rest.put(
            f"{self._path}/{resource_id}", (full_body if full else bare_body)(self._kind, name) | changes
        )

    async def show(self, resource_id: str) -> None:
        """One."""
        await self._user.rest.get(f"{self._path}/{resource_id}")

    async def delete(self, resource_id: str) -> None:
        """No more of it."""
        await self._user.rest.delete(f"{self._path}/{resource_id}")

    async def list(self) -> None:
        """All."""
        await self._user.rest.get(self._path, query={"limit": "100"})


async def _live(world: World, kind: Kind) -> None:
    """From the making of two to the end of one, with a look after each step."""
    writer, name, other = Writer(world, kind, world.user()), world.new_id(), world.new_id()
    first, second = await writer.make(name, full=True), await writer.make(other)
    for resource in (first, second):
        await writer.show(resource)
    await writer.replace(first, name)
    await writer.show(first)
    await writer.replace(first, f"{name} anew", full=True)
    await writer.replace(second, name, full=True)
    await writer.show(first)
    await writer.list()
    nothing = str(uuid.uuid4())
    world.recorder.note("unknown-id", id=nothing)
    for resource in (first, nothing):
        await writer.delete(resource)
        await writer.show(resource)
        await writer.replace(resource, world.new_id())
    await writer.delete(first)
    await writer.make(f"{name} anew")
    await writer.list()


async def a_presets_life(world: World) -> None:
    """A preset is made, read, replaced, listed and deleted, and so is what does not exist."""
    await _live(world, PRESETS)


async def a_constraints_life(world: World) -> None:
    """The same for a constraint."""
    await _live(world, CONSTRAINTS)


async def names_of_presets(world: World) -> None:
    """A name that is taken, for a new preset and another; in another case; several at one moment; freed again."""
    writer, name, other = Writer(world, PRESETS, world.user()), world.new_id(), world.new_id()
    first, second = await writer.make(name), await writer.make(other)
    await writer.make(name, full=True)
    await writer.replace(second, name, full=True)
    for resource in (first, second):
        await writer.show(resource)
    await writer.make(name.upper())
    await writer.replace(first, name, full=True)
    twice = world.new_id()
    await asyncio.gather(*(writer.make(twice) for _ in range(4)))
    await writer.list()
    await writer.delete(first)
    await writer.make(name)


@provocation(needs="second-user")
async def the_same_name_of_two_users(world: World) -> None:
    """Two users each have a preset of the same name."""
    name = world.new_id()
    for index in (0, 1):
        await Writer(world, PRESETS, world.user(index)).make(name)


async def the_default_of_two_users(world: World) -> None:
    """Constraints are made the default, by POST and PUT, several at the same moment, and by another user beside."""
    writer, users = Writer(world, CONSTRAINTS, world.user()), range(min(2, len(world.users)))
    first = await writer.make(world.new_id(), isDefault=True)
    await writer.list()
    second = await writer.make(world.new_id(), isDefault=True)
    for index in users:
        await Writer(world, CONSTRAINTS, world.user(index)).make(world.new_id(), isDefault=index == 1)
    for resource in (first, second):
        await writer.show(resource)
    await writer.replace(first, world.new_id(), isDefault=True)
    for resource in (first, second):
        await writer.show(resource)
    await writer.list()
    await asyncio.gather(*(writer.make(world.new_id(), isDefault=True) for _ in range(4)))
    await writer.list()


def _rules(kind: Kind, life: Any, *names: Provocation | Any) -> tuple[Rule, ...]:
    ex = examples(kind)
    extra_good, extra_bad = (
        ((names_once,), (overwrites, takes_anothers_name, refuses_its_own_name)) if kind.unique else ((), ())
    )
    return (
        Rule(
            id=f"{kind.name}.written-is-read",
            clauses=(kind.clause,),
            judges=f"A {kind.singular} shows what was written, what was left out at its default, the rest as before.",
            when=_written(kind),
            check=_reads(kind),
            good=(ex["a_whole_life"],),
            bad=(ex["keeps_what_was_left_out"], ex["loses_a_member"], ex["is_born_again"]),
            cases=(life,),
        ),
        Rule(
            id=f"{kind.name}.live-and-end",
            clauses=(kind.clause,),
            judges=f"A {kind.singular} is made, read, replaced and deleted with the status that its state asks for.",
            when=_steps(kind),
            check=stepped,
            good=(ex["a_whole_life"], *extra_good),
            bad=(ex["loses_itself"], ex["lives_on"], ex["unknown_is_made"], *extra_bad),
            cases=(life, *names),
        ),
    )


RULES = (
    *_rules(PRESETS, a_presets_life, names_of_presets, the_same_name_of_two_users),
    *_rules(CONSTRAINTS, a_constraints_life, the_default_of_two_users),
)
