"""What comes before the role message, and what does not: nothing is served, nobody waits for ever (WSA-2 to WSA-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.dialogue import ANSWER_SECONDS, FOREIGN_USER, Said, current, refusal, said
from conformance.rule import Finding, Rule, provocation
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

OTHER_ROLE = "good, with the other role's message"
"""A good token on a socket whose first role message is the wrong one: no rule for dashboards or agents fits it."""
ROLE_MESSAGE = {"agent": "AGENT_CONNECT", "dashboard": "DASHBOARD_INIT"}


def too_early(t: Timeline) -> Iterator[Said]:
    """Each well-formed message before the role message, and each role message of the other role."""
    for s in said(t, VALID, OTHER_ROLE):
        first = s.connection.init
        kind = s.sent.type
        before = first is None or s.sent.seq < first.seq
        other = s.sent is first and kind != ROLE_MESSAGE.get(s.connection.channel, kind)
        if (before or other) and kind not in {"PONG", ""} and _well_formed(s, t):
            yield s


def _well_formed(s: Said, t: Timeline) -> bool:
    if t.contract.violations("envelope-client.json", s.sent.value):
        return False
    channel = s.connection.channel
    roles = ("agent", "dashboard")
    kinds = [m for r in roles if (m := t.contract.message(f"from-{r}", s.sent.type))]
    mine = channel == "shared" or t.contract.message(f"from-{channel}", s.sent.type) is not None
    role_message = s.sent.type in ROLE_MESSAGE.values()
    return (mine or role_message) and any(t.contract.shapes.accepts(m.schema, s.sent.payload) for m in kinds)


def not_served(s: Said, t: Timeline) -> Iterator[Finding]:
    """It is refused with NOT_INITIALIZED, and nothing else has been sent."""
    kind = s.sent.type
    other = s.sent is s.connection.init
    codes = ("NOT_INITIALIZED", "INVALID_MESSAGE_TYPE") if other else ("NOT_INITIALIZED",)
    what = f"{kind} on the {s.connection.channel} endpoint" if other else f"{kind} before the role message"
    for finding in refusal(s, t, what, *codes):
        if finding.where is s.connection.closed and (other or s.errors):
            continue  # whether the connection outlives it is not said
        yield finding
    init = s.connection.init
    early = [f for f in s.connection.received if f.kind not in {"ERROR", "PING", "TOKEN_REFRESH"}]
    data = [
        f for f in early if f.seq > s.sent.seq and (init is None or other or f.seq < init.seq) and f not in s.answers
    ]
    if data:
        says = f"{data[0].type} was sent before the client had said what it is"
        yield Finding(says, data[0], "/type", "nothing but ERROR", data[0].type, (s.sent,))


def silent(t: Timeline) -> Iterator[Connection]:
    """Each socket with a good token that never said anything, up to its end or past the latest time for it."""
    limit = t.terms.init_timeout
    for c in t.connections:
        if current(c) and c.credential == VALID and not c.sent:
            ended = c.closed is not None and c.closed.by == "backend" and c.closed.code != 1001  # noqa: PLR2004 - see contract
            if ended or c.until >= t.bound(c.opened.at, limit + 5.0):
                yield c


def timed_out(c: Connection, t: Timeline) -> Iterator[Finding]:
    """AUTH_TIMEOUT and close 4001, not before the time and not long after."""
    limit = t.terms.init_timeout
    expected = "ERROR AUTH_TIMEOUT, then close 4001, after the time for the role message"
    if c.closed is None or c.closed.by != "backend":
        says = "a socket that never says what it is stays open: anybody can collect them"
        yield Finding(says, c.opened, "", expected, f"open after {c.until - c.opened.at:.0f} s")
        return
    after = c.closed.at - c.opened.at
    if c.closed.code != 4001:  # noqa: PLR2004 - the contract's code
        says = "a socket without a role message was closed with the wrong code"
        yield Finding(says, c.closed, "", expected, c.closed.code, (c.opened,))
    elif not limit - max(1.0, limit / 30) <= after <= limit + 5.0 + t.terms.slack:
        yield Finding(
            "a socket without a role message was closed at the wrong time", c.closed, "", expected, f"{after:.1f} s"
        )
    if not any(f.kind == "ERROR" and f.payload.get("code") == "AUTH_TIMEOUT" for f in c.received):
        says = "no ERROR AUTH_TIMEOUT before the close: its client cannot tell why it was closed"
        yield Finding(says, c.closed, "", expected, "no such ERROR", (c.opened,))


def foreign_users(t: Timeline) -> Iterator[Said]:
    """Each DASHBOARD_INIT that names another user than the token does, and each that names the right one."""
    for s in said(t, FOREIGN_USER, VALID):
        foreign = s.connection.credential == FOREIGN_USER
        if (
            s.sent is s.connection.init
            and s.sent.type == "DASHBOARD_INIT"
            and isinstance(s.sent.payload.get("userId"), str)
        ) and (s.answers or s.connection.closed or s.unanswered(t) or (foreign and s.connection.snapshots)):
            yield s


def user_checked(s: Said, t: Timeline) -> Iterator[Finding]:
    """FORBIDDEN and close 4003 for another user's id; the own id is served."""
    end = s.connection.closed
    if s.connection.credential == VALID:
        if s.errors and s.errors[0].payload.get("code") == "FORBIDDEN":
            says = "DASHBOARD_INIT with the token's own user as userId is refused: dashboards cannot connect"
            yield Finding(says, s.errors[0], "/payload/code", "DASHBOARD_READY", "FORBIDDEN", (s.sent,))
        return
    what = "DASHBOARD_INIT for another user"
    yield from (f for f in refusal(s, t, what, "FORBIDDEN") if f.where is not end or not s.errors)
    if s.connection.snapshots:
        says = f"{what} was sent a snapshot"
        yield Finding(says, s.connection.snapshots[0], "/type", "ERROR FORBIDDEN", "dashboard:connected", (s.sent,))
    if end is None or end.by != "backend":
        if s.connection.until >= t.bound(s.sent.at, 1.0):
            yield Finding(f"{what} leaves the socket open", s.sent, "", "close 4003", "an open socket")
    elif end.code != 4003:  # noqa: PLR2004 - the contract's code
        yield Finding(f"{what} ends with the wrong code", end, "", "close 4003", end.code, (s.sent,))


