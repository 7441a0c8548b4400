"""How the suite itself starts a backend and starts it anew, as a profile says it; and what a started one can do.

Commands come from a profile alone, never from a backend or the command line, and are run without a shell.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = "{port}"
"""Stands in a profile for a free port, the same wherever it is written."""
KEYS = ("url", "command", "restart", "ready", "env", "nodes", "evidence")
"""Settings in which it may stand."""
SECRET_NAMES = re.compile(r"SECRET|TOKEN|PASSW|KEY|CREDENTIAL|DATABASE_URL|DSN", re.IGNORECASE)
"""Variables whose values never reach a report."""


class HeldError(Exception):
    """A backend did not start, or not again; the message says why, in a sentence, without secrets."""


class Held(Protocol):
    """A backend that the suite can restart; some can be asked for nodes."""

    async def restart(self, *, kill: bool = False) -> None:
        """Ends it and starts it again, on the same address; comes back once it is ready. Raises `HeldError`."""

    async def ready(self) -> None:
        """Waits until it is ready. Raises `HeldError`."""

    async def nodes(self) -> tuple[str, ...]:
        """URLs of two nodes that serve the same users, started where that is needed. Raises `HeldError`."""

    async def own(self) -> tuple[str, Held]:
        """A backend to restart, and its URL; that is empty where it is the one held. Raises `HeldError`."""

    async def limited(self) -> str:
        """The URL of a server with the REST limit that is named; empty where it is the one held. Raises `HeldError`."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What starts a backend, and what restarts it."""

    command: tuple[str, ...] = ()
    """The backend in the foreground; empty when somebody else has started it."""
    restart: tuple[str, ...] = ()
    """What restarts it; empty: the suite ends `command` and starts it again."""
    ready: str = ""
    """What answers 2xx once it is ready: a path or a URL; empty: any answer at all will do."""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Values among `env` that must never reach a report."""


def free_port() -> int:
    """A port on this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_port(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with a free port wherever they leave one open."""
    used = {key: settings[key] for key in KEYS if PORT in str(settings.get(key))}
    if not used:
        return dict(settings)
    port = str(free_port())
    return {**settings, **{key: _filled(value, port) for key, value in used.items()}}


def _filled(value: Any, port: str) -> Any:
    match value:
        case str():
            return value.replace(PORT, port)
        case list() | tuple():
            return [_filled(part, port) for part in value]
        case dict():
            return {name: _filled(part, port) for name, part in value.items()}
    return value


def make_launch(settings: Mapping[str, Any], hidden: frozenset[str] = frozenset()) -> Launch | None:
    """How it is started, if the settings say so. `hidden` names variables whose values came from the environment."""
    if not (settings.get("command") or settings.get("restart")):
        return None
    env: dict[str, str] = settings.get("env", {})
    return Launch(
        command=tuple(settings.get("command", ())),
        restart=tuple(settings.get("restart", ())),
        ready=settings.get("ready", ""),
        env=env,
        secrets=tuple(v for k, v in env.items() if v and (k in hidden or SECRET_NAMES.search(k))),
    )
