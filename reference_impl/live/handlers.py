"""One handler per message type: parse is done, so call and answer (ACK-1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reference_impl.domain.errors import Refusal, forbidden
from reference_impl.domain.messages import (
    AgentConnect,
    AgentError,
    AgentHeartbeat,
    DashboardInit,
    Payload,
    Ping,
    Subscribe,
    TokenRefresh,
    Wanted,
)
from reference_impl.domain.subscriptions import ALL, Subscriptions
from reference_impl.domain.vocabulary import Role
from reference_impl.live.session import AgentLink, Session

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent

_NEWEST: Final = 1_000
"""How many finished commands a dashboard stays subscribed to when it takes one away from all (SUB-5)."""

Handle = Callable[[Session, Any, str | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """What a payload must look like, and what is done with it."""

    model: type[Payload]
    handle: Handle


Handlers = Mapping[Role, Mapping[str, Handler]]


def joined(*tables: Handlers) -> Handlers:
    """Put tables of handlers together."""
    return {role: {kind: one for table in tables for kind, one in table.get(role, {}).items()} for role in Role}


async def agent_connect(session: Session, said: AgentConnect, message_id: str | None) -> None:
    """AGENT_CONNECT: a new agent, a reconnect, or the same again (CON-1..5)."""
    core = session.core
    clock, timings = core.parts.clock, core.parts.settings.timings
    if session.link is not None and session.link.agent_id != said.agent_id:
        raise forbidden("This connection belongs to another agent")  # CON-1
    link = session.link or core.parts.make_link(said.agent_id, core.parts.ids.unique(), session.connection, clock)

    def answer(agent: Agent) -> None:
        session.role, session.link = Role.AGENT, link
        session.ack(
            message_id,
            agentId=agent.agent_id,
            connectionId=link.connection_id,
            heartbeatIntervalMs=round(timings.heartbeat_interval_s * 1000),
        )

    first = session.link is None
    await core.desk.connect(session.user_id, link, said.announcement(), link.connection_id, answer)
    if first:
        watch(session, link)


def watch(session: Session, link: AgentLink) -> None:
    """Take the agent for lost after three heartbeats have failed to come (DIS-3)."""
    core = session.core
    timings = core.parts.settings.timings
    silence = timings.heartbeat_interval_s * timings.heartbeats_missed

    def silent() -> bool:  # asked again when the turn has come: a heartbeat may have come first
        return link.silent_for() >= silence

    async def lose() -> None:
        await core.desk.lose(session.user_id, link, "heartbeat_timeout", still=silent)
        if silent():
            session.connection.close(1008, "No heartbeat")
        else:
            link.watch(silence, lost)

    def lost() -> None:
        core.background(lose())

    link.seen()
    link.watch(silence, lost)


async def agent_heartbeat(session: Session, said: AgentHeartbeat, _message_id: str | None) -> None:
    """AGENT_HEARTBEAT → SERVER_HEARTBEAT (HB-1)."""
    core, link = session.core, own(session, said.agent_id)
    clock = core.parts.clock
    interval_ms = round(core.parts.settings.timings.heartbeat_interval_s * 1000)

    def answer() -> None:
        link.seen()
        session.connection.send("SERVER_HEARTBEAT", {"serverTime": clock.now_ms(), "nextPingExpected": interval_ms})

    await core.desk.beat(session.user_id, link, said.metrics(clock.now_ms()), answer)


async def agent_error(session: Session, said: AgentError, message_id: str | None) -> None:
    """AGENT_ERROR reaches the user's dashboards (AER-1)."""
    link = own(session, said.agent_id)
    await session.core.desk.fail(session.user_id, link, said.failure(), lambda: session.ack(message_id))


def own(session: Session, agent_id: str) -> AgentLink:
    """The connection's agent; a payload that names another one is refused (CON-6)."""
    if session.link is None or session.link.agent_id != agent_id:
        raise forbidden("This connection belongs to another agent")
    return session.link


async def dashboard_init(session: Session, said: DashboardInit, _message_id: str | None) -> None:
    """DASHBOARD_INIT → DASHBOARD_READY, `dashboard:connected`, then events (DSH-1..6)."""
    core = session.core
    if "user_id" in said.model_fields_set and said.user_id != session.user_id:
        raise forbidden("The token belongs to another user", close=4003)  # WSA-4
    session.dashboard_id = said.dashboard_id or session.dashboard_id or core.parts.ids.unique()

    def begin(agents: Sequence[Agent]) -> None:
        now = core.parts.clock.now_ms()
        session.role, session.subscriptions = Role.DASHBOARD, chosen(said.subscriptions)
        session.connection.accept_batches(said.accept_batches)
        session.connection.send("DASHBOARD_READY", {"dashboardId": session.dashboard_id, "timestamp": now})
        snapshot = core.parts.presenters[session.version].snapshot(agents, now)
        if snapshot is not None:
            session.connection.send("dashboard:connected", snapshot)
            core.parts.telemetry.event("dashboard:connected")
        core.parts.hub.join(session.user_id, session)

    await core.desk.with_all(session.user_id, begin)


