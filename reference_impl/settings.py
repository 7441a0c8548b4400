"""Settings, from arguments or from `ONSEMBL_…` variables (`ONSEMBL_AGENTS__ENABLE_CACHING=false`).

The groups `websocket`, `agents` and `frontend` are the plan's configuration (contract section 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

DEVELOPMENT_SECRET: Final = "onsembl-development-secret-not-for-production"  # noqa: S105 - published on purpose


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebSocketSwitches(_Group):
    """The plan's switches for sockets."""

    send_initial_agent_list: bool = True
    enrich_status_events: bool = True
    broadcast_disconnects: bool = True


class AgentSwitches(_Group):
    """The plan's switches for agents."""

    uppercase_status_type: bool = True
    enable_caching: bool = True
    cache_ttl_seconds: float = Field(default=60, gt=0)


class FrontendSwitches(_Group):
    """The plan's feature flag: whether a frontend may leave its mock data. Told in GET /health."""

    live_data: bool = True


class Timings(_Group):
    """Every time-out and interval; what a contract clause fixes is the default."""

    heartbeat_interval_s: float = Field(default=30, gt=0)
    """Advertised in the ACK of AGENT_CONNECT (DIS-3)."""
    heartbeats_missed: float = Field(default=3.4, gt=3, lt=4)
    """Silent for this many intervals, an agent is lost: after three, before four (DIS-3)."""
    init_timeout_s: float = Field(default=30, gt=0)
    """A socket that never says its role is closed (WSA-3)."""
    rate_window_s: float = Field(default=2, gt=0)
    flush_interval_s: float = Field(default=0.2, gt=0)
    """How long a heartbeat may wait for the database; reads see it at once."""
    bus_lease_s: float = Field(default=5, gt=0)
    """A node of several, or its turn with a user, that gives no sign of life for so long is taken for dead."""
    slow_consumer_grace_s: float = Field(default=1, gt=0)
    cancel_grace_s: float = Field(default=30, gt=0)
    """How long an executing command that was cancelled may take to end (CMD-7)."""
    queue_pace_s: float = Field(default=0.1, gt=0, lt=1)
    """QUEUE_UPDATE of one agent comes at most this often; changes in between are told together (CMD-4)."""


class Limits(_Group):
    """Sizes and rates (VAL-5, WSX-5, WSX-6, TRM-5)."""

    body_bytes: int = 1024 * 1024
    agent_message_bytes: int = 1024 * 1024
    dashboard_message_bytes: int = 512 * 1024
    agent_messages_per_s: int = 100
    dashboard_messages_per_s: int = 50
    commands_delivered: int = 5
    """Commands that an agent has and has not finished (CMD-4)."""
    commands_waiting: int = 1_000
    """Commands that wait for an agent (CMD-5)."""
    rest_requests_per_s: float = Field(default=2_000, gt=0)
    """Of each user, and of each address that has no valid token (RATE-1)."""
    rest_burst_s: float = Field(default=2, gt=0)
    """The requests of so many seconds may come at once."""
    queue_messages: int = 5_000
    queue_bytes: int = 16 * 1024 * 1024
    """Memory that frames for one client may take while they wait."""
    batch_messages: int = Field(default=100, ge=2)
    batch_bytes: int = 256 * 1024
    history_output: int = Field(default=1_000_000, ge=1)
    """So many pieces of terminal output are kept for each user; then the oldest go."""
    history_traces: int = Field(default=100_000, ge=1)
    history_reports: int = Field(default=10_000, ge=1)


class Auth(_Group):
    """How tokens are judged and given; issuer and audience only where they are set."""

    issuer: str | None = None
    audience: str | None = None
    jwks_file: str | None = None
    jwks_url: str | None = None
    """Where the public keys of RS256 and ES256 tokens are; the shared secret signs beside them."""
    access_ttl_s: float = Field(default=3600, ge=1)
    refresh_ttl_s: float = Field(default=30 * 86_400, ge=1)
    link_ttl_s: float = Field(default=900, gt=0)
    link_url: str = "http://localhost:3000/auth/verify"
    """The frontend's page that a sign-in mail leads to; `?token=` is added."""
    mail_domain: str = "example.com"
    """The users of `users` have addresses there: alice@example.com."""
    device_ttl_s: float = Field(default=1800, gt=0)
    device_interval_s: float = Field(default=5, ge=0.001)
    """Between two polls of a device (RFC 8628, 3.2)."""
    device_url: str = "http://localhost:3000/device"
    """The frontend's page where a person types a user code."""


class MailBox(_Group):
    """Where mails go: to a file that holds one JSON object a line, or only into the log."""

    outbox: str | None = None


class Audit(_Group):
    """How long audit entries are kept (AUD-1)."""

    keep_days: int = Field(default=730, ge=1)
    keep_refusals: int = Field(default=100_000, ge=1)
    """So many refused authentications, which any stranger can cause."""


class Web(_Group):
    """What browsers may do (WSA-6); a page of the server's own origin always may."""

    allowed_origins: tuple[str, ...] = ("http://localhost:3000", "http://127.0.0.1:3000")


class Settings(BaseSettings):
    """All settings of one server."""

    model_config = SettingsConfigDict(
        env_prefix="ONSEMBL_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    jwt_secret: str = Field(default=DEVELOPMENT_SECRET, min_length=1, repr=False)
    database_url: str = "onsembl.sqlite3"
    bus_url: str = Field(default="", repr=False)
    """Redis, which joins several nodes on one database; empty: this node is the only one."""
    bus_node: str = ""
    """This node's name among them, the same after a restart; empty: a name of its own each time."""
    users: tuple[str, ...] = ("alice", "bob")
    log_level: str = "info"
    websocket: WebSocketSwitches = WebSocketSwitches()
    agents: AgentSwitches = AgentSwitches()
    frontend: FrontendSwitches = FrontendSwitches()
    timings: Timings = Timings()
    limits: Limits = Limits()
    auth: Auth = Auth()
    mail: MailBox = MailBox()
    audit: Audit = Audit()
    web: Web = Web()

    @property
    def uses_development_secret(self) -> bool:
        """Whether anybody can sign tokens."""
        return self.jwt_secret == DEVELOPMENT_SECRET

    def changed(self, group: str, given: Mapping[str, object]) -> Settings:
        """The same with some settings of a group changed; what is empty or 0 leaves the setting."""
        update = {name: value for name, value in given.items() if value}
        return self.model_copy(update={group: getattr(self, group).model_copy(update=update)})

    def with_timings(self, given: Mapping[str, float]) -> Settings:
        """The same with some timings changed."""
        return self.model_copy(update={"timings": self.timings.model_copy(update=dict(given))})

    @property
    def before_the_plan(self) -> bool:
        """Whether all of the plan's switches are off: then the server is the backend the plan complains about."""
        on = (
            *self.websocket.model_dump().values(),
            self.agents.uppercase_status_type,
            self.agents.enable_caching,
            self.frontend.live_data,
        )
        return not any(on)

    def legacy(self) -> Settings:
        """The same with all of the plan's switches off (`--legacy`)."""
        off = dict.fromkeys(WebSocketSwitches.model_fields, False)
        agents = self.agents.model_copy(update={"uppercase_status_type": False, "enable_caching": False})
        return self.model_copy(
            update={
                "websocket": WebSocketSwitches(**off),
                "agents": agents,
                "frontend": FrontendSwitches(live_data=False),
            }
        )
