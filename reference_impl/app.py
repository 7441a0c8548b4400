"""The only wiring: parts in, application out. Nothing happens at import."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute

from reference_impl.auth.jwks import JwkSet, NoKeys, from_file, from_url
from reference_impl.auth.tokens import JwtVerifier
from reference_impl.clock import SystemClock
from reference_impl.domain.accounts import address_of
from reference_impl.domain.catalogue import ROLE_MESSAGE
from reference_impl.domain.command_machine import CommandMachine
from reference_impl.domain.machine import AgentMachine
from reference_impl.domain.pacing import Pacer
from reference_impl.domain.presenters.commands import CommandPresenter
from reference_impl.domain.presenters.current import CurrentPresenter
from reference_impl.domain.presenters.legacy import LegacyPresenter, PlainStatusPresenter
from reference_impl.domain.vocabulary import Role
from reference_impl.ids import RandomIds
from reference_impl.joining import one_of_several, the_only_node
from reference_impl.live.announcer import Announcer
from reference_impl.live.codec import JsonCodec
from reference_impl.live.command_desk import CommandDesk
from reference_impl.live.command_handlers import COMMAND_HANDLERS
from reference_impl.live.control_desk import ControlDesk
from reference_impl.live.desk import AgentDesk
from reference_impl.live.dispatch import refuse
from reference_impl.live.endpoint import SocketEndpoint, turn_away
from reference_impl.live.handlers import HANDLERS, joined
from reference_impl.live.output_desk import OutputDesk
from reference_impl.live.output_handlers import OUTPUT_HANDLERS
from reference_impl.live.session import AgentLink
from reference_impl.live.witness import lost
from reference_impl.logs import make_log
from reference_impl.mail import Nowhere, Outbox
from reference_impl.parts import Core, Parts
from reference_impl.rest.agents import agents as agent_routes
from reference_impl.rest.audit import audit as audit_routes
from reference_impl.rest.auth import auth as auth_routes
from reference_impl.rest.commands import commands as command_routes
from reference_impl.rest.constraints import constraints as constraint_routes
from reference_impl.rest.control import control as control_routes
from reference_impl.rest.outputs import outputs as output_routes
from reference_impl.rest.presets import presets as preset_routes
from reference_impl.rest.reports import reports as report_routes
from reference_impl.rest.system import system as system_routes
from reference_impl.store.database import SqlDatabase, database_url, make_engine
from reference_impl.store.held import HeldEngine
from reference_impl.store.output_sql import SqlOutputs
from reference_impl.store.outputs import Room
from reference_impl.store.plain import PlainEngine, can_be_plain
from reference_impl.store.sql import SqlUsers
from reference_impl.store.sql_accounts import SqlAccounts
from reference_impl.store.sql_audit import SqlAudit
from reference_impl.store.sql_belongings import SqlConstraints, SqlPresets
from reference_impl.telemetry import Telemetry
from reference_impl.web.admission import Admission
from reference_impl.web.answers import failure_of
from reference_impl.web.documents import documents
from reference_impl.web.errors import refusal_of
from reference_impl.web.openapi import document
from reference_impl.web.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sqlalchemy.engine import URL
    from starlette.types import ASGIApp

    from reference_impl.auth.jwks import Keys
    from reference_impl.clock import Clock
    from reference_impl.domain.presenters import Presenter
    from reference_impl.live.turns import Turns
    from reference_impl.logs import Log
    from reference_impl.settings import Auth, Limits, Settings
    from reference_impl.store.database import Engine

BASE: Final = "/api/v1"
SOCKETS: Final = {"/ws/agent": Role.AGENT, "/ws/dashboard": Role.DASHBOARD, "/ws": None}
_PUBLIC: Final = (
    *("/health", "/health/ready", "/metrics", "/openapi.json", "/asyncapi.json"),
    *("/auth/magic-link", "/auth/verify", "/auth/refresh", "/auth/device/authorize", "/auth/device/token"),
)
"""Under the base path and beside it; and `/schemas/`, which the documents refer to."""


def make_engine_for(url: URL, *, is_alone: bool) -> Engine:
    """The engine that asks such a database with the least between."""
    if can_be_plain(url):
        return PlainEngine(url) if is_alone else make_engine(url)
    return HeldEngine(url) if url.get_backend_name() == "postgresql" else make_engine(url)


def make_parts(settings: Settings) -> Parts:
    """Choose the parts that keep the contract; nothing is opened yet."""
    clock, log = SystemClock(), make_log(settings.log_level)
    url = database_url(settings.database_url)
    engine = make_engine_for(url, is_alone=not settings.bus_url)
    ids, presenters = RandomIds(), make_presenters(settings)
    codec = JsonCodec(clock, ids)
    if settings.bus_url:
        joining = one_of_several(settings, engine, log, codec, presenters)
    else:
        joining = the_only_node(settings, engine, clock, log)
    commits = joining.commits
    users = SqlUsers(engine, commits, clock)
    return Parts(
        settings=settings,
        clock=clock,
        ids=ids,
        log=log,
        telemetry=Telemetry(),
        database=SqlDatabase(engine, commits),
        agents=joining.agents,
        users=users,
        commands=joining.commands,
        outputs=SqlOutputs(engine, commits, _room(settings.limits)),
        accounts=SqlAccounts(engine, commits),
        presets=SqlPresets(engine, commits),
        constraints=SqlConstraints(engine, commits),
        audit=SqlAudit(engine, commits, settings.audit, log),
        mailer=Outbox(settings.mail.outbox) if settings.mail.outbox else Nowhere(log),
        verifier=JwtVerifier(settings.jwt_secret, settings.auth, users, clock, _keys(settings.auth, clock, log)),
        turns=joining.turns,
        nodes=joining.nodes,
        hub=joining.hub,
        presence=joining.presence,
        codec=codec,
        machine=AgentMachine(),
        presenters=presenters,
        command_machine=CommandMachine(),
        command_presenter=CommandPresenter(),
        make_pacer=Pacer,
        wants=lambda subscriptions, event: subscriptions.wants(event.topic, event.subject),
        before_init=frozenset(ROLE_MESSAGE),
        handlers=joined(HANDLERS, COMMAND_HANDLERS, OUTPUT_HANDLERS),
        refuse=refuse,
        turn_away=turn_away,
        make_link=AgentLink,
        fail=failure_of,
        make_routers=(
            agent_routes,
            control_routes,
            command_routes,
            output_routes,
            report_routes,
            system_routes,
            auth_routes,
            preset_routes,
            constraint_routes,
            audit_routes,
        ),
        is_public=_is_public,
        make_desk=_desk,
        make_command_desk=CommandDesk,
        make_control_desk=ControlDesk,
        make_announcer=_announcer,
        make_output_desk=OutputDesk,
    )


def make_presenters(settings: Settings) -> Mapping[int, Presenter]:
    """Choose how things look: by version, and by the plan's switches (contract section 7)."""
    sockets = settings.websocket
    if settings.before_the_plan:
        before = LegacyPresenter(broadcast_disconnects=False, hide_capabilities=True)
        return {0: before, 1: before}
    current = CurrentPresenter if sockets.enrich_status_events else PlainStatusPresenter
    return {
        0: LegacyPresenter(broadcast_disconnects=sockets.broadcast_disconnects),
        1: current(
            send_initial_agent_list=sockets.send_initial_agent_list,
            broadcast_disconnects=sockets.broadcast_disconnects,
            uppercase_status_type=settings.agents.uppercase_status_type,
        ),
    }


