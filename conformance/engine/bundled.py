"""Starts the bundled reference implementation as a process of its own and gives its target.

It is known by its command line and by URL only.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conformance.launch import HeldError
from conformance.profile import STORES
from conformance.room import open_files, quick_place
from conformance.target import Target, TargetError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Sequence

START_SECONDS = 30.0
END_SECONDS = 5.0
GROUPS = 41
"""One for each case that runs at the same time, and one more."""
USERS = tuple(f"{name}-{n}" if n else name for n in range(GROUPS) for name in ("alice", "bob", "carol"))
SHORT_TERMS: dict[str, Any] = {"heartbeat_interval": 4.0, "init_timeout": 2.0, "cancel_grace": 2.0}
"""At level full the real time-outs are judged, short ones, so that nobody waits two minutes for them; seconds.

The interval is longer than a third of what any case takes: agents that do not beat in it are not to be given up.
"""
SHORT_TIMES = tuple(part for n, s in SHORT_TERMS.items() for part in ("--" + n.replace("_", "-"), f"{s:g}"))
NARROW_QUEUE = 60
"""Commands that may wait for an agent then, so that nobody sends a thousand."""
SHORT_LOGIN = ("--device-interval", "0.5", "--device-ttl", "13")
ACCOUNT = "alice@example.com"
LIMIT = 20
"""Requests a second that the limited server answers, where it is asked for (RATE-1)."""
PROGRAM = (sys.executable, "-m", "reference_impl")
DATABASES = ("reference", "rehearsal", "nodes", "own", "limited")
"""Whose data: one for each server that has some of its own."""


@asynccontextmanager
async def bundled_reference(
    arguments: Sequence[str] = (), *, level: Any = "core", store: str = STORES[0]
) -> AsyncIterator[Target]:
    """The reference on a free port, with a database and a secret of its own, ended with the context.

    Raises `TargetError` if it does not start.
    """
    open_files()  # a process that is started may open as many as this one
    with tempfile.TemporaryDirectory(prefix="onsembl-", dir=quick_place(), ignore_cleanup_errors=True) as place:
        full = level == "full"
        held = Reference(Path(place), (*(SHORT_TIMES if full else ()), *arguments), narrow=full)
        try:
            try:
                url = await (held.start_with_postgresql() if store == "postgresql" else held.start())
                if full and hasattr(os, "fork"):
                    await held.warm()
            except HeldError as error:
                raise TargetError(str(error)) from None
            yield Target(
                url=url,
                name="the bundled reference implementation" + (" on PostgreSQL" if store == "postgresql" else ""),
                jwt_secret=held.secret,
                users=USERS,
                level=level,
                evidence=(*held.program, "evidence", "--db", held.databases["reference"]),
                email=ACCOUNT,
                mail_command=(*held.program, "mail", "--to", "{email}", "--outbox", str(held.outbox)),
                rest_per_second=LIMIT,
                bundled=True,
                destructive=True,
                held=held,
                **(SHORT_TERMS | {"queue_room": NARROW_QUEUE} if full else {}),
            )
        finally:
            await held.end()


class Reference:
    """The reference as processes in a place of their own: one server, and others once somebody asks for them."""

    def __init__(self, place: Path, arguments: Sequence[str], *, narrow: bool = False, secret: str = "") -> None:
        self.secret = secret or secrets.token_hex(32)
        self.url = ""
        self.databases = {name: str(place / f"{name}.sqlite3") for name in DATABASES}
        """Whose data → where, as its option `--db` takes it."""
        self.outbox = place / "mails"
        self._place = place
        self._arguments = arguments
        self._limits = {"ONSEMBL_LIMITS__COMMANDS_WAITING": str(NARROW_QUEUE)} if narrow else {}
        self._log = place / "reference.log"
        self._server: Process | None = None
        self._nodes: Process | None = None
        self._limited: Process | None = None
        self._own: Reference | None = None
        self._warm: Process | None = None
        self._postgresql: Process | None = None
        self.program = PROGRAM
        """How it is called from now on."""
        self._asked = asyncio.Lock()
        self._urls: tuple[str, ...] = ()
        self._patience: tuple[str, ...] = ()

    async def start_with_postgresql(self) -> str:
        """Starts it over a PostgreSQL that lasts as long as it does itself, both at once. Raises `HeldError`."""
        within = ("--within", where) if (where := quick_place()) else ()
        self._postgresql, facts = await self._begin("postgres", "--databases", str(len(DATABASES)), *within)
        self.databases = dict(zip(DATABASES, facts["databases"], strict=True))
        self._patience = ("--wait-for-db", f"{START_SECONDS:g}")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._said(self._postgresql))
                url = both.create_task(self.start())
        except* HeldError as errors:
            raise HeldError(str(errors.exceptions[0])) from None
        return url.result()

    async def start(self) -> str:
        """Starts the server, on the port it had before if it had one; gives its URL. Raises `HeldError`."""
        users = (part for user in USERS for part in ("--user", user))
        common = (*self._over("reference"), "--log-level", "warning", *users, *self._arguments)
        login = ("--mail-outbox", str(self.outbox), *SHORT_LOGIN)
        port = urlsplit(self.url).port or 0
        self._server, facts = await self._begin("serve", "--port", str(port), *login, *common)
        self.url = str(facts["url"])
        return self.url

    async def warm(self) -> None:
        """Has what else is called of it kept ready by a process that has loaded it all. Raises `HeldError`."""
        lines: list[tuple[str, ...]] = [
            ("serve", "--port", "0", *self._over("rehearsal"), "--log-level", "error", "--exit-with-stdin"),
            ("evidence", "--db", self.databases["rehearsal"]),
            ("mail", "--to", ACCOUNT, "--outbox", f"{self.outbox}.none"),
        ]
        words = (f"{PROGRAM[-1]}.warm", str(self._place / "warm"), PROGRAM[-1], json.dumps(lines))
        self._warm, facts = await self._spoken(*PROGRAM[:-1], *words)
        self.program = tuple(facts["call"])

    @property
    def pid(self) -> int:
        """The server's process; 0 when there is none."""
        return self._server.pid if self._server is not None else 0

    async def restart(self, *, kill: bool = False) -> None:
        """Ends the server, with SIGKILL or SIGTERM, and starts it again on its port. Raises `HeldError`."""
        if self._server is not None and kill and self._server.returncode is None:
            self._server.kill()
        await _end(self._server)
        await self.start()

    async def ready(self) -> None:
        """It says itself when it listens: nothing is left to wait for."""

    async def nodes(self) -> tuple[str, ...]:
        """URLs of two nodes over one store of their own. Raises `HeldError`."""
        async with self._asked:
            if not self._urls:
                users = (part for user in USERS for part in ("--user", user))
                own = (*self._over("nodes"), "--log-level", "warning")
                self._nodes, facts = await self._begin("nodes", *own, *users, *self._arguments)
                self._urls = tuple(facts["nodes"])
        return self._urls

    async def own(self) -> tuple[str, Reference]:
        """Another server, with a store of its own, for whoever is to restart one. Raises `HeldError`."""
        if self._own is None:
            place = self._place / "own"
            place.mkdir(exist_ok=True)
            own = Reference(place, self._arguments, narrow=bool(self._limits), secret=self.secret)
            own.databases = {"reference": self.databases["own"]}
            own.program = self.program
            await own.start()
            self._own = own
        return self._own.url, self._own

    async def limited(self) -> str:
        """The URL of a server of its own that answers few requests a second. Raises `HeldError`."""
        users = (part for user in USERS for part in ("--user", user))
        own = ("--port", "0", *self._over("limited"), "--rest-rate", str(LIMIT))
        self._limited, facts = await self._begin("serve", *own, "--log-level", "warning", *users, *self._arguments)
        return str(facts["url"])

    async def end(self) -> None:
        """Ends all of it at once: nobody needs what it holds."""
        processes = (self._server, self._nodes, self._limited, self._warm)
        await asyncio.gather(*map(_kill, processes), *([self._own.end()] if self._own else []))
        if self._postgresql is not None and self._postgresql.stdin is not None:
            self._postgresql.stdin.close()  # it removes what it wrote
            await _end(self._postgresql)

    async def _begin(self, *command: str) -> tuple[Process, dict[str, Any]]:
        return await self._spoken(*self.program, *command, "--exit-with-stdin")

    async def _spoken(self, *words: str) -> tuple[Process, dict[str, Any]]:
        """A process that prints one JSON line once it listens, and that line."""
        with self._log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                env=environment(self.secret) | self._limits,
                start_new_session=True,
            )
        try:
            return process, await self._said(process)
        except BaseException:
            await _kill(process)
            raise

    async def _said(self, process: Process) -> dict[str, Any]:
        """The next line of one. Raises `HeldError` if it says none."""
        assert process.stdout is not None  # noqa: S101 - asked for where it is started
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await process.stdout.readline()
            return dict(json.loads(line))
        except (TimeoutError, ValueError):
            said = (self._log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"])[-1]
            raise HeldError(f"the bundled reference did not start; its last words: {said:.300}") from None

    def _over(self, whose: str) -> tuple[str, ...]:
        """The options of a server with these data."""
        return "--db", self.databases[whose], *self._patience


def environment(secret: str) -> dict[str, str]:
    """This environment with its own key and none of a server's settings: what is judged is the reference as it is."""
    return {k: v for k, v in os.environ.items() if not k.startswith("ONSEMBL_")} | {"ONSEMBL_JWT_SECRET": secret}


async def _end(process: Process | None) -> None:
    """In good order, as an operator ends it."""
    if process is None or process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        await _kill(process)


async def _kill(process: Process | None) -> None:
    """With all that it started: they are one process group."""
    if process is None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
