"""What is open to all: health, readiness, metrics, documents (HLT-1); and what to do when it is too much (RATE-1)."""

from __future__ import annotations

import asyncio
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from conformance.rest_views import TOO_MANY, answered, is_failure
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import MISSING, VALID
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

PATHS = ("/health", "/health/ready", "/metrics", "/openapi.json", "/asyncapi.json")
UNREADY = 503
SAMPLE = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*(\{.*\})?\s+[-+]?(\d|\.\d|Inf|NaN).*\Z")


class Open(NamedTuple):
    """An open path, and the best answer that it gave without a token."""

    path: str
    e: Exchange


def open_paths(t: Timeline) -> Iterator[Open]:
    """Each open path that was asked for without a token at the root, or under the base path."""
    for path in PATHS:
        told = [e for e in t.exchanges if e.path == path and e.method == "GET" and e.credential == "none"]
        told = [e for e in told if e.status and not e.failure and e.status != TOO_MANY]
        if any(not e.under_base for e in told):
            yield Open(path, next((e for e in told if e.status == OK), told[0]))


def served(found: Open, _t: Timeline) -> Iterator[Finding]:
    """200 without a token, with what it is for."""
    path, e = found
    if e.status != OK:
        if not (path == "/health/ready" and e.status == UNREADY):
            yield Finding(
                f"{path} does not answer without a token: operators' tools cannot reach it", e, "", "200", e.status
            )
        return
    says, expected = f"{path} does not hold what it is for: operators' tools cannot read it", _purpose(path)
    if not _holds(path, e):
        yield Finding(says, e, "", expected, e.text[:80])


def _purpose(path: str) -> str:
    if path == "/metrics":
        return "samples in the Prometheus text format"
    return "a JSON object with a string status" if path.startswith("/health") else "the document as a JSON object"


def _holds(path: str, e: Exchange) -> bool:
    if path == "/metrics":
        lines = [line for line in e.text.splitlines() if line.strip() and not line.startswith("#")]
        return "html" not in e.headers.get("content-type", "") and all(SAMPLE.match(line) for line in lines)
    if not isinstance(e.value, dict):
        return False
    if path.startswith("/health"):
        return isinstance(e.value.get("status"), str)
    is_named = isinstance(e.value.get(path.strip("/").removesuffix(".json")), str)
    return is_named and bool(e.value.keys() & {"paths", "channels", "components", "webhooks", "operations"})


def open_at_the_root(s: Scene, **changes: object) -> None:
    """All five paths, with other bodies for some."""
    right = {
        "/health": {"status": "ok", "uptime": 3.5},
        "/health/ready": {"status": "ready"},
        "/metrics": '# HELP a b\n# TYPE a counter\na_total{x="1"} 3 1760000000\nb NaN\nc 1e+06\n',
        "/openapi.json": {"openapi": "3.1.0", "paths": {}},
        "/asyncapi.json": {"asyncapi": "3.0.0", "channels": {}},
    } | changes
    for path, body in right.items():
        fields = {"text": body, "value": MISSING} if isinstance(body, str) else {}
        s.rest("GET", path, 200, MISSING if fields else body, credential="none", under_base=False, **fields)


def all_open(s: Scene) -> None:
    open_at_the_root(s)


def open_under_the_base_path(s: Scene) -> None:
    s.fails("GET", "/health", 404, credential="none", under_base=False)
    s.rest("GET", "/health", 200, {"success": True, "status": "up"}, credential="none")
    s.rest("GET", "/health/ready", 503, {"status": "starting"}, credential="none", under_base=False)


def closed_health(s: Scene) -> None:
    s.fails("GET", "/health", 401, credential="none", under_base=False)
    s.fails("GET", "/health", 401, credential="none")


def health_in_words(s: Scene) -> None:
    open_at_the_root(s, **{"/health": "OK"})


def metrics_as_page(s: Scene) -> None:
    open_at_the_root(s, **{"/metrics": "<html><p>3 agents</p></html>"})


def document_of_nothing(s: Scene) -> None:
    open_at_the_root(s, **{"/asyncapi.json": {}})


async def open_to_all(world: World) -> None:
    """Health, readiness, metrics and both documents without a token: at the root, else under the base path."""
    for path in PATHS:
        for under_base in (False, True):
            answer = await world.user().rest.get(path, credential="none", under_base=under_base)
            if answer.status == OK:
                break


def slowed(t: Timeline) -> Iterator[Exchange]:
    """Every 429."""
    return (e for e in answered(t) if e.status == TOO_MANY)


def _seconds(e: Exchange, t: Timeline) -> float | None:
    """How long Retry-After says to wait; None where it says nothing that can be read."""
    said = e.headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - t.epoch - e.ended)


class Burst(NamedTuple):
    """Many requests of one client at once, and the first that it sent after a wait."""

    limit: float
    sent: tuple[Exchange, ...]
    later: Exchange | None


