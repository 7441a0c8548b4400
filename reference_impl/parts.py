"""The seams: every port and every replaceable step, in one frozen value.

`create_app` is the only place that joins them. To change how the server behaves, replace a part:
`replace(parts, hub=Quiet(parts.hub))`. Whatever is built from parts (the core below, routers,
endpoints) is built from the final ones, so a replaced part is replaced everywhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_impl.auth.desk import AccountDesk
from reference_impl.auth.tokens import Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from fastapi import APIRouter
    from starlette.types import ASGIApp

    from reference_impl.auth import TokenVerifier
    from reference_impl.clock import Clock
    from reference_impl.domain.command_machine import CommandMachine
    from reference_impl.domain.errors import Refusal
    from reference_impl.domain.events import Event
    from reference_impl.domain.machine import AgentMachine
    from reference_impl.domain.pacing import Pacer
    from reference_impl.domain.presenters import Presenter
    from reference_impl.domain.presenters.commands import CommandPresenter
    from reference_impl.domain.subscriptions import Subscriptions
    from reference_impl.domain.vocabulary import Role
    from reference_impl.hub import Hub, Presence
    from reference_impl.hub.nodes import Nodes
    from reference_impl.ids import Ids
    from reference_impl.live.announcer import Announcer
    from reference_impl.live.codec import Codec
    from reference_impl.live.command_desk import CommandDesk
    from reference_impl.live.connection import Connection
    from reference_impl.live.control_desk import ControlDesk
    from reference_impl.live.desk import AgentDesk
    from reference_impl.live.handlers import Handler
    from reference_impl.live.output_desk import OutputDesk
    from reference_impl.live.session import AgentLink, Session
    from reference_impl.live.turns import Turns
    from reference_impl.logs import Log
    from reference_impl.mail import Mailer
    from reference_impl.settings import Settings
    from reference_impl.store import AgentStore, Database, UserStore
    from reference_impl.store.accounts import AccountStore
    from reference_impl.store.audit import AuditStore
    from reference_impl.store.belongings import ConstraintStore, PresetStore
    from reference_impl.store.commands import CommandStore
    from reference_impl.store.outputs import OutputStore
    from reference_impl.telemetry import Telemetry
    from reference_impl.web.answers import Failure

    Background = Callable[[Coroutine[Any, Any, None]], None]
    """Does something beside the caller."""


@dataclass(frozen=True)
class Parts:
    """What a server is made of."""

    settings: Settings
    clock: Clock
    ids: Ids
    log: Log
    telemetry: Telemetry

    database: Database
    agents: AgentStore
    users: UserStore
    commands: CommandStore
    outputs: OutputStore
    accounts: AccountStore
    presets: PresetStore
    constraints: ConstraintStore
    audit: AuditStore
    mailer: Mailer
    verifier: TokenVerifier

    turns: Turns
    nodes: Nodes
    hub: Hub
    presence: Presence
    codec: Codec
    machine: AgentMachine
    presenters: Mapping[int, Presenter]
    """How things look, per API version."""
    command_machine: CommandMachine
    command_presenter: CommandPresenter

    make_pacer: Callable[[], Pacer]
    """Makes what paces the AGENT_STATUS of one agent (STA-6)."""
    wants: Callable[[Subscriptions, Event], bool]
    """Whether a dashboard with these subscriptions is told (SUB-2)."""
    before_init: frozenset[str]
    """The message types that are served on a socket without a role (WSA-2)."""
    handlers: Mapping[Role, Mapping[str, Handler]]
    """What is served, per role and message type."""
    refuse: Callable[[Session, Refusal, str | None], None]
    """Answers a socket message that is not served (WSX-1)."""
    turn_away: Callable[[Connection, Refusal], None]
    """Ends a socket whose token or version opens nothing (WSA-1)."""
    make_link: Callable[[str, str, Connection, Clock], AgentLink]
    """Makes what knows an agent's connection and its signs of life (CON-4, DIS-3)."""

    fail: Callable[[Refusal], Failure]
    """Makes the REST answer of a refusal (ENV-2)."""
    make_routers: tuple[Callable[[Core], APIRouter], ...]
    """One per REST resource, mounted under the base path."""
    is_public: Callable[[str], bool]
    """Which paths need no token (AUTH-1)."""
    make_desk: Callable[[Parts, Announcer, Turns, CommandDesk], AgentDesk]
    make_command_desk: Callable[[Parts, Announcer, Turns, Background], CommandDesk]
    make_control_desk: Callable[[Parts, CommandDesk, Turns], ControlDesk]
    make_announcer: Callable[[Parts], Announcer]
    make_output_desk: Callable[[Parts, Turns], OutputDesk]
    wrap_app: tuple[Callable[[ASGIApp], ASGIApp], ...] = ()
    """Wrapped around the finished ASGI application, the last one outermost."""


class Core:
    """What runs: the parts, joined."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.turns = parts.turns
        self.started = parts.clock.monotonic()
        self.accounts = AccountDesk(
            parts.accounts,
            parts.users,
            parts.mailer,
            Signer(parts.settings.jwt_secret, parts.settings.auth),
            parts.clock,
            parts.ids,
            parts.settings.auth,
        )
        self.announcer = parts.make_announcer(parts)
        self.commands = parts.make_command_desk(parts, self.announcer, self.turns, self.background)
        self.control = parts.make_control_desk(parts, self.commands, self.turns)
        self.desk = parts.make_desk(parts, self.announcer, self.turns, self.commands)
        self.output = parts.make_output_desk(parts, self.turns)
        self._tasks: set[asyncio.Task[Any]] = set()

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the caller, and hold on to it until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.parts.log.warning("background_work_failed", error=repr(error))

    async def nobody(self) -> None:
        """No agent can be connected (CON-7)."""
        await self.parts.agents.all_offline(self.parts.clock.now_ms())

    async def absent(self, user_id: str) -> None:
        """Connections of the user's agents were lost with their node."""
        await self.desk.lose_absent(user_id)

    async def recover(self) -> None:
        """What goes on with commands is this node's to watch, where nobody else does."""
        await self.commands.recover()

    async def settle(self) -> None:
        """Wait for everything in the background."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)
