"""Where the API and the sockets are: a place found elsewhere, without being named, is one departure (ENV-1, WSE-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.dialogue import current
from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

NOT_THERE = frozenset({400, 404, 405, 410, 426, 501})


class Preflight(NamedTuple):
    """A preflight, in which the tester looked for the API; `clause` picks what it noted of that."""

    clause: str


def preflights(clause: str) -> Callable[[Timeline], Iterator[Preflight]]:
    """Every preflight: it looks for the base path and for the sockets in any run."""

    def when(t: Timeline) -> Iterator[Preflight]:
        """Each preflight."""
        if t.case == "preflight":
            yield Preflight(clause)

    return when


def departures(occasion: Preflight, t: Timeline) -> Iterator[Finding]:
    """What preflight found elsewhere, with the setting that names it."""
    for note in t.notes:
        if note.kind == "departure" and note.data.get("clause") == occasion.clause:
            yield Finding(
                str(note.data["says"]),
                note,
                "",
                str(note.data["expected"]),
                note.data["got"],
                setting=str(note.data.get("setting", "")),
                clauses=(occasion.clause,),
            )


def shared_sockets(t: Timeline) -> Iterator[Connection]:
    """Each socket asked for at the shared endpoint with a good token."""
    return (c for c in t.connections if c.channel == "shared" and c.credential == "valid")


def shared_is_there(shared: Connection, _t: Timeline) -> Iterator[Finding]:
    """The handshake at `/ws` succeeds."""
    status = shared.opened.status
    if not current(shared) and status in NOT_THERE:
        says = "there is no shared socket at /ws: clients that let their first message decide the role cannot connect"
        yield Finding(says, shared.opened, "", "a WebSocket at /ws", f"HTTP {status}")


def all_where_it_should_be(s: Scene) -> None:
    s.case = "preflight"
    s.lists(s.row("a1"))


def another_prefix(s: Scene) -> None:
    s.case = "preflight"
    s.note(
        "departure",
        clause="ENV-1",
        says="the API is served under /api, not under /api/v1",
        expected="GET /api/v1/agents answers with the list of agents",
        got="only GET /api/agents does",
        setting="--base-path /api",
    )


def another_socket(s: Scene) -> None:
    s.case = "preflight"
    s.note(
        "departure",
        clause="WSE-1",
        says="agents connect at /ws/agents, not at /ws/agent",
        expected="a WebSocket at /ws/agent",
        got="/ws/agent: 404",
        setting="--agent-ws /ws/agents",
    )


def shared_socket_opens(s: Scene) -> None:
    s.socket("dashboard", channel="shared")


def shared_socket_not_found(s: Scene) -> None:
    s.socket("dashboard", channel="shared", status=404)


async def both_roles_on_the_shared_socket(world: World) -> None:
    """A dashboard and an agent connect at the shared endpoint, where their first message says what they are."""
    user = world.user()
    dashboard = await user.bare_dashboard(channel="shared")
    if not dashboard.link.is_open:
        return
    init = await dashboard.init(dashboardId=world.new_id())
    await dashboard.link.until("DASHBOARD_READY", "ACK", since=init.seq, within=2.0)
    agent = await user.agent(channel="shared")
    beat = await agent.heartbeat()
    await dashboard.sees_beat(agent, beat)
    await world.quiet()


RULES = (
    Rule(
        id="departure.base-path",
        clauses=("ENV-1",),
        judges="The API is served under /api/v1, or under the base path that the target names.",
        when=preflights("ENV-1"),
        check=departures,
        good=(all_where_it_should_be,),
        bad=(another_prefix,),
    ),
    Rule(
        id="departure.socket-path",
        clauses=("WSE-1",),
        judges="Agents and dashboards connect at the contract's socket paths, or at those that the target names.",
        when=preflights("WSE-1"),
        check=departures,
        good=(all_where_it_should_be,),
        bad=(another_socket,),
    ),
    Rule(
        id="departure.shared-socket",
        clauses=("WSE-1",),
        judges="The shared endpoint /ws accepts sockets of both roles.",
        when=shared_sockets,
        check=shared_is_there,
        good=(shared_socket_opens,),
        bad=(shared_socket_not_found,),
        cases=(both_roles_on_the_shared_socket,),
    ),
)
