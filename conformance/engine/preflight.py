"""Preflight: before the plan, find out what is there, say each departure once, and measure how long things take.

It runs as the first case of every run, on a timeline of its own, which all rules judge like any other.
"""

from __future__ import annotations

import asyncio
from statistics import median
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.redact import Redactor
from conformance.target import BASE_PATH
from conformance.terms import SLACK, Terms
from conformance.timeline import MISSING, Exchange
from conformance.world.rest import Rest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.world.link import Link
    from conformance.world.user import User
    from conformance.world.world import World

BASE_PATHS = (BASE_PATH, "/api", "/v1", "", "/api/v2", "/rest", "/backend/api/v1")
SECONDS = 5.0
NOT_FOUND = (404, 405, 410)
ENDLESS = ("too-large", "time-out")
"""Failures that take long: after one of them nothing else is tried."""

FAILURES = {
    "refused": "Nothing listens at {origin}: the connection was refused. Is the backend started, on this port?",
    "dns": "The host of {origin} has no address (DNS). Is the name right?",
    "tls": "{origin} does not speak TLS as asked. Try http:// instead of https://, or check its certificate.",
    "time-out": "{origin} accepts connections but did not answer within {seconds:.0f} s. Is the backend stuck, "
    "or something else behind this port?",
    "too-large": "{origin} answered GET {path} with a body that did not end within 4 MiB: this is not the API.",
    "broken": "{origin} does not answer in HTTP: the connection broke off. Is this the right port and scheme?",
}


class Stop(Exception):  # noqa: N818 - not an error of ours: the run cannot begin
    """The run cannot go on; the message says why and what to do, in one or two sentences."""


async def preflight(world: World) -> None:
    """Fills the site with what it finds. Raises `Stop` when there is nothing to judge."""
    site = world.site
    first = await _reach(world)
    if site.keyring.is_empty:
        raise Stop(
            f"{site.target.origin} answers, but there is no way in: give --token and --second-token, or --jwt-secret "
            "with --users, or name them in a target.toml."
        )
    await _find_base_path(world, first)
    await _try_tokens(world)
    await _find_sockets(world)
    await _measure(world)


async def _reach(world: World) -> Exchange:
    site = world.site
    try:
        async with asyncio.timeout(SECONDS):
            answer = await world.user().rest.get("/agents", credential="none")
    except TimeoutError:
        answer = None
    if answer is not None and answer.status:
        return answer
    failure = answer.failure if answer else "time-out"
    raise Stop(FAILURES[failure].format(origin=site.target.origin, seconds=SECONDS, path=site.base_path + "/agents"))


def _promise(answer: Exchange) -> int:
    """How much an answer to GET /agents looks like the API: 4 a list, 3 JSON, 2 a refusal in JSON, 0 nothing."""
    if not answer.status or answer.failure:
        return 0
    if answer.status < 300:  # noqa: PLR2004 - HTTP
        if reading.rows(answer.value) is not None:
            return 4
        return 3 if isinstance(answer.value, dict) else 0
    is_json = isinstance(answer.value, dict)
    return 2 if is_json and answer.status in (401, 403) else int(is_json and answer.status not in NOT_FOUND)


async def _find_base_path(world: World, first: Exchange) -> None:
    site = world.site
    candidates = [site.base_path] if site.target.base_path is not None else list(BASE_PATHS)
    best, found = 0, site.base_path
    failure = ""
    tried: list[str] = []
    for candidate in candidates:
        site.base_path = candidate
        answer = await world.user().rest.get("/agents")
        failure = failure or answer.failure
        if (promise := _promise(answer)) > best:
            best, found = promise, candidate
        tried.append(candidate)
        if best == 4 or answer.failure in ENDLESS:  # noqa: PLR2004 - see _promise
            break
    site.base_path = found
    if best == 0:
        raise Stop(_nothing_there(first, tried, failure, Redactor(site.target.secrets)))
    if site.target.base_path is None and found != BASE_PATH:
        shown = found or "/"
        world.recorder.note(
            "departure",
            clause="ENV-1",
            says=f"the API is served under {shown}, not under {BASE_PATH}",
            expected=f"GET {BASE_PATH}/agents answers with the list of agents",
            got=f"only GET {found}/agents does",
            setting=f"--base-path {shown}",
        )


def _nothing_there(first: Exchange, candidates: Iterable[str], failure: str, redactor: Redactor) -> str:
    kind = first.headers.get("content-type", "without content type").split(";")[0]
    tried = ", ".join(f"{c}/agents" for c in candidates)
    if failure in ENDLESS:
        why = "a body that never ends" if failure == "too-large" else "nothing in time"
        return f"GET /agents answers with {why}: there is no API to judge here (tried {tried})."
    if "html" in kind:
        return (
            f"This is a web page, not the API: GET /agents answers {first.status} {kind} (tried {tried}). "
            "Name the API's URL, or --base-path."
        )
    if 300 <= first.status < 400:  # noqa: PLR2004 - HTTP
        goal = redactor.text(first.headers.get("location", "nowhere"))
        return f"GET /agents is redirected ({first.status} to {goal:.200}): name the API's own URL."
    why = ""
    if kind == "application/json" and first.value is MISSING:
        packed = first.headers.get("content-encoding")
        why = (
            f", compressed ({packed}) although that was not asked" if packed else " with a body that is not valid JSON"
        )
    return (
        f"No API found: GET /agents answers {first.status} {kind}{why} (tried {tried}). Name its path with --base-path."
    )


