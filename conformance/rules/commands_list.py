"""The list of commands: filtered as asked, the user's own only (CMD-R5, ISO-2); its order and pages: `list_pages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_orders import orders, unclear_since
from conformance.command_scene import ONE, THREE, TWO, asks, creates, lists, queue, resource, told
from conformance.rest_views import judged, number
from conformance.rule import Finding, Rule, provocation
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Frame, Timeline
    from conformance.world.user import User
    from conformance.world.world import World

BAD, USUAL, MOST = 400, 50, 100
WORDS = frozenset({"PENDING", "QUEUED", "EXECUTING", "COMPLETED", "FAILED", "CANCELLED"})
EVENTS = ("COMMAND_STATUS", "QUEUE_UPDATE")


class Page(NamedTuple):
    """A list of commands that was answered, with its rows."""

    e: Exchange
    rows: list[dict[str, Any]]

    @property
    def limit(self) -> int:
        """How many were asked for."""
        return number(self.e, "limit", USUAL)

    @property
    def offset(self) -> int:
        """How many were to be passed over."""
        return number(self.e, "offset", 0)

    @property
    def ids(self) -> list[str]:
        """The commands in it."""
        return [reading.command_id(r) or "" for r in self.rows]

    @property
    def total(self) -> object:
        """What it says there are."""
        page = self.e.value.get("pagination") if isinstance(self.e.value, dict) else None
        return page.get("total") if isinstance(page, dict) else None


def _valid(e: Exchange) -> bool:
    limit, offset = e.query.get("limit", "1"), e.query.get("offset", "0")
    right = limit.isdigit() and 1 <= int(limit) <= MOST and offset.isdigit()
    return right and e.query.get("status", "QUEUED").upper() in WORDS


def pages(t: Timeline) -> Iterator[Page]:
    """Each answer to a right question for the list."""
    for e in judged(t):
        if e.operation == "listCommands" and e.status == OK and _valid(e):
            rows = reading.rows(e.value)
            if rows is not None:
                yield Page(e, [r for r in rows if isinstance(r, dict)])


def as_asked(page: Page, t: Timeline) -> Iterator[Finding]:
    """Only what the filters name, and all of ours that they name."""
    for i, row in enumerate(page.rows):
        yield from _fits(page, i, row)
    yield from _whole(page, t)


def _fits(page: Page, index: int, row: dict[str, Any]) -> Iterator[Finding]:
    status, agent = page.e.query.get("status"), page.e.query.get("agentId")
    if status and reading.status(row) != status.upper():
        says = "the list of commands shows others than the status that was asked for"
        yield Finding(says, page.e, f"/data/{index}/status", status.upper(), row.get("status"))
    targets = row.get("targetAgents")
    if agent and isinstance(targets, list) and agent not in targets and row.get("broadcast") is not True:
        says = "the list of commands shows others than those of the agent that was asked for"
        yield Finding(says, page.e, f"/data/{index}/targetAgents", f"with {agent}", targets)


def _whole(page: Page, t: Timeline) -> Iterator[Finding]:
    """Of an agent of ours whose commands are all known: each of them, and their number as total."""
    agent = page.e.query.get("agentId")
    if not agent or t.owners.get(agent) != page.e.user or page.e.query.get("status"):
        return
    mine = [o for o in orders(t).values() if agent in o.targets and o.user == page.e.user]
    if any(o.settled >= page.e.at for o in mine) or any(o.asked.get("broadcast") for o in orders(t).values()):
        return
    if unclear_since(t, agent) < page.e.ended:
        return
    if page.total != len(mine):
        says = "the list of an agent's commands does not say how many there are"
        yield Finding(says, page.e, "/pagination/total", f"{len(mine)}", page.total)
    expected = max(0, min(page.limit, len(mine) - page.offset))
    if len(page.rows) != expected:
        says = "the page of an agent's commands has not the rows that it should"
        missing = [o.cause for o in mine if o.id not in page.ids][:1]
        yield Finding(says, page.e, "/data", f"{expected} commands", len(page.rows), tuple(missing))


def bad_questions(t: Timeline) -> Iterator[Exchange]:
    """Each question for the list with a filter or a page that is none."""
    for e in judged(t):
        if e.operation == "listCommands" and not _valid(e) and set(e.query) <= {"status", "limit", "offset", "agentId"}:
            yield e


def refused(e: Exchange, _t: Timeline) -> Iterator[Finding]:
    """400."""
    if e.status != BAD:
        yield Finding(f"GET /commands with {dict(e.query)} is not refused", e, "", "400", e.status)


class Sight(NamedTuple):
    """What a user could see while another user had commands."""

    where: Exchange | Frame
    user: str
    ids: tuple[tuple[str, str], ...]
    """Pointer and command id."""


def sights(t: Timeline) -> Iterator[Sight]:
    """Lists and events of a user, while another user's command was there."""
    users = {dashboard.user for dashboard in t.dashboards} | {page.e.user for page in pages(t)}
    first = {user: _first_of_others(t, user) for user in users}
    for page in pages(t):
        if first[page.e.user] < page.e.at:
            yield Sight(page.e, page.e.user, tuple((f"/data/{i}/id", c) for i, c in enumerate(page.ids)))
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind(*EVENTS):
            if first[dashboard.user] < frame.at:
                yield Sight(frame, dashboard.user, tuple(_named(frame)))


