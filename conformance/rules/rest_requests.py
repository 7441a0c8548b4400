"""Requests that no client should send: unknown paths, wrong methods, anything odd (VAL-2, VAL-3, VAL-6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from conformance.rest_views import is_failure, judged
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import MISSING, VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.contract import Operation
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

NOT_FOUND, WRONG_METHOD = 404, 405
ANYWHERE = {"HEAD", "OPTIONS"}


def methods_of(t: Timeline, path: str) -> set[str]:
    """The methods that the contract serves at a path under the base path."""
    return {o.method for o in t.contract.at(path) if o.under_base}


def unknown_paths(t: Timeline) -> Iterator[Exchange]:
    """Whole answers at paths that the contract does not have, asked for with a good token."""
    for e in judged(t):
        known = e.operation or t.contract.at(e.path)
        if not known and e.method not in ANYWHERE and not _odd(e.path):
            yield e


def _odd(path: str) -> bool:
    """Whether a path may be read in several ways (escapes, empty and dotted segments)."""
    return "%" in path or any(part in {"", ".", ".."} for part in path.split("/")[1:])


def not_found(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """404 with the failure body."""
    if e.status != NOT_FOUND or not is_failure(e.value):
        says = "an unknown path is not answered 404 with a failure body: a slip in a path looks like something else"
        yield Finding(says, e, "", "404 with success false and error", f"{e.status} {e.text[:60]}")


def nowhere(s: Scene) -> None:
    s.fails("GET", "/nothing", 404)
    s.fails("GET", "/agents/a1/nothing", 404)


def front_page(s: Scene) -> None:
    s.rest("GET", "/nothing", 200, MISSING, text="<html>")


def unauthorised(s: Scene) -> None:
    s.fails("GET", "/nothing", 401)


def without_body(s: Scene) -> None:
    s.rest("GET", "/nothing", 404, {"detail": "Not Found"})


async def unknown_places(world: World) -> None:
    """Paths that nobody serves, at the top and below an agent; and one that is served."""
    rest, odd = world.user().rest, f"no-such-path-{world.new_id()}"
    for path in (f"/{odd}", f"/{odd}/deeper", f"/agents/{world.unknown_agent()}/{odd}"):
        await rest.get(path)
    await rest.call("POST", f"/{odd}", body={})
    await rest.get("/agents", query={"limit": "1"})


def wrong_methods(t: Timeline) -> Iterator[Exchange]:
    """Whole answers at known paths to methods that the contract does not serve there."""
    for e in judged(t):
        served = methods_of(t, e.path)
        if e.operation is None and served and e.method not in ANYWHERE | served and not _odd(e.path):
            yield e


def method_refused(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """405, with an Allow that names what is served."""
    if e.status != WRONG_METHOD:
        says = f"{e.method} where it is not served is not answered 405: clients cannot tell it from a missing resource"
        yield Finding(says, e, "", "405", e.status)
        return
    allow = {word.strip().upper() for word in e.headers.get("allow", "").split(",")}
    served = methods_of(t, e.path)
    if served - allow or e.method in allow:
        says = "the 405 does not name the methods that are served"
        yield Finding(says, e, "", f"Allow: {', '.join(sorted(served))}", e.headers.get("allow", "nothing"))


def allowed(s: Scene) -> None:
    s.fails("PATCH", "/agents", 405, headers={"allow": "GET"})
    s.fails("PUT", "/agents/a1", 405, headers={"allow": "delete, OPTIONS, get,HEAD, PATCH"})


def missing_allow(s: Scene) -> None:
    s.fails("PATCH", "/agents", 405)


def half_an_allow(s: Scene) -> None:
    s.fails("PUT", "/agents/a1", 405, headers={"allow": "GET"})


def method_is_404(s: Scene) -> None:
    s.fails("PATCH", "/agents", 404)


async def methods_not_served(world: World) -> None:
    """Methods that no operation has, on the list and on one agent."""
    rest, agent = world.user().rest, await world.user().agent()
    for method, path in (("PATCH", "/agents"), ("PUT", "/agents"), ("POST", f"/agents/{agent.id}")):
        await rest.call(method, path)
    await rest.get(f"/agents/{agent.id}")


def all_answers(t: Timeline) -> Iterator[Exchange]:
    """Every answer, to whatever request."""
    for e in t.exchanges:
        if e.status and not (e.path.endswith("/health/ready") and e.status == 503):  # noqa: PLR2004 - its purpose
            yield e


def no_crash(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """Not 5xx."""
    if e.status >= 500:  # noqa: PLR2004 - 5xx
        says = f"{e.label} answers {e.status}: the backend breaks on what a client sends, and its operators are woken"
        yield Finding(says, e, "", "no 5xx", e.status)


def refused_politely(s: Scene) -> None:
    s.fails("GET", "/agents/%00", 400)
    s.rest("GET", "/health/ready", 503, {"status": "down"}, under_base=False)
    s.lists()


def unknown_is_500(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 500)


async def odd_requests(world: World) -> None:
    """Signs, control characters, huge numbers, deep nesting and lone surrogates, where none belong."""
    rest, agent = world.user().rest, await world.user().agent()
    for odd in ("a~b", "';--", "$(a)", "a;b=1", "@,+*!", "x" * 1500):
        await rest.get(f"/agents/{odd}")
    for query in (
        {"limit": "9" * 40},
        {"limit": "1e2"},
        {"offset": "9007199254740991"},
        {"status": "'"},
        {"type": "'"},
    ):
        await rest.get("/agents", query=query)
    names = (rb'{"name": "\u0000"}', rb'{"name": "\ud800"}', rb'{"name": 1e999}')
    for raw in (*names, b"", b"\xff\xfe", b"[" * 5000, b"null"):
        await rest.call("PATCH", f"/agents/{agent.id}", raw=raw)
    for raw in (b'{"name": "a", "name": "b"}', b'"' + b"x" * 20_000 + b'"'):
        await rest.call("PATCH", f"/agents/{world.new_id()}", raw=raw)
    await rest.call("DELETE", f"/agents/{world.new_id()}", raw=b"{")


ODD_TEXTS = (b"\\u0000", b"\\ud800", b"\\u202e\\uffff", b"' OR 1=1 --", b"\\\\..\\\\", b"%s%n{0}")
"""Inside a JSON string: NUL, half a character, signs that turn text round, and what other languages would run."""
ODD_NUMBERS = (b"1e999", b"9223372036854775808", b"0.1e-300", b"-0")
ODD_BODIES = (b"", b"null", b"[]", b'"text"', b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000, b'{"a": 1, "a": 2}', b"NaN")
ODD_QUERIES = ("9" * 40, "1e2", "'", "\x00", "a,b", " ", "2025-13-45T99:99:99Z")
ODD_IDS = ("%00", "%F0%9F%A4%96", "a%2Fb", "';--", "00000000-0000-0000-0000-00000000000g")


def _odd_bodies(body: dict[str, object]) -> Iterator[bytes]:
    """A right body with something odd in place of each of its texts and numbers; and bodies that are odd as a whole."""
    yield from ODD_BODIES
    for name, value in body.items():
        rest = orjson.dumps({k: v for k, v in body.items() if k != name})[1:]
        odd = ODD_TEXTS if isinstance(value, str) else ODD_NUMBERS if isinstance(value, int) else (b"[[[[]]]]", b"{}")
        for inner in odd:
            written = b'"cf ' + inner + b'"' if isinstance(value, str) else inner
            yield b"{" + orjson.dumps(name) + b": " + written + (b"}" if rest == b"}" else b"," + rest)


@provocation(budget=60.0)
async def odd_requests_everywhere(world: World) -> None:
    """Each operation that the target promises, with odd ids, queries and bodies, and odd texts and numbers.

    Of the odd values in queries every second, by turns: two parameters of an operation meet them all between them.
    """
    estate = await world.estate()

    async def ask(operation: Operation, path: str, **options: Any) -> None:
        credential = VALID if operation.secured else "none"
        await estate.user.rest.call(operation.method, path, credential=credential, **options)

    operations = [o for o in world.site.operations if not o.destructive and estate.reaches(o)]
    first = world.random.randrange(2)
    asks = [partial(ask, o, o.fill(odd)) for o in operations if o.names for odd in ODD_IDS]
    for operation in (o for o in operations if o.id != "deleteAgent"):
        path = operation.fill(estate.ids)
        asks += [
            partial(ask, operation, path, query={name: odd})
            for turn, name in enumerate(operation.query, first)
            for odd in (ODD_QUERIES if len(operation.query) == 1 else ODD_QUERIES[turn % 2 :: 2])
        ]
        if operation.body:
            asks += [partial(ask, operation, path, raw=raw) for raw in _odd_bodies(estate.body(operation))]
    await world.crowd(one() for one in asks)


@provocation(budget=60.0)
async def methods_not_served_anywhere(world: World) -> None:
    """On each path of the contract that is promised: a method that it does not serve, and one that nobody serves."""
    estate = await world.estate()
    operations = [o for o in world.site.operations if estate.reaches(o)]
    for path in dict.fromkeys(o.path for o in operations):
        served = {o.method for o in world.site.contract.operations.values() if o.path == path}
        first = next(o for o in operations if o.path == path)
        for method in sorted({"PATCH", "PUT", "DELETE", "POST", "GET"} - served)[:2]:
            await estate.user.rest.call(method, first.fill(estate.ids))


RULES = (
    Rule(
        id="requests.unknown-path",
        clauses=("VAL-2",),
        judges="A path that the contract does not have is answered 404 with the failure body.",
        when=unknown_paths,
        check=not_found,
        good=(nowhere,),
        bad=(front_page, unauthorised, without_body),
        cases=(unknown_places,),
    ),
    Rule(
        id="requests.wrong-method",
        clauses=("VAL-3",),
        judges="A method that a path does not serve is answered 405 with Allow.",
        when=wrong_methods,
        check=method_refused,
        good=(allowed,),
        bad=(missing_allow, half_an_allow, method_is_404),
        cases=(methods_not_served, methods_not_served_anywhere),
    ),
    Rule(
        id="requests.never-5xx",
        clauses=("VAL-6",),
        judges="No request, however malformed, is answered 5xx.",
        when=all_answers,
        check=no_crash,
        good=(refused_politely,),
        bad=(unknown_is_500,),
        cases=(odd_requests, odd_requests_everywhere),
    ),
)
