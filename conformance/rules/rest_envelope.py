"""The envelope of REST answers: success with data, failure with a sentence (ENV-1, ENV-2, ENV-3, ENV-6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.rest_views import answered, is_failure
from conformance.rule import Finding, Rule
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

NO_CONTENT = 204
RIGHT = "an object with success true and data"
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*\Z")


def successes(t: Timeline) -> Iterator[Exchange]:
    """Every 2xx answer of a JSON operation, but 204."""
    for e in answered(t):
        operation = t.contract.operations.get(e.operation or "")
        if operation and operation.json and 200 <= e.status < 300 and e.status != NO_CONTENT:  # noqa: PLR2004 - 2xx
            yield e


def success(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """`success: true` and `data`, with the resource itself in it."""
    value = e.value
    if not isinstance(value, dict):
        kind = "a bare array" if isinstance(value, list) else "no JSON object"
        yield Finding(f"the body is {kind}: clients that read response.data get undefined", e, "", RIGHT, _short(value))
    elif "data" not in value:
        yield Finding(
            "the body has no data: clients that read response.data get undefined", e, "", RIGHT, sorted(value)
        )
    elif value.get("success") is not True:
        yield Finding("the answer does not say success: true", e, "", RIGHT, value.get("success", "nothing"))
    elif e.operation == "listAgents" and not isinstance(value["data"], list):
        yield Finding(
            "data is not the list itself: the frontend cannot go through it",
            e,
            "/data",
            "an array of agents",
            _short(value["data"]),
        )
    elif e.operation in {"getAgent", "renameAgent"} and not _is_the_agent(value["data"]):
        yield Finding(
            "data is not the agent itself: the frontend finds none of its fields",
            e,
            "/data",
            "the agent",
            _short(value["data"]),
        )


def _is_the_agent(data: object) -> bool:
    return isinstance(data, dict) and not isinstance(data.get("agent"), dict)


def _short(value: object) -> object:
    if value is MISSING:
        return "no JSON"
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, (list, dict)) else value


def enveloped(s: Scene) -> None:
    s.lists(s.row("a1"))
    s.shows(s.row("a1"))


def enveloped_with_more(s: Scene) -> None:
    s.rest("GET", "/agents", 200, {"success": True, "data": [], "took": 3.5, "error": None})


def bare_array(s: Scene) -> None:
    s.rest("GET", "/agents", 200, [s.row("a1")])


def agents_instead_of_data(s: Scene) -> None:
    s.rest("GET", "/agents", 200, {"agents": [s.row("a1")], "total": 1})


def list_inside_data(s: Scene) -> None:
    s.rest("GET", "/agents", 200, {"success": True, "data": {"agents": [s.row("a1")]}})


def success_as_text(s: Scene) -> None:
    s.rest("GET", "/agents/a1", 200, {"success": "true", "data": s.row("a1")})


def web_page(s: Scene) -> None:
    s.rest("GET", "/agents", 200, MISSING, text="<html>")


async def reads(world: World) -> None:
    """The list of agents, one agent, and a rename, all of which succeed."""
    rest, agent = world.user().rest, await world.user().agent()
    await rest.get("/agents", query={"limit": "5"})
    await rest.get(f"/agents/{agent.id}")
    await rest.patch(f"/agents/{agent.id}", {"name": "Renamed"})


def refusals(t: Timeline) -> Iterator[Exchange]:
    """Every 4xx and 5xx answer that has a body."""
    return (e for e in answered(t) if e.status >= 400 and e.method != "HEAD")  # noqa: PLR2004 - HTTP


def failure(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """`success: false` and a string `error`."""
    value = e.value
    if not isinstance(value, dict):
        got = e.headers.get("content-type", "no content type") if value is MISSING else _short(value)
        yield Finding(
            f"the {e.status} answer has no failure body: clients have nothing to show",
            e,
            "",
            "an object with success false and error",
            got,
        )
        return
    if value.get("success") is not False:
        yield Finding(
            f"the {e.status} answer does not say success: false",
            e,
            "/success",
            "false",
            value.get("success", "nothing"),
        )
    error = value.get("error", MISSING)
    if not isinstance(error, str):
        says = "error is missing: the frontend shows an empty message"
        if error is not MISSING:
            says = "error is not a string: the frontend shows [object Object]"
        yield Finding(says, e, "/error", "a string", "nothing" if error is MISSING else error)


def refused(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 404, "Agent not found")
    s.rest("GET", "/nothing", 404, {"success": False, "error": "", "requestId": "r1"})


def error_object(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 404, {"message": "Agent not found"})


def success_missing(s: Scene) -> None:
    s.rest("GET", "/agents/zz", 404, {"error": "Agent not found"})


def only_detail(s: Scene) -> None:
    s.rest("GET", "/agents/zz", 404, {"detail": "Not Found"})


def page_as_failure(s: Scene) -> None:
    s.rest("GET", "/agents/zz", 404, MISSING, text="<h1>Not found</h1>", headers={"content-type": "text/html"})


async def refusals_of_every_kind(world: World) -> None:
    """Requests that are refused: without a token, of an unknown agent, path and method, out of range, out of shape."""
    rest, unknown = world.user().rest, world.unknown_agent()
    await rest.get("/agents", credential="none")
    await rest.get(f"/agents/{unknown}")
    await rest.get(f"/no-such-path-{world.new_id()}")
    await rest.call("PATCH", "/agents")
    await rest.get("/agents", query={"limit": "0"})
    await rest.patch(f"/agents/{unknown}", {})


def coded_refusals(t: Timeline) -> Iterator[Exchange]:
    """Every failure body."""
    return (e for e in refusals(t) if is_failure(e.value))


def has_code(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """A code in UPPER_SNAKE."""
    code = e.value.get("code", "nothing")
    if not isinstance(code, str) or not CODE.match(code):
        yield Finding("the failure has no code that a program can act on", e, "/code", "UPPER_SNAKE letters", code)


def with_code(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 404)


def without_code(s: Scene) -> None:
    s.rest("GET", "/agents/zz", 404, {"success": False, "error": "No"})


def code_in_lower_case(s: Scene) -> None:
    s.rest("GET", "/agents/zz", 404, {"success": False, "error": "No", "code": "not-found"})


def json_bodies(t: Timeline) -> Iterator[Exchange]:
    """Every JSON body of a success of a JSON operation, or of a failure."""
    yield from (e for e in (*successes(t), *refusals(t)) if isinstance(e.value, dict | list))


def typed(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """`Content-Type: application/json`, whatever its parameters."""
    kind = e.headers.get("content-type", "")
    if kind.split(";")[0].strip().lower() != "application/json":
        says = "a JSON body is not declared as such: HTTP clients hand over a string"
        yield Finding(says, e, "", "Content-Type: application/json", kind or "nothing")


def with_charset(s: Scene) -> None:
    s.lists(headers={"content-type": "Application/JSON; charset=utf-8"})


def as_text(s: Scene) -> None:
    s.lists(headers={"content-type": "text/plain"})


def problem_json(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 404, headers={"content-type": "application/problem+json"})


def stopped(s: Scene) -> None:
    s.rest("POST", "/agents/a1/stop", 202, {"success": True, "data": {}})


def stopped_in_own_words(s: Scene) -> None:
    s.rest("POST", "/agents/a1/stop", 202, {"message": "Stopping"})


async def controls(world: World) -> None:
    """A connected agent is restarted and stopped; where control is served, that is answered 202."""
    user = world.user()
    if "control" not in world.site.target.withheld:
        for what in ("restart", "stop"):
            agent = await user.agent()
            await user.rest.call("POST", f"/agents/{agent.id}/{what}", body={"reason": "conformance"})


RULES = (
    Rule(
        id="envelope.success-with-data",
        clauses=("ENV-1",),
        judges="Every 2xx answer of a JSON operation says success: true and has the resource as data.",
        when=successes,
        check=success,
        good=(enveloped, enveloped_with_more, stopped),
        bad=(bare_array, agents_instead_of_data, list_inside_data, success_as_text, web_page, stopped_in_own_words),
        cases=(reads,),
    ),
    Rule(
        id="envelope.failure-with-sentence",
        clauses=("ENV-2",),
        judges="Every 4xx and 5xx answer says success: false and has a string error.",
        when=refusals,
        check=failure,
        good=(refused,),
        bad=(error_object, success_missing, only_detail, page_as_failure),
        cases=(refusals_of_every_kind,),
    ),
    Rule(
        id="envelope.failure-with-code",
        clauses=("ENV-3",),
        judges="Every failure body has a code in UPPER_SNAKE.",
        when=coded_refusals,
        check=has_code,
        good=(with_code,),
        bad=(without_code, code_in_lower_case),
        cases=(refusals_of_every_kind,),
    ),
    Rule(
        id="envelope.declared-as-json",
        clauses=("ENV-6",),
        judges="Every JSON body is sent as application/json.",
        when=json_bodies,
        check=typed,
        good=(enveloped, with_charset),
        bad=(as_text, problem_json),
        cases=(reads, refusals_of_every_kind, controls),
    ),
)
