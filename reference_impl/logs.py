"""Structured logs: one JSON object a line on stderr; tokens never reach it."""

from __future__ import annotations

import logging
import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

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


class _Lines:
    """Writes lines at and above a level; structlog is imported for the first of them, for most servers write none."""

    def __init__(self, least: int) -> None:
        self._least = least

    @cached_property
    def _writer(self) -> Any:
        import structlog  # noqa: PLC0415 - with all that it finds to make tracebacks pretty, a tenth of the start

        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # locals hold tokens
        return structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.processors.ExceptionRenderer(tracebacks),
                redact,
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.BoundLogger,
            cache_logger_on_first_use=True,
        )

    def debug(self, event: str, **facts: Any) -> None:
        """Say something for developers."""
        if self._least <= logging.DEBUG:
            self._writer.debug(event, **facts)

    def info(self, event: str, **facts: Any) -> None:
        """Say that something happened."""
        if self._least <= logging.INFO:
            self._writer.info(event, **facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Say that something is odd."""
        if self._least <= logging.WARNING:
            self._writer.warning(event, **facts)

    def exception(self, event: str, **facts: Any) -> None:
        """Say that something failed, with the traceback."""
        if self._least <= logging.ERROR:
            self._writer.error(event, exc_info=True, **facts)


def make_log(level: str) -> Log:
    """Make the logger of one server; nothing global is configured."""
    return _Lines(logging.getLevelNamesMapping().get(level.upper(), logging.INFO))


def redact(_logger: object, _method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out: by the name of the fact, and whatever looks like a JWT."""
    for key, value in facts.items():
        if key.lower() in _SECRET_KEYS:
            facts[key] = "[redacted]"
        elif isinstance(value, str) and "eyJ" in value:
            facts[key] = _JWT.sub("[redacted]", value)
    return facts
