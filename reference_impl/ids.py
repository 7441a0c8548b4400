"""Identifiers as a port: unique on every connection (WSE-2)."""

from __future__ import annotations

import itertools
import uuid
from typing import Protocol


class Ids(Protocol):
    """Makes ids."""

    def message(self) -> str:
        """An id for an envelope."""

    def unique(self) -> str:
        """An id for a connection, a dashboard, a request."""


class RandomIds:
    """A random prefix and a counter for messages, which are many; a UUID for the rest."""

    def __init__(self) -> None:
        self._prefix = uuid.uuid4().hex[:12]
        self._counter = itertools.count(1)

    def message(self) -> str:
        """Unique within this process and, by its prefix, across processes."""
        return f"{self._prefix}-{next(self._counter):x}"

    def unique(self) -> str:
        """A random UUID."""
        return str(uuid.uuid4())