def _first_of_others(t: Timeline, user: str) -> float:
    """When another user's command was first asked for."""
    return min((o.cause.at for o in orders(t).values() if o.user != user), default=float("inf"))


def _named(frame: Frame) -> Iterator[tuple[str, str]]:
    if frame.kind == "COMMAND_STATUS":
        yield "/payload/commandId", reading.command_id(frame.payload) or ""
    for name in ("executing", "queued"):
        rows = frame.payload.get(name)
        for i, row in enumerate(rows if isinstance(rows, list) else ()):
            yield f"/payload/{name}/{i}/commandId", reading.command_id(row) or ""


def own_only(sight: Sight, t: Timeline) -> Iterator[Finding]:
    """Nobody else's command."""
    for pointer, command in sight.ids:
        order = orders(t).get(command)
        if order is not None and order.user != sight.user:
            says = f"{sight.where.label} shows a user the command of another user"
            yield Finding(says, sight.where, pointer, "only the user's own commands", command, (order.cause,))


OLD, NEW = "2025-10-09T08:00:00.000Z", "2025-10-09T08:00:01Z"


def _asked_for(s: Scene, *rows: dict[str, Any], total: int = 2, **query: str) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    asks(dashboard)
    asks(dashboard, TWO)
    lists(s, *rows, total=total, query={"agentId": "a1"} | query)


def newest_first(s: Scene) -> None:
    _asked_for(s, resource(TWO, createdAt=NEW), resource(ONE, createdAt=OLD))
    lists(s, resource(TWO, createdAt=NEW), total=2, query={"agentId": "a1", "limit": "1", "offset": "0"})
    lists(s, resource(ONE, createdAt=OLD), total=2, query={"agentId": "a1", "limit": "1", "offset": "1"})
    lists(s, resource(THREE, "FAILED", targetAgents=["a9"], broadcast=True), query={"status": "failed"})


def one_that_nobody_knows_of(s: Scene) -> None:
    newest_first(s)
    dashboard = s.dashboard()
    dashboard.sends("COMMAND_REQUEST", {"commandId": THREE, "agentId": "a1", "content": "x", "type": "PLAN"})
    dashboard.closes(by="fault", code=None)
    lists(s, resource(THREE), resource(TWO), resource(ONE), query={"agentId": "a1"})


def one_missing(s: Scene) -> None:
    _asked_for(s, resource(TWO))


def total_of_the_page(s: Scene) -> None:
    _asked_for(s, resource(TWO), total=1, limit="1")


def limit_ignored(s: Scene) -> None:
    _asked_for(s, resource(TWO), resource(ONE), limit="1")


def filter_ignored(s: Scene) -> None:
    lists(s, resource(ONE, "COMPLETED"), query={"status": "QUEUED"})


def agent_ignored(s: Scene) -> None:
    lists(s, resource(ONE, targetAgents=["a2"]), query={"agentId": "a1"})


def nonsense_refused(s: Scene) -> None:
    for query in ({"status": "RUNNING"}, {"limit": "0"}, {"limit": "101"}, {"offset": "-1"}, {"limit": "ten"}):
        s.rest("GET", "/commands", 400, {"success": False, "error": "No"}, query=query)