def chosen(wanted: Wanted) -> Subscriptions:
    """Read the `subscriptions` of DASHBOARD_INIT (SUB-1)."""
    return Subscriptions(
        agents=frozenset(wanted.agents) if isinstance(wanted.agents, list) else ALL,
        commands=frozenset(wanted.commands) if isinstance(wanted.commands, list) else ALL,
        terminals=wanted.terminals,
        traces=wanted.traces,
    )


async def subscribe(session: Session, said: Subscribe, message_id: str | None) -> None:
    """DASHBOARD_SUBSCRIBE (SUB-3, SUB-4)."""
    await _choose(session, said, message_id, on=True)


async def unsubscribe(session: Session, said: Subscribe, message_id: str | None) -> None:
    """DASHBOARD_UNSUBSCRIBE (SUB-3..5)."""
    await _choose(session, said, message_id, on=False)


async def _choose(session: Session, said: Subscribe, message_id: str | None, *, on: bool) -> None:
    commands = await _commands(session, said, on=on)

    def change(agents: Sequence[Agent]) -> None:
        known = [agent.agent_id for agent in agents] if said.type == "agent" else commands
        change = choose(session.subscriptions, said, known, on=on)
        if change is None:
            refused = {"success": False, "error": "NOT_FOUND"}
            session.ack(message_id, **refused, subscriptions=session.subscriptions.on_the_wire())
            return
        session.subscriptions = change
        session.ack(message_id, subscriptions=change.on_the_wire())

    desk, one = session.core.desk, said.subject if said.type == "agent" else None
    if one is not None and not on and session.subscriptions.agents is ALL:  # what is left are all the others
        await desk.with_all(session.user_id, change)
    else:
        await desk.with_one(session.user_id, one, change)


async def _commands(session: Session, said: Subscribe, *, on: bool) -> Sequence[str]:
    """The commands that a choice of commands can be about: the one named, and when it is taken from all, the others.

    Those are the unfinished ones, of which there can be news, and the newest. Commands are never
    removed, so what is read here still holds in the user's turn.
    """
    if said.type != "command" or said.subject is None:
        return ()
    store = session.core.parts.commands
    command = await store.get(said.subject)
    if command is None or command.user_id != session.user_id:
        return ()
    if on or session.subscriptions.commands is not ALL:
        return (said.subject,)
    return (said.subject, *await store.ids(session.user_id, _NEWEST))


def choose(before: Subscriptions, said: Subscribe, known: Sequence[str], *, on: bool) -> Subscriptions | None:
    """The choice after the message; None when it names an id that is not among the known ones (SUB-4)."""
    if said.type == "terminal":
        return Subscriptions(before.agents, before.commands, on, before.traces)
    if said.type == "trace":
        return Subscriptions(before.agents, before.commands, before.terminals, on)
    if said.subject is not None and said.subject not in known:
        return None
    kind: Final = "agents" if said.type == "agent" else "commands"
    return before.on(kind, said.subject) if on else before.off(kind, said.subject, known)


async def ping(session: Session, said: Ping, _message_id: str | None) -> None:
    """PING → PONG (PING-1)."""
    session.connection.send("PONG", said.echo())


async def pong(_session: Session, _said: Ping, _message_id: str | None) -> None:
    """PONG needs no answer (ACK-1)."""


async def token_refresh(session: Session, said: TokenRefresh, message_id: str | None) -> None:
    """TOKEN_REFRESH with a good token of the same user extends the connection (WSA-5)."""
    try:
        principal = await session.core.parts.verifier.verify(said.access_token)
    except Refusal:
        raise forbidden("The new token is not valid") from None
    if principal.user_id != session.user_id:
        raise forbidden("The new token belongs to another user")
    session.extend(principal)
    session.ack(message_id)


_BOTH: Final[Mapping[str, Handler]] = {
    "PING": Handler(Ping, ping),
    "PONG": Handler(Ping, pong),
    "TOKEN_REFRESH": Handler(TokenRefresh, token_refresh),
}

HANDLERS: Final[Handlers] = {
    Role.AGENT: {
        **_BOTH,
        "AGENT_CONNECT": Handler(AgentConnect, agent_connect),
        "AGENT_HEARTBEAT": Handler(AgentHeartbeat, agent_heartbeat),
        "AGENT_ERROR": Handler(AgentError, agent_error),
    },
    Role.DASHBOARD: {
        **_BOTH,
        "DASHBOARD_INIT": Handler(DashboardInit, dashboard_init),
        "DASHBOARD_SUBSCRIBE": Handler(Subscribe, subscribe),
        "DASHBOARD_UNSUBSCRIBE": Handler(Subscribe, unsubscribe),
    },
}
"""Who may send what, as far as it is served; a new message type is one more line."""