NO = {"message": "No", "recoverable": True}


def refused_then_served(s: Scene) -> None:
    socket = s.socket("dashboard")
    early = socket.sends("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True})
    socket.gets("PING", {"timestamp": s.now})
    socket.gets("ERROR", {"code": "NOT_INITIALIZED", "originalMessageId": early.id} | NO)
    socket.sends("DASHBOARD_INIT", {})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    socket.snapshot()


def other_role_refused(s: Scene) -> None:
    socket = s.socket("agent", credential=OTHER_ROLE)
    early = socket.sends("DASHBOARD_INIT", {})
    socket.gets("ERROR", {"code": "INVALID_MESSAGE_TYPE", "originalMessageId": early.id} | NO)
    socket.closes(by="backend", code=1008)


def subscribe_served(s: Scene) -> None:
    socket = s.socket("dashboard")
    early = socket.sends("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True})
    socket.gets("ACK", {"messageId": early.id, "success": True})


def other_role_served(s: Scene) -> None:
    socket = s.socket("agent", credential=OTHER_ROLE)
    socket.sends("DASHBOARD_INIT", {})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})


def events_before_init(s: Scene) -> None:
    socket = s.socket("dashboard")
    early = socket.sends("PING", {"timestamp": s.now})
    socket.gets("ERROR", {"code": "NOT_INITIALIZED", "originalMessageId": early.id} | NO)
    socket.told("a1")


def heartbeat_ignored(s: Scene) -> None:
    s.socket("agent").sends("AGENT_HEARTBEAT", {"agentId": "a1", "healthMetrics": s.health})
    s.wait(3)


def closed_in_time(s: Scene) -> None:
    socket = s.socket("agent")
    s.wait(30.5)
    socket.gets("ERROR", {"code": "AUTH_TIMEOUT", "message": "Too late", "recoverable": False})
    socket.closes(by="backend", code=4001)


def never_closed(s: Scene) -> None:
    s.socket("dashboard")
    s.wait(40)


def closed_at_once(s: Scene) -> None:
    socket = s.socket("dashboard")
    s.wait(5)
    socket.gets("ERROR", {"code": "AUTH_TIMEOUT", "message": "Too late", "recoverable": False})
    socket.closes(by="backend", code=4001)


def closed_without_a_word(s: Scene) -> None:
    socket = s.socket("dashboard")
    s.wait(31)
    socket.closes(by="backend", code=4001)


def foreign_forbidden(s: Scene) -> None:
    own = s.socket("dashboard")
    own.sends("DASHBOARD_INIT", {"userId": "alice"})
    own.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    socket = s.socket("dashboard", credential=FOREIGN_USER)
    init = socket.sends("DASHBOARD_INIT", {"userId": "mallory"})
    socket.gets("ERROR", {"code": "FORBIDDEN", "originalMessageId": init.id} | NO)
    socket.closes(by="backend", code=4003)


