"""The target: a backend's profile. Where it is, how to get in, what it promises, what is not allowed there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.launch import Held, Launch

BASE_PATH = "/api/v1"
AGENT_WS = "/ws/agent"
DASHBOARD_WS = "/ws/dashboard"
SHARED_WS = "/ws"

DEVELOPMENT_SECRET = "onsembl-development-secret-not-for-production"  # noqa: S105 - published on purpose, loopback only
DEVELOPMENT_USERS = ("alice", "bob")


class TargetError(Exception):
    """The profile cannot be used; the message says what is wrong in it and what to write instead."""


@dataclass(frozen=True)
class Target:
    """One backend under judgement. `None` stands for "not named": the contract's own value then holds."""

    url: str
    name: str = ""
    base_path: str | None = None
    agent_ws: str | None = None
    dashboard_ws: str | None = None
    tokens: tuple[str, ...] = field(default=(), repr=False)
    jwt_secret: str = field(default="", repr=False)
    users: tuple[str, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    """Claims the backend wants in each token beside the contract's (`iss`, `aud`)."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    level: Literal["core", "full"] = "core"
    withheld: tuple[str, ...] = ()
    """Capabilities this backend does not promise."""
    clock_tolerance: float = 60.0
    init_timeout: float = 30.0
    heartbeat_interval: float = 30.0
    cancel_grace: float = 30.0
    queue_room: int = 1000
    """How many commands may wait for an agent: a target under test may have less room than the contract's."""
    """CMD-7: how long a cancelled command may still be executed by its agent."""
    destructive: bool = False
    """Whether the suite may do what harms everybody on a shared backend (emergency stop)."""
    nodes: tuple[str, ...] = ()
    """URLs of nodes that serve the same users from one store (CNS-5); the first may be `url` itself."""
    launch: Launch | None = field(default=None, repr=False)
    """How the suite starts and restarts it; only a profile says so."""
    held: Held | None = field(default=None, compare=False, repr=False)
    """The running backend, where the suite holds it: what can restart it."""
    evidence: tuple[str, ...] = field(default=(), repr=False)
    """A command that prints what is stored, as JSON; only a profile names one, or the bundled start."""
    email: str = ""
    """The address of an account that can sign in by mail."""
    mail_command: tuple[str, ...] = field(default=(), repr=False)
    """A command on this machine that prints the newest sign-in token for `{email}`; only a profile names one."""
    rest_per_second: float = 0.0
    """RATE-1: how many requests a second of one client the backend answers; 0 where nobody says."""
    profile: str = field(default="", compare=False)
    """The file that describes it, where there is one: what is played again needs all of it, not only the URL."""
    bundled: bool = False
    """Whether it is the reference implementation that this run itself started."""

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a trailing slash."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        host = (urlsplit(self.url).hostname or "").rstrip(".")
        with suppress(ValueError):
            return ip_address(host).is_loopback
        return host == "localhost"

    @property
    def can_restart(self) -> bool:
        """Whether the suite knows how to restart it."""
        return self.launch is not None or self.bundled

    @property
    def can_kill(self) -> bool:
        """Whether the suite holds its process, to end it at once."""
        return self.bundled or (self.launch is not None and bool(self.launch.command))

    @property
    def has_nodes(self) -> bool:
        """Whether there are two nodes to speak to; the bundled reference starts its own when somebody asks."""
        return self.bundled or len(self.nodes) > 1

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never reach a log or a report."""
        own = self.launch.secrets if self.launch else ()
        return tuple(s for s in (*self.tokens, self.jwt_secret, *self.headers.values(), *own) if s)

    @property
    def label(self) -> str:
        """How reports name it."""
        return self.name or self.url


def check_url(url: str) -> str:
    """A usable http(s) URL, else `TargetError`."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise TargetError(f"{url!r}: {error}") from error
    if parts.scheme in {"ws", "wss"}:
        raise TargetError(f"{url}: give the http(s) URL; the socket paths follow from it (see --agent-ws)")
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in parts.netloc:
        raise TargetError(f"{url!r} is no URL: write it like http://localhost:3001, or name a target.toml")
    try:
        _ = parts.port
    except ValueError as error:
        raise TargetError(f"{url!r}: {error}") from error
    return url
