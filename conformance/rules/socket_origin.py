"""Browser pages of elsewhere: their sockets should be refused where the target has an allow-list (WSA-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

FOREIGN_PAGE = "good, from a foreign page"
"""A good token on a socket whose Origin is no page of the target's."""
SWITCHED = 101


def foreign_pages(t: Timeline) -> Iterator[Connection]:
    """Each socket that said it comes from a foreign page, and was refused or said its role."""
    for c in t.connections:
        if (
            c.credential == FOREIGN_PAGE
            and not c.opened.failure
            and (c.opened.status != SWITCHED or c.init or c.closed)
        ):
            yield c


def refused(c: Connection, _t: Timeline) -> Iterator[Finding]:
    """It is not served."""
    if served := c.of_kind("DASHBOARD_READY", "ACK", "dashboard:connected"):
        says = "a socket from a foreign page is served: any page the user visits can read the agents"
        yield Finding(says, served[0], "/type", "a refused handshake or a close", served[0].type, (c.opened,))


def handshake_refused(s: Scene) -> None:
    s.socket("dashboard", credential=FOREIGN_PAGE, status=403)


def served_all_the_same(s: Scene) -> None:
    socket = s.socket("dashboard", credential=FOREIGN_PAGE)
    socket.sends("DASHBOARD_INIT", {})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})


async def foreign_page(world: World) -> None:
    """A dashboard without any Origin is served; one that says it comes from a foreign page asks as well."""
    user = world.user()
    await user.dashboard()
    token = world.site.keyring.token(user.name)
    page = {"Origin": "https://conformance.invalid"}
    link = await user.socket("dashboard", credential=FOREIGN_PAGE, token=token, headers=page)
    if link.is_open:
        init = await link.send("DASHBOARD_INIT", {"dashboardId": world.new_id()})
        await link.answer(init, "DASHBOARD_READY", within=2.0)


RULE = Rule(
    id="socket-auth.foreign-origin-refused",
    clauses=("WSA-6",),
    judges="A socket from a browser page outside the allow-list is not served.",
    when=foreign_pages,
    check=refused,
    good=(handshake_refused,),
    bad=(served_all_the_same,),
    cases=(foreign_page,),
)