async def _try_tokens(world: World) -> None:
    site = world.site
    for name in world.users if site.target.bundled else site.keyring.users:
        answer = await Rest(site, world.recorder, name).get("/agents")
        if answer.status in (401, 403):
            error = answer.value.get("error") if isinstance(answer.value, dict) else None
            said = f", saying {Redactor(site.target.secrets).value(error)!r:.120}" if error else ""
            raise Stop(
                f"The token of {name} is refused: GET {site.base_path}/agents answers {answer.status}{said}. "
                "Check --token / --second-token, or --jwt-secret and --users (the suite signs HS256 with `sub` = user)."
            )
    subjects = [site.keyring.subject(u) for u in site.keyring.users[:2]]
    if len(subjects) == 2 and subjects[0] is not None and subjects[0] == subjects[1]:  # noqa: PLR2004 - a pair
        raise Stop(f"Both tokens belong to {subjects[0]}: two different users are needed, or only --token.")


async def _find_sockets(world: World) -> None:
    target = world.site.target
    await _find_socket(world, "dashboard", target.dashboard_ws, "--dashboard-ws")
    await _find_socket(world, "agent", target.agent_ws, "--agent-ws")


async def _find_socket(world: World, role: str, named: str | None, setting: str) -> None:
    site = world.site
    right = site.sockets[role]
    base = site.base_path
    other = [f"/ws/{role}s", "/ws", f"{base}/ws/{role}", f"{base}/ws", f"/api/ws/{role}", f"/socket/{role}"]
    seen: list[str] = []
    for candidate in [right] if named else dict.fromkeys([right, *other]):
        site.sockets[role] = candidate
        link = await world.user().socket(role)
        await link.close()
        if link.status == 101:  # noqa: PLR2004 - HTTP: switching protocols
            break
        seen.append(f"{candidate}: {link.status or 'no answer'}")
    else:
        site.sockets[role] = right
        world.recorder.note(
            "departure",
            clause="WSE-1",
            says=f"no socket for {role}s: the handshake is refused on every path tried",
            expected=f"a WebSocket at {right}",
            got="; ".join(seen),
            setting=f"{setting} PATH",
        )
        return
    if candidate != right:
        world.recorder.note(
            "departure",
            clause="WSE-1",
            says=f"{role}s connect at {candidate}, not at {right}",
            expected=f"a WebSocket at {right}",
            got="; ".join(seen),
            setting=f"{setting} {candidate}",
        )


async def _measure(world: World) -> None:
    """One agent, one dashboard, three heartbeats: does a snapshot come, is PING answered, how long do events take?"""
    site, user = world.site, world.user()
    dashboard = await user.bare_dashboard()
    init = await dashboard.init(**_usual(world, user))
    if dashboard.link.is_open:
        snapshot = [f for f in dashboard.link.frames if f.kind == "dashboard:connected"]
        site.sends_snapshot = bool(snapshot) or not _answered(dashboard.link, init.seq)
        site.answers_ping = await _ping(dashboard.link)
    agent = await user.agent()
    delays: list[float] = []
    for step in range(3):
        if not (agent.link.is_open and dashboard.link.is_open):
            break
        beat = await agent.heartbeat(commandsProcessed=10 + step)
        status = await dashboard.sees_beat(agent, beat)
        if status is None:
            break
        delays.append(status.at - beat.at)
    if delays:
        site.latency = median(delays)
    site.terms = Terms(
        slack=min(max(SLACK, 4 * site.latency), 2.0),
        clock_tolerance=site.target.clock_tolerance,
        init_timeout=site.target.init_timeout,
        heartbeat_interval=site.target.heartbeat_interval,
        cancel_grace=site.target.cancel_grace,
        queue_room=site.target.queue_room,
        level=site.target.level,
    )
    await agent.leave()
    await world.quiet()


def _usual(world: World, user: User) -> dict[str, Any]:
    subject = world.site.keyring.subject(user.name)
    return {"dashboardId": world.new_id()} | ({"userId": subject} if subject else {})


def _answered(link: Link, seq: int) -> bool:
    return any(f.seq > seq for f in link.frames)


async def _ping(link: Link) -> bool:
    """Whether a PING is answered at all, by whatever names it: then it can serve as a fence."""
    ping = await link.send("PING", {"timestamp": 0, "sequence": 1})
    return await link.answer(ping, "PONG", within=1.5) is not None
