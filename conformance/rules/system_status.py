"""The system's status counts the caller's own agents and commands, as their lists do (SYS-1, ISO-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.rest_views import judged, outcome
from conformance.rule import Finding, Rule, provocation
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.user import User
    from conformance.world.world import World

AGENTS = {"total": "", "online": "ONLINE", "offline": "OFFLINE", "error": "ERROR"}
COMMANDS = {
    "pending": "PENDING",
    "queued": "QUEUED",
    "executing": "EXECUTING",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
}
LISTS = {"agents": ("listAgents", AGENTS), "commands": ("listCommands", COMMANDS)}
FAST = 2.0
"""How much faster than the tester's clock the uptime may run; seconds."""


def statuses(t: Timeline) -> Iterator[Exchange]:
    """Each question for the status with a good token."""
    return (e for e in judged(t) if e.operation == "getSystemStatus")


def well_shaped(e: Exchange, t: Timeline) -> Iterator[Finding]:
    """200 with all that belongs to it; the uptime is in seconds and runs on."""
    data = reading.one(e.value) or (e.value.get("data") if isinstance(e.value, dict) else None)
    if e.status != OK or not isinstance(data, dict):
        yield Finding("GET /system/status does not answer with the status", e, "", "200 with the status", outcome(e))
        return
    for v in t.contract.violations("system-status.json", data):
        yield Finding("the system's status is out of shape", e, "/data" + v.pointer, v.expected, v.got)
    earlier = [x for x in statuses(t) if x.ended < e.at and isinstance(x.value, dict)]
    then = (reading.one(earlier[0].value) or {}).get("uptime") if earlier else None
    now = data.get("uptime")
    if isinstance(then, int | float) and isinstance(now, int | float) and now - then > e.ended - earlier[0].at + FAST:
        says = "the system's uptime runs faster than time: it is not in seconds"
        expected = f"at most {e.ended - earlier[0].at:.0f} more than {then}"
        yield Finding(says, e, "/data/uptime", expected, now, (earlier[0],))


class Counted(NamedTuple):
    """A number of the status, and the totals of the same user's list before and after it, which are the same."""

    e: Exchange
    pointer: str
    got: Any
    wanted: int
    lists: tuple[Exchange, Exchange]


def counted(t: Timeline) -> Iterator[Counted]:
    """Each number that stands between two equal totals."""
    totals = [e for e in judged(t) if e.operation in {"listAgents", "listCommands"} and e.status == OK]
    for e in statuses(t):
        data = reading.one(e.value) or {}
        for part, (operation, names) in LISTS.items() if data else ():
            for name, status in names.items():
                mine = [x for x in totals if x.operation == operation and x.user == e.user and _is(x, status)]
                before = [x for x in mine if x.ended <= e.at]
                after = [x for x in mine if x.at >= e.ended]
                if before and after and _total(before[-1]) == _total(after[0]) >= 0:
                    got = (data.get(part) or {}).get(name, "nothing")
                    yield Counted(e, f"/data/{part}/{name}", got, _total(after[0]), (before[-1], after[0]))


def _is(e: Exchange, status: str) -> bool:
    return e.query.get("status", "").upper() == status and set(e.query) <= {"status", "limit"}


def _total(e: Exchange) -> int:
    page = e.value.get("pagination") if isinstance(e.value, dict) else None
    total = page.get("total") if isinstance(page, dict) else None
    return total if isinstance(total, int) else -1


def as_listed(c: Counted, _t: Timeline) -> Iterator[Finding]:
    """The number is the list's."""
    if c.got != c.wanted:
        says = "a number in the system's status is not that of the user's own list: the header contradicts the page"
        yield Finding(says, c.e, c.pointer, f"{c.wanted}", c.got, c.lists)