def nonsense_served(s: Scene) -> None:
    lists(s, query={"status": "RUNNING"})


def each_its_own(s: Scene) -> None:
    s.agent("a1")
    dashboard, bobs = s.dashboard(), s.dashboard(user="bob")
    asks(dashboard)
    told(dashboard, "QUEUED")
    queue(s, dashboard, ONE)
    told(bobs, "QUEUED", TWO, "b1")
    lists(s, resource(ONE))
    lists(s, resource(TWO), user="bob")


def lists_of_all(s: Scene) -> None:
    creates(s)
    lists(s, resource(ONE), user="bob")


def told_to_all(s: Scene) -> None:
    bobs = s.dashboard(user="bob")
    asks(s.dashboard())
    told(bobs, "QUEUED")


def queue_told_to_all(s: Scene) -> None:
    bobs = s.dashboard(user="bob")
    asks(s.dashboard())
    queue(s, bobs, ONE)


async def an_agents_commands(world: World) -> None:
    """Five commands of an agent, two of them ended, are listed whole, filtered, and page by page; then nonsense."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    commands = [await dashboard.request(agent) for _ in range(3)]
    commands += [await user.rest.command(agent.id) for _ in range(2)]
    await agent.takes(commands[0])
    await agent.complete(commands[0], "FAILED")
    await dashboard.cancel(commands[1])
    await dashboard.sees_command(commands[1], "CANCELLED")
    await world.quiet()
    about = {"agentId": agent.id}
    await user.rest.get("/commands", query=about)
    for status in ("failed", "CANCELLED", "Queued", "COMPLETED"):
        await user.rest.get("/commands", query=about | {"status": status})
    for offset in (0, 2, 4, 6):
        await user.rest.get("/commands", query=about | {"limit": "2", "offset": str(offset)})
    await user.rest.get("/commands")
    await user.rest.get("/commands", query={"limit": "100"})
    for odd in ({"status": "RUNNING"}, {"limit": "0"}, {"limit": "101"}, {"offset": "-1"}, {"limit": "ten"}):
        await user.rest.get("/commands", query=odd)


@provocation(needs="second-user commands")
async def two_users_with_commands(world: World) -> None:
    """Two users have commands that go their way while both watch; then both look through their lists."""
    users = (world.user(), world.user(1))
    dashboards = [await user.dashboard() for user in users]
    agents = [await user.agent() for user in users]
    for user, dashboard, agent in zip(users, dashboards, agents, strict=True):
        await _work(user, await dashboard.request(agent), agent.id)
        command = await dashboard.request(agent)
        await agent.runs(command)
        await dashboard.sees_command(command, "COMPLETED")
    await world.quiet()
    for user, other in zip(users, reversed(agents), strict=True):
        await user.rest.get("/commands", query={"limit": "100"})
        await user.rest.get("/commands", query={"agentId": other.id})


async def _work(user: User, command: str, agent_id: str) -> None:
    await user.rest.post(f"/commands/{command}/cancel")
    await user.rest.post(f"/commands/{await user.rest.command(agent_id)}/cancel")


RULES = (
    Rule(
        id="rest-command.list-as-asked",
        clauses=("CMD-R5",),
        judges="The list of commands is filtered and cut as asked, with the total of all matches.",
        when=pages,
        check=as_asked,
        good=(newest_first, one_that_nobody_knows_of),
        bad=(one_missing, total_of_the_page, limit_ignored, filter_ignored, agent_ignored),
        cases=(an_agents_commands,),
    ),
    Rule(
        id="rest-command.list-refuses-nonsense",
        clauses=("CMD-R5",),
        judges="A filter or a page that is none is answered 400.",
        when=bad_questions,
        check=refused,
        good=(nonsense_refused,),
        bad=(nonsense_served,),
        cases=(an_agents_commands,),
    ),
    Rule(
        id="isolation.own-commands-only",
        clauses=("ISO-2",),
        judges="No list, COMMAND_STATUS or QUEUE_UPDATE shows a user another user's command.",
        when=sights,
        check=own_only,
        good=(each_its_own,),
        bad=(lists_of_all, told_to_all, queue_told_to_all),
        cases=(two_users_with_commands,),
    ),
)