def create_app(parts: Parts) -> ASGIApp:
    """Join the parts into one ASGI application."""
    core = Core(parts)
    app = Service(
        title="Onsembl.ai",
        version="1.0",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lambda _app: _life(core),
    )
    for make_router in parts.make_routers:
        app.take_in(make_router(core), BASE)
    app.take_in(documents(core))
    app.take_in(documents(core, shown=False), BASE)
    for path, role in SOCKETS.items():
        app.router.routes.append(WebSocketRoute(path, SocketEndpoint(core, role)))
    app.openapi = cache(partial(document, app))  # type: ignore[method-assign]  # FastAPI's own way to say it
    app.add_middleware(Admission, parts=parts, refusal_of=partial(refusal_of, app))
    app.add_middleware(
        CORSMiddleware,
        allow_origins=parts.settings.web.allowed_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["X-Request-Id", "X-API-Version"],
    )
    whole: ASGIApp = app
    for wrap in parts.wrap_app:
        whole = wrap(whole)
    return whole


@asynccontextmanager
async def _life(core: Core) -> AsyncIterator[None]:
    """Open the store before the first request, and leave nothing unwritten after the last."""
    parts = core.parts
    await parts.database.start()
    for user in parts.settings.users:
        await parts.users.ensure(user, address_of(user, parts.settings.auth.mail_domain))
    await parts.nodes.start(core)
    await parts.audit.forget(parts.clock.now_ms())
    yield
    core.commands.rest()
    await core.settle()
    await parts.nodes.stop()
    await parts.audit.flush()
    await parts.agents.flush()
    await parts.database.close()


def _is_public(path: str) -> bool:
    return path.removeprefix(BASE) in _PUBLIC or path.removeprefix(BASE).startswith("/schemas/")


def _room(limits: Limits) -> Room:
    return Room(limits.history_output, limits.history_traces, limits.history_reports)


def _keys(settings: Auth, clock: Clock, log: Log) -> Keys:
    if settings.jwks_file:
        return JwkSet(from_file(settings.jwks_file), clock, log)
    return JwkSet(from_url(settings.jwks_url), clock, log) if settings.jwks_url else NoKeys()


def _announcer(parts: Parts) -> Announcer:
    return Announcer(
        parts.turns,
        parts.agents,
        parts.hub,
        parts.presenters,
        parts.codec,
        parts.clock,
        parts.log,
        parts.telemetry,
        parts.make_pacer,
        enriched=parts.settings.websocket.enrich_status_events,
        lost=partial(lost, parts),
    )


def _desk(parts: Parts, announcer: Announcer, turns: Turns, commands: CommandDesk) -> AgentDesk:
    return AgentDesk(parts.agents, parts.presence, announcer, parts.machine, parts.clock, turns, commands)
