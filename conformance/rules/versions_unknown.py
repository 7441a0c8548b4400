"""A version that nobody knows is refused, over REST and on a socket (VER-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.rest_views import KNOWN_VERSIONS, TOO_MANY, answered, code, version
from conformance.rule import Finding, Rule
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

BAD, REFUSED_HANDSHAKE = 400, range(400, 500)
CLOSE_VERSION = 4006
WITHIN = 5.0
"""How long a socket of an unknown version is watched; seconds."""


def unknown_over_rest(t: Timeline) -> Iterator[Exchange]:
    """Requests to operations of agents that name a version nobody knows."""
    for e in answered(t):
        operations = {"listAgents", "getAgent", "renameAgent", "deleteAgent"}
        named = e.operation in operations and version(e) not in KNOWN_VERSIONS
        if named and e.credential == VALID and e.status != TOO_MANY:
            yield e


def unknown_refused(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """400 UNSUPPORTED_VERSION."""
    if e.status != BAD or code(e.value) != "UNSUPPORTED_VERSION":
        says = "an unknown X-API-Version is not refused as such: clients get a shape that they did not ask for"
        yield Finding(says, e, "/code", "400 UNSUPPORTED_VERSION", f"{e.status} {code(e.value) or ''}".strip())


def refuses_99(s: Scene) -> None:
    body = {"success": False, "error": "No", "code": "UNSUPPORTED_VERSION"}
    s.rest("GET", "/agents", 400, body, request_headers={"x-api-version": "99"})


def serves_99(s: Scene) -> None:
    s.lists(s.row("a1"), request_headers={"x-api-version": "99"})


def refuses_99_for_nothing(s: Scene) -> None:
    s.fails("GET", "/agents", 400, request_headers={"x-api-version": "99"})


def unknown_on_sockets(t: Timeline) -> Iterator[Connection]:
    """Sockets opened with a version nobody knows, that were watched long enough or have ended."""
    for c in t.connections:
        if c.opened.query.get("v", "1") in KNOWN_VERSIONS or c.credential != VALID or c.opened.failure:
            continue
        ended = c.closed is not None and c.closed.by == "backend"
        if ended or c.opened.status != 101 or (c.init and c.until - c.init.at >= WITHIN):  # noqa: PLR2004 - switching
            yield c


def socket_refused(c: Connection, _t: Timeline) -> Iterator[Finding]:
    """Close 4006, or a refusal of the handshake."""
    if c.opened.status in REFUSED_HANDSHAKE:
        return
    got = c.closed.code if c.closed and c.closed.by == "backend" else "left open"
    if got != CLOSE_VERSION:
        says = "a socket of an unknown version is not closed with 4006: the client gets messages that it cannot read"
        yield Finding(says, c.closed or c.opened, "", "close 4006", got, (c.opened,))


def closes_99(s: Scene) -> None:
    s.socket("dashboard", query={"v": "99"}).closes("backend", 4006)
    s.socket("dashboard", query={"v": "99"}, status=400)


def keeps_99(s: Scene) -> None:
    s.socket("dashboard", query={"v": "99"}).sends("DASHBOARD_INIT", {})
    s.wait(6)


def closes_99_as_policy(s: Scene) -> None:
    s.socket("dashboard", query={"v": "99"}).closes("backend", 1008)


async def unknown_versions(world: World) -> None:
    """Version 99 over REST and on a dashboard's socket, and version 1 beside it."""
    user = world.user()
    for headers in ({"X-API-Version": "99"}, {"X-API-Version": "1"}):
        await user.rest.get("/agents", query={"limit": "1"}, headers=headers)
        await user.rest.get(f"/agents/{world.unknown_agent()}", headers=headers)
    dashboard = await user.bare_dashboard(query={"v": "99"})
    await dashboard.link.send("DASHBOARD_INIT", {"dashboardId": world.new_id()})
    await dashboard.link.ended(WITHIN)
    await user.dashboard(query={"v": "1"})


RULES = (
    Rule(
        id="versions.unknown-refused",
        clauses=("VER-3",),
        judges="An unknown X-API-Version is answered 400 UNSUPPORTED_VERSION.",
        when=unknown_over_rest,
        check=unknown_refused,
        good=(refuses_99,),
        bad=(serves_99, refuses_99_for_nothing),
        cases=(unknown_versions,),
    ),
    Rule(
        id="versions.unknown-socket-closed",
        clauses=("VER-3",),
        judges="A socket of an unknown version is closed with 4006.",
        when=unknown_on_sockets,
        check=socket_refused,
        good=(closes_99,),
        bad=(keeps_99, closes_99_as_policy),
        cases=(unknown_versions,),
    ),
)
