"""Bodies that no client should send: other media, and too much of it (VAL-4, VAL-5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from conformance.resources import changed, data_of, is_known, looks_around
from conformance.rest_views import MIB, agent_of, around, body_size, judged, last_connection, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import MISSING, VALID
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

TOO_LARGE = 413
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def other_media(t: Timeline) -> Iterator[Exchange]:
    """Bodies that are no JSON, or are declared as something else, sent to an operation that takes one.

    What the path names is there.
    """
    for e in judged(t, credential=None):
        operation = t.contract.operations.get(e.operation or "")
        if operation is None or not operation.body or not 0 < body_size(e) <= MIB or not _is_served(t, e):
            continue
        broken = e.request is MISSING and any(n.kind == "broken-json" for n in t.notes)
        if broken or "json" not in e.request_headers.get("content-type", "").lower():
            yield e


def _is_served(t: Timeline, e: Exchange) -> bool:
    operation = t.contract.operations[e.operation or ""]
    if e.credential != VALID and operation.secured:
        return False
    return not operation.names or is_known(t, e) or last_connection(t, e) is not None


def media_refused(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """400 or 415, and no change."""
    if e.status not in {400, 415}:
        says = "a body that is no JSON, or not declared as JSON, is not refused"
        yield Finding(says, e, "", "400 or 415", e.status)
    looks = None if agent_of(e) else looks_around(t, e, e.user)
    if looks is not None and (member := changed(*looks)) is not None:
        says = "a body that is no JSON, or not declared as JSON, had an effect: it was half understood"
        was, now = (data_of(x).get(member, "nothing") for x in looks)
        yield Finding(says, looks[1], f"/data/{member}", f"{was}", now, (looks[0], e))
    seen = around(t, e, agent_of(e) or "", e.user)
    if seen and seen[0].value.get("name") != seen[1].value.get("name"):
        says = "a body that is no JSON renamed the agent: it was half understood"
        name = seen[0].value.get("name")
        yield Finding(says, seen[1].where, "/data/name", f"{name}", seen[1].value.get("name"), (seen[0].where, e))


def form(s: Scene, status: int = 415) -> None:
    """A form post to rename a1."""
    s.agent("a1")
    s.shows(s.row("a1"))
    headers = {"content-type": "application/x-www-form-urlencoded", "content-length": "9"}
    s.fails("PATCH", "/agents/a1", status, request_headers=headers)


def form_refused(s: Scene) -> None:
    form(s)
    s.shows(s.row("a1"))


def form_refused_while_it_is_renamed(s: Scene) -> None:
    s.agent("a1")
    asked = s.seconds
    s.shows(s.row("a1"))
    headers = {"content-type": "application/x-www-form-urlencoded", "content-length": "9"}
    s.fails("PATCH", "/agents/a1", 415, request_headers=headers)
    body = {"success": True, "data": s.row("a1", name="Eve")}
    s.rest("PATCH", "/agents/a1", 200, body, request={"name": "Eve"}, at=asked)
    s.shows(s.row("a1", name="Eve"))


def preset_changed_while_it_is_refused(s: Scene) -> None:
    preset = {"id": "p1", "name": "Daily", "content": "x"}
    s.rest("POST", "/presets", 201, {"success": True, "data": preset})
    asked = s.seconds
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": preset})
    s.fails("PUT", "/presets/p1", 415, request_headers={"content-type": "text/plain", "content-length": "9"})
    s.rest("PUT", "/presets/p1", 200, {"success": True, "data": preset | {"name": "Weekly"}}, at=asked)
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": preset | {"name": "Weekly"}})


def form_refused_with_400(s: Scene) -> None:
    form(s, 400)


def form_breaks(s: Scene) -> None:
    form(s, 500)


def form_understood(s: Scene) -> None:
    form(s)
    s.shows(s.row("a1", name="Eve"))


def preset_of_text(s: Scene) -> None:
    preset = {"id": "p1", "name": "Daily", "content": "x"}
    s.rest("POST", "/presets", 201, {"success": True, "data": preset})
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": preset})
    s.fails("PUT", "/presets/p1", 415, request_headers={"content-type": "text/plain", "content-length": "9"})
    s.rest("GET", "/presets/p1", 200, {"success": True, "data": preset | {"name": "Weekly"}})


async def bodies_that_are_no_json(world: World) -> None:
    """A form post, broken JSON and JSON declared as text, each between two looks; then the same name as JSON."""
    rest, agent = world.user().rest, await world.user().agent()
    path = f"/agents/{agent.id}"
    world.recorder.note("broken-json")
    await rest.get(path)
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    for raw, headers in (
        (b"name=Formed", form_type),
        (b'{"name": "Bro', None),
        (b'{"name": "Text"}', {"Content-Type": "text/plain"}),
    ):
        await rest.call("PATCH", path, raw=raw, headers=headers)
        await rest.get(path)
    await rest.patch(path, {"name": "Declared"})


def sizes(t: Timeline) -> Iterator[Exchange]:
    """Bodies of more than 1 MiB that were answered, and right ones of nearly as much."""
    for e in judged(t, credential=None):
        operation = t.contract.operations.get(e.operation or "")
        if e.credential != VALID and (operation is None or operation.secured):
            continue
        near = MIB * 0.9 < body_size(e) <= MIB and e.operation == "renameAgent" and last_connection(t, e) is not None
        if body_size(e) > MIB or (near and t.contract.shapes.accepts("agent-update.json", e.request)):
            yield e


def size_judged(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """413 above 1 MiB, and not below."""
    if body_size(e) > MIB and e.status != TOO_LARGE:
        says = "a body over 1 MiB is not answered 413: one client can fill the server's memory"
        yield Finding(says, e, "", "413 for a body over 1 MiB", e.status)
    elif body_size(e) <= MIB and e.status != OK:
        yield Finding("a right body of less than 1 MiB is refused", e, "", "200 for a body below 1 MiB", outcome(e))


def sized(s: Scene, size: int, status: int) -> None:
    """A rename of a1 with a body of this size."""
    s.agent("a1")
    body = {"success": status == OK, "data": s.row("a1"), "error": "Too large"}
    s.rest("PATCH", "/agents/a1", status, body, request={"name": "Ada"}, request_headers={"content-length": str(size)})


def just_over(s: Scene) -> None:
    sized(s, MIB + 1, 413)
    sized(s, MIB, 200)


def over_accepted(s: Scene) -> None:
    sized(s, MIB + 1, 200)


def below_refused(s: Scene) -> None:
    sized(s, MIB - 1, 413)


@provocation(budget=60.0)
async def other_media_everywhere(world: World) -> None:
    """For each operation with a body: a form post, broken JSON, and JSON declared as text, between two looks."""
    estate = await world.estate()
    world.recorder.note("broken-json")
    operations = [o for o in world.site.operations if o.body and not o.destructive and estate.reaches(o)]
    looks = [o for o in world.site.operations if o.method == "GET" and len(o.names) == 1 and o.path.endswith("}")]

    async def look() -> None:
        await asyncio.gather(*(estate.user.rest.get(o.fill(estate.ids)) for o in looks if estate.reaches(o)))

    await look()
    for operation in operations:
        right = orjson.dumps(estate.body(operation))
        credential = VALID if operation.secured else "none"
        for raw, declared in ((b"name=Formed&reason=x", FORM), (right[:-1], JSON), (right, "text/plain")):
            await estate.user.rest.call(
                operation.method,
                operation.fill(estate.ids),
                raw=raw,
                headers={"Content-Type": declared},
                credential=credential,
            )
    await look()


@provocation(budget=40.0)
async def large_bodies_everywhere(world: World) -> None:
    """For each operation with a body: a right one in just over 1 MiB."""
    estate = await world.estate()
    for operation in (o for o in world.site.operations if o.body and not o.destructive and estate.reaches(o)):
        raw = orjson.dumps(estate.body(operation)).ljust(MIB + 1024)
        for _ in range(3):
            answer = await estate.user.rest.call(
                operation.method,
                operation.fill(estate.ids),
                raw=raw,
                credential=VALID if operation.secured else "none",
            )
            if answer.status:
                break


@provocation(budget=40.0)
async def a_body_over_one_mebibyte(world: World) -> None:
    """The same rename in a body just over 1 MiB, and in one just below."""
    rest, agent = world.user().rest, await world.user().agent()
    body = b'{"name": "Padded"}'
    for size in (MIB + 1024, MIB - 1024):
        for _ in range(3):
            answer = await rest.call("PATCH", f"/agents/{agent.id}", raw=body.ljust(size))
            if answer.status:
                break


RULES = (
    Rule(
        id="requests.other-media",
        clauses=("VAL-4",),
        judges="A body that is no JSON, or not declared as JSON, is answered 400 or 415 and changes nothing.",
        when=other_media,
        check=media_refused,
        good=(
            form_refused,
            form_refused_while_it_is_renamed,
            preset_changed_while_it_is_refused,
            form_refused_with_400,
        ),
        bad=(form_breaks, form_understood, preset_of_text),
        cases=(bodies_that_are_no_json, other_media_everywhere),
    ),
    Rule(
        id="requests.too-large",
        clauses=("VAL-5",),
        judges="A body over 1 MiB is answered 413, and a right one below it is served.",
        when=sizes,
        check=size_judged,
        good=(just_over,),
        bad=(over_accepted, below_refused),
        cases=(a_body_over_one_mebibyte, large_bodies_everywhere),
    ),
)
