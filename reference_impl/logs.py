"""Structured logs: one JSON object a line on stderr; tokens never reach it."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SECRET_KEYS: Final = frozenset({"token", "accesstoken", "access_token", "refreshtoken", "authorization", "jwt_secret"})
_JWT: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.?[\w-]*")


class Log(Protocol):
    """What the code needs of a logger."""

    def debug(self, event: str, **facts: Any) -> Any:
        """Say something for developers."""

    def info(self, event: str, **facts: Any) -> Any:
        """Say that something happened."""

    def warning(self, event: str, **facts: Any) -> Any:
        """Say that something is odd."""

    def exception(self, event: str, **facts: Any) -> Any:
        """Say that something failed, with the traceback."""


def make_log(level: str) -> Log:
    """Make the logger of one server; nothing global is configured."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.dict_tracebacks,
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    return cast("Log", logger)


def redact(_logger: object, _method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out: by the name of the fact, and whatever looks like a JWT."""
    for key, value in facts.items():
        if key.lower() in _SECRET_KEYS:
            facts[key] = "[redacted]"
        elif isinstance(value, str) and "eyJ" in value:
            facts[key] = _JWT.sub("[redacted]", value)
    return facts