def bursts(t: Timeline) -> Iterator[Burst]:
    """Far more requests than the target's limit allows, within a second."""
    for note in (n for n in t.notes if n.kind == "burst"):
        sent = tuple(e for e in t.exchanges if note.at <= e.at <= note.at + 1 and e.status and e.credential == VALID)
        later = next((e for e in t.exchanges if sent and e.at > max(x.ended for x in sent)), None)
        if len(sent) > 2 * note.data["limit"]:
            yield Burst(note.data["limit"], sent, later)


def slows_down(burst: Burst, t: Timeline) -> Iterator[Finding]:
    """Some are answered 429, and after the wait that it asks for the client is served again."""
    slow = [e for e in burst.sent if e.status == TOO_MANY]
    if not slow:
        says = f"{len(burst.sent)} requests within a second are all served, where the limit is {burst.limit:g}"
        yield Finding(says, burst.sent[-1], "", "429 past the limit", burst.sent[-1].status)
    later, wait = burst.later, max((_seconds(e, t) or 0.0 for e in slow), default=0.0)
    if slow and later is not None and later.status == TOO_MANY and later.at > max(e.ended for e in slow) + wait:
        says = "a client that waited as long as it was told is refused again"
        yield Finding(says, later, "", f"an answer after {wait:g} s", TOO_MANY, (slow[-1],))


def burst_of(s: Scene, *statuses: int, wait: float = 0.0, later: int = 200) -> None:
    """Requests at once with these statuses, and one after a wait."""
    s.note("burst", limit=1)
    for status in statuses:
        s.rest("GET", "/agents", status, {"success": False, "error": "Slow"}, headers={"retry-after": "1"})
    s.wait(wait)
    s.rest("GET", "/agents", later, {})


def slowed_and_served(s: Scene) -> None:
    burst_of(s, 200, 200, 429, 429, wait=1.5)


def slowed_too_early(s: Scene) -> None:
    burst_of(s, 200, 200, 429, wait=0.5, later=429)


def never_slowed(s: Scene) -> None:
    burst_of(s, 200, 200, 200)


def slowed_for_ever(s: Scene) -> None:
    burst_of(s, 200, 200, 429, wait=1.5, later=429)


@provocation(needs="rest-limit", alone=True, budget=30.0)
async def a_burst_of_requests(world: World) -> None:
    """Three times as many requests at once as the limit allows in a second; a wait as told; one request more."""
    node = await world.limited()
    if node is None:
        return
    rest, limit = world.user(0, node).rest, world.site.target.rest_per_second
    world.recorder.note("burst", limit=limit)
    answers = await asyncio.gather(*(rest.get("/agents", query={"limit": "1"}) for _ in range(int(3 * limit) + 3)))
    told = [int(e.headers["retry-after"]) for e in answers if e.headers.get("retry-after", "").isdigit()]
    await asyncio.sleep(min(max(told, default=1), 5) + 0.3)
    await rest.get("/agents", query={"limit": "1"})


def told_to_wait(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """How long to wait, in seconds or as a date, and a failure body."""
    if _seconds(e, t) is None:
        yield Finding(
            "the 429 does not say how long to wait: clients go on hammering",
            e,
            "",
            "Retry-After",
            e.headers.get("retry-after", "nothing"),
        )
    if not is_failure(e.value):
        yield Finding("the 429 has no failure body", e, "", "success false and error", e.text[:80])


def wait_and_see(s: Scene) -> None:
    s.fails("GET", "/agents", 429, headers={"retry-after": "Thu, 09 Oct 2025 08:00:00 GMT"})
    s.fails("GET", "/agents", 429, headers={"retry-after": "3"})


def only_429(s: Scene) -> None:
    s.fails("GET", "/agents", 429)


def soon(s: Scene) -> None:
    s.fails("GET", "/agents", 429, headers={"retry-after": "soon"})


def only_words(s: Scene) -> None:
    s.rest("GET", "/agents", 429, MISSING, text="Slow down", headers={"retry-after": "3"})


RULES = (
    Rule(
        id="open.served-without-token",
        clauses=("HLT-1",),
        judges="Health, readiness, metrics and both documents are served without a token, each in its format.",
        when=open_paths,
        check=served,
        good=(all_open, open_under_the_base_path),
        bad=(closed_health, health_in_words, metrics_as_page, document_of_nothing),
        cases=(open_to_all,),
    ),
    Rule(
        id="rate.says-when-to-come-back",
        clauses=("RATE-1",),
        judges="A 429 says how long to wait, and why.",
        when=slowed,
        check=told_to_wait,
        good=(wait_and_see,),
        bad=(only_429, only_words, soon),
        cases=(a_burst_of_requests,),
    ),
    Rule(
        id="rate.slows-a-burst",
        clauses=("RATE-1",),
        judges="Far past the limit some requests are answered 429, and after the wait the client is served again.",
        when=bursts,
        check=slows_down,
        good=(slowed_and_served, slowed_too_early),
        bad=(never_slowed, slowed_for_ever),
        cases=(a_burst_of_requests,),
    ),
)
