"""What helps operators and not attackers: request ids, and errors that show nothing inside (ENV-4, ENV-5)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from conformance.asked import texts
from conformance.rest_views import answered
from conformance.rule import Finding, Rule
from conformance.rules.rest_envelope import refusals, refusals_of_every_kind
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

INSIDES = {
    "a stack trace": re.compile(
        r"Traceback \(most recent call last\)|\bFile \"[^\"]+\", line \d+|\n\s*at \S.*:\d+:\d+\)?|\bgoroutine \d+ \["
        r"|\bat [\w.$<>]+\([\w$]+\.(?:java|kt|scala):\d+\)|\bat [\w.<>`]+\([^)]*\) in \S+:line \d+"
    ),
    "an SQL statement": re.compile(
        r"\bSELECT\b[^.]+\bFROM\b|\bINSERT INTO [\w\"`.]+|\bUPDATE [\w\"`.]+ SET\b|\bDELETE FROM [\w\"`.]+|\bSQLSTATE\b"
        r"|\bduplicate key value violates\b|\brelation \"[^\"]+\" does not exist|\bsqlite3\.\w*Error|\bpsycopg"
    ),
    "a path of the server": re.compile(
        r"(?<![\w:/.])(?:/[\w.@+-]+)+\.(?:py|pyc|js|mjs|cjs|ts|tsx|java|go|rb|rs|php|cs|sqlite3?|db)\b(?!\.\w)"
        r"|\b[A-Z]:\\[\w.\\ -]+|/(?:site|dist)-packages/|/node_modules/"
    ),
}


SHORT = 1000
"""Characters of a text that is looked at once however often it is said."""


def shows_nothing(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """No stack trace, SQL or file path."""
    said = "\n".join(texts(e.value)) if e.value is not MISSING else e.text
    for kind, shown in (_remembered_insides if len(said) < SHORT else insides)(said):
        says = f"the {e.status} answer shows {kind} of the backend"
        yield Finding(says, e, "", "a sentence that tells nothing of the inside", shown[:80])


def insides(said: str) -> list[tuple[str, str]]:
    """What a text shows of the inside: its kind, and the words."""
    return [(kind, found.group()) for kind, pattern in INSIDES.items() if (found := pattern.search(said))]


_remembered_insides = lru_cache(maxsize=1024)(insides)
"""Most errors say what others said before."""


def plain_words(s: Scene) -> None:
    s.fails(
        "GET", "/agents/zz", 404, "Select one from the list: /api/v1/agents/zz was deleted (update set at 3:15:09)."
    )


def with_trace(s: Scene) -> None:
    body = {"success": False, "error": "Boom", "details": {"stack": "Error: x\n    at get (/srv/app/agents.js:10:5)"}}
    s.rest("GET", "/agents/zz", 500, body)


def python_trace(s: Scene) -> None:
    s.rest("GET", "/agents/zz", 500, MISSING, text='Traceback (most recent call last):\n  File "/srv/app.py", line 3')


def with_sql(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 500, "no such column: x in SELECT x FROM agents")


def with_path(s: Scene) -> None:
    s.fails("GET", "/agents/zz", 404, "no handler in /srv/onsembl/routes/agents.ts")


def carries_id(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """The request's X-Request-Id, or one that the server made."""
    sent, got = e.request_headers.get("x-request-id"), e.headers.get("x-request-id")
    if sent and got != sent:
        yield Finding(
            "X-Request-Id does not come back as sent: a report cannot be found in the log",
            e,
            "",
            f"X-Request-Id: {sent}",
            got or "nothing",
        )
    elif not got:
        yield Finding(
            "the answer has no X-Request-Id: a report cannot be found in the log",
            e,
            "",
            "an X-Request-Id that the server made",
            "nothing",
        )


def echoed_and_made(s: Scene) -> None:
    s.lists(request_headers={"x-request-id": "r-1"}, headers={"x-request-id": "r-1"})
    s.lists(headers={"x-request-id": "made"})


def not_made(s: Scene) -> None:
    s.lists()


def replaced(s: Scene) -> None:
    s.lists(request_headers={"x-request-id": "r-1"}, headers={"x-request-id": "made"})


async def with_and_without_request_id(world: World) -> None:
    """Requests that succeed and fail, with an X-Request-Id and without one."""
    rest = world.user().rest
    for headers in (None, {"X-Request-Id": f"conformance-{world.new_id()}"}):
        await rest.get("/agents", query={"limit": "1"}, headers=headers)
        await rest.get(f"/agents/{world.unknown_agent()}", headers=headers)


RULES = (
    Rule(
        id="errors.show-nothing-inside",
        clauses=("ENV-4",),
        judges="No failure shows a stack trace, SQL or a path of the server.",
        when=refusals,
        check=shows_nothing,
        good=(plain_words,),
        bad=(with_trace, python_trace, with_sql, with_path),
        cases=(refusals_of_every_kind,),
    ),
    Rule(
        id="request-id.echoed-or-made",
        clauses=("ENV-5",),
        judges="Every answer carries the X-Request-Id that was sent, or one that the server made.",
        when=answered,
        check=carries_id,
        good=(echoed_and_made,),
        bad=(not_made, replaced),
        cases=(with_and_without_request_id,),
    ),
)