def foreign_served(s: Scene) -> None:
    socket = s.socket("dashboard", credential=FOREIGN_USER)
    socket.sends("DASHBOARD_INIT", {"userId": "mallory"})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    socket.snapshot()


def foreign_left_open(s: Scene) -> None:
    socket = s.socket("dashboard", credential=FOREIGN_USER)
    init = socket.sends("DASHBOARD_INIT", {"userId": "mallory"})
    socket.gets("ERROR", {"code": "FORBIDDEN", "originalMessageId": init.id} | NO)
    s.wait(3)


def own_refused(s: Scene) -> None:
    socket = s.socket("dashboard")
    init = socket.sends("DASHBOARD_INIT", {"userId": "alice"})
    socket.gets("ERROR", {"code": "FORBIDDEN", "originalMessageId": init.id} | NO)


async def impatient_clients(world: World) -> None:
    """A dashboard subscribes and pings before DASHBOARD_INIT, an agent reports before AGENT_CONNECT."""
    user = world.user()
    dashboard = await user.bare_dashboard()
    for kind, payload in (
        ("DASHBOARD_SUBSCRIBE", {"type": "agent", "all": True}),
        ("PING", {"timestamp": 1, "sequence": 1}),
    ):
        early = await dashboard.link.send(kind, payload)
        await dashboard.link.answer(early, "PONG", within=ANSWER_SECONDS)
    await dashboard.init(dashboardId=world.new_id())
    agent = user.new_agent()
    await agent.open()
    beat = await agent.say_heartbeat()
    await agent.link.answer(beat, "SERVER_HEARTBEAT", within=ANSWER_SECONDS)
    await agent.link.answer(await agent.link.send("AGENT_CONNECT", agent.greeting()), within=ANSWER_SECONDS)
    user.made(agent.announced)


async def wrong_door(world: World) -> None:
    """An agent announces itself at the dashboards' endpoint, and a dashboard at the agents'."""
    user = world.user()
    for channel, other in (("agent", "dashboard"), ("dashboard", "agent")):
        token = world.site.keyring.token(user.name)
        link = await user.socket(other, channel=channel, credential=OTHER_ROLE, token=token)
        payload = {"dashboardId": world.new_id()} if other == "dashboard" else user.new_agent().greeting()
        early = await link.send(ROLE_MESSAGE[other], payload)
        await link.answer(early, "DASHBOARD_READY", within=ANSWER_SECONDS)


@provocation(needs="short-init-timeout", budget=25.0)
async def sockets_that_say_nothing(world: World) -> None:
    """An agent's and a dashboard's socket stay silent until the backend has had enough."""
    limit = world.site.terms.init_timeout
    links = [await world.user().socket(role) for role in ("agent", "dashboard")]
    for link in links:
        await link.ended(within=limit + 5.5)


async def another_users_dashboard(world: World) -> None:
    """A dashboard says that it is another user's; beside it one that says whose it is."""
    user = world.user()
    await user.dashboard()
    token = world.site.keyring.token(user.name)
    link = await user.socket("dashboard", credential=FOREIGN_USER, token=token)
    init = await link.send("DASHBOARD_INIT", {"dashboardId": world.new_id(), "userId": "conformance-somebody-else"})
    await link.answer(init, "DASHBOARD_READY", within=ANSWER_SECONDS)
    await link.ended(within=1.5)


RULES = (
    Rule(
        id="socket-role.nothing-before-it",
        clauses=("WSA-2",),
        judges="Before the role message every other message is refused with NOT_INITIALIZED and nothing is sent.",
        when=too_early,
        check=not_served,
        good=(refused_then_served, other_role_refused),
        bad=(subscribe_served, other_role_served, events_before_init, heartbeat_ignored),
        cases=(impatient_clients, wrong_door),
    ),
    Rule(
        id="socket-role.timeout",
        clauses=("WSA-3",),
        judges="A socket that never says what it is gets ERROR AUTH_TIMEOUT and is closed with 4001 in time.",
        when=silent,
        check=timed_out,
        good=(closed_in_time,),
        bad=(never_closed, closed_at_once, closed_without_a_word),
        cases=(sockets_that_say_nothing,),
    ),
    Rule(
        id="socket-role.own-user-only",
        clauses=("WSA-4",),
        judges="DASHBOARD_INIT for another user is refused with FORBIDDEN and close 4003, for the own user served.",
        when=foreign_users,
        check=user_checked,
        good=(foreign_forbidden,),
        bad=(foreign_served, foreign_left_open, own_refused),
        cases=(another_users_dashboard,),
    ),
)