def _status(s: Scene, /, uptime: Any = 60, **changes: Any) -> None:
    agents = {"total": 2, "online": 1, "offline": 0, "error": 0} | changes.pop("agents", {})
    commands = dict.fromkeys(COMMANDS, 0) | {"queued": 1} | changes.pop("commands", {})
    right = {"status": "healthy", "version": "1", "uptime": uptime, "timestamp": s.born}
    data = right | {"agents": agents, "commands": commands} | changes
    s.rest("GET", "/system/status", 200, {"success": True, "data": data})


def _lists(s: Scene) -> None:
    for path, names, found in (("/agents", AGENTS, {"": 2, "ONLINE": 1}), ("/commands", COMMANDS, {"QUEUED": 1})):
        for status in names.values():
            page = {"total": found.get(status, 0), "limit": 50, "offset": 0}
            query = {"status": status} if status else {}
            s.rest("GET", path, 200, {"success": True, "data": [], "pagination": page}, query=query)


def true_numbers(s: Scene) -> None:
    _lists(s)
    _status(s)
    s.wait(3)
    _status(s, uptime=63.2)
    _lists(s)


def all_users_counted(s: Scene) -> None:
    _lists(s)
    _status(s, agents={"total": 9})
    _lists(s)


def no_commands_counted(s: Scene) -> None:
    _lists(s)
    _status(s, commands={"queued": 0})
    _lists(s)


def uptime_in_milliseconds(s: Scene) -> None:
    _status(s, uptime=60_000)
    s.wait(4)
    _status(s, uptime=64_010)


def without_its_commands(s: Scene) -> None:
    _status(s, commands={"queued": "1"})


def not_there(s: Scene) -> None:
    s.fails("GET", "/system/status", 404)


@provocation(alone=True, needs="second-user")
async def counted_between_lists(world: World) -> None:
    """Two users with agents come, gone and failed; each asks for the status between two readings of the lists."""
    user, other = world.user(), world.user(1)
    for one in (user, other):
        gone, broken, _ = [await one.agent() for _ in range(3)]
        await gone.leave()
        error = {"agentId": broken.id, "errorType": "RESOURCE", "message": "Disk full", "recoverable": False}
        await broken.link.ask("AGENT_ERROR", error)
        await one.rest.shows(gone.id, status="OFFLINE")
    await world.quiet()
    for one in (user, other):
        await _count(one, AGENTS, "/agents")


@provocation(alone=True, needs="second-user commands")
async def commands_counted_between_lists(world: World) -> None:
    """Two users with commands that wait, execute, and have ended in each way; each asks between two readings."""
    user, other = world.user(), world.user(1)
    for one in (user, other):
        dashboard, agent = await one.dashboard(), await one.agent()
        for end in ("COMPLETED", "FAILED", "CANCELLED"):
            command = await dashboard.request(agent)
            await agent.takes(command)
            await agent.complete(command, end)
        command = await dashboard.request(agent)
        await agent.takes(command)
        await agent.ack(command)
        await dashboard.request(agent)
    await world.quiet()
    for one in (user, other):
        await _count(one, COMMANDS, "/commands")


async def _count(user: User, names: dict[str, str], path: str) -> None:
    for turn in range(2):
        for status in names.values():
            await user.rest.get(path, query={"status": status, "limit": "1"} if status else {"limit": "1"})
        if turn == 0:
            await user.rest.get("/system/status")


RULES = (
    Rule(
        id="system-status.well-shaped",
        clauses=("SYS-1",),
        judges="GET /system/status answers with status, version, uptime in seconds, time and the caller's numbers.",
        when=statuses,
        check=well_shaped,
        good=(true_numbers,),
        bad=(uptime_in_milliseconds, without_its_commands, not_there),
        cases=(counted_between_lists,),
    ),
    Rule(
        id="system-status.own-numbers",
        clauses=("SYS-1", "ISO-2"),
        judges="The numbers of the status are those of the user's own lists.",
        when=counted,
        check=as_listed,
        good=(true_numbers,),
        bad=(all_users_counted, no_commands_counted),
        cases=(counted_between_lists, commands_counted_between_lists),
    ),
)
