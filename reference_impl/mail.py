"""Mail as a port: a sign-in link on its way to a person (TOK-4)."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from reference_impl.logs import Log

_ROOM: Final = 1_000
"""Mails an outbox holds; when there are twice as many, the older half goes."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One sign-in mail."""

    to: str
    token: str
    link: str


class Mailer(Protocol):
    """Sends mails."""

    async def send(self, mail: Mail) -> None:
        """Send one; it is on its way when this returns."""


class Outbox:
    """A file with a JSON object a line, for development and tests; only its owner may read it."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._turn = asyncio.Lock()
        self._lines: int | None = None

    async def send(self, mail: Mail) -> None:
        """Write the mail at the end of the file."""
        async with self._turn:
            await asyncio.to_thread(self._append, json.dumps(asdict(mail)))

    def _append(self, line: str) -> None:
        if self._lines is None:
            self._lines = len(_lines(self._path))
        if self._lines >= 2 * _ROOM:
            kept = [*_lines(self._path)[1 - _ROOM :], line]
            beside = self._path.with_name(f"{self._path.name}.new")
            _write(beside, kept, os.O_TRUNC)
            beside.replace(self._path)
            self._lines = len(kept)
        else:
            _write(self._path, [line], os.O_APPEND)
            self._lines += 1


class Nowhere:
    """Says in the log that a mail was made; where no outbox is set, nobody can read it."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def send(self, mail: Mail) -> None:
        """Log the address, and neither token nor link."""
        self._log.info("mail_made", to=mail.to)


def newest(path: str, to: str) -> str | None:
    """The token of the last mail to an address in an outbox; None when there is none."""
    found = None
    for line in _lines(Path(path)):
        mail = json.loads(line)
        if mail["to"].lower() == to.lower():
            found = mail["token"]
    return found


def _lines(path: Path) -> list[str]:
    with suppress(FileNotFoundError):
        return path.read_text("utf-8").splitlines()
    return []


def _write(path: Path, lines: list[str], mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600), "w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
