"""A PostgreSQL for as long as something is tried out: a server in a temporary directory; nothing of it is kept."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_PLACES: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
_USER: Final = "postgres"
_WITH_STDIN: Final = '"$@" <&- & server=$!; cat >/dev/null; kill -QUIT $server; wait $server'
"""Run it until stdin closes, also when its owner is killed; then end it at once, for nothing of it is kept."""
_QUICK: Final = {
    "fsync": "off",  # what a power cut would lose nobody here will miss
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "listen_addresses": "",
    "log_min_messages": "warning",
}


class MissingError(Exception):
    """PostgreSQL is not installed; the message says what is missing."""


class StartError(Exception):
    """PostgreSQL did not start; the message says why."""


class Cluster:
    """A running server that listens on a socket in its own directory, and nowhere else."""

    def __init__(self, within: str | None = None) -> None:
        """Prepare one whose directory is made within another, the machine's own for temporary ones if none is named.

        Raises:
            MissingError: PostgreSQL is not installed.
        """
        self._initdb, self._postgres = _program("initdb"), _program("postgres")
        self._place = Path(tempfile.mkdtemp(prefix="onsembl-pg-", dir=within or None))
        self._loop = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._made = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._has_newest = False

    def urls(self, count: int) -> list[str]:
        """Where the next databases will be that are made; known before it is started."""
        return [self._url(f"database_{number}") for number in range(self._made + 1, self._made + count + 1)]

    def start(self) -> None:
        """Make the cluster and start it.

        Raises:
            StartError: it does not start.
        """
        data = self._place / "data"
        try:
            self._begin(data)
        except (OSError, LookupError) as error:  # no room, no such user
            raise StartError(f"PostgreSQL did not start: {error}") from error
        self._loop.run(self._listens())

    def _begin(self, data: Path) -> None:
        self._place.chmod(0o755)
        data.mkdir()
        if os.geteuid() == 0:  # PostgreSQL refuses root
            shutil.chown(self._place, _USER)
            shutil.chown(data, _USER)
        made = [self._initdb, "-D", str(data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": "/", **_as_user()}
        initdb = subprocess.run(made, check=False, **quiet)  # noqa: S603 - our own words
        if initdb.returncode:
            raise StartError(f"PostgreSQL did not start: {initdb.stderr.decode('utf-8', 'replace').strip()[-300:]}")
        options = [part for name, value in _QUICK.items() for part in ("-c", f"{name}={value}")]
        command = ["sh", "-c", _WITH_STDIN, "sh", self._postgres, "-D", str(data), "-k", str(self._place), *options]
        with (self._place / "log").open("wb") as log:
            told = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log, "cwd": "/", **_as_user()}
            self._server = subprocess.Popen(command, **told)  # noqa: S603 - our own words

    def make(self, *, empty: bool = False) -> str:
        """Make a database of the newest schema, or one without any table; returns its URL."""
        if not empty and not self._has_newest:
            self._loop.run(self._make_newest())
            self._has_newest = True
        self._made += 1
        name = f"database_{self._made}"
        self._loop.run(self._copy(name, "template0" if empty else "newest"))
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever may still be connected to it."""
        name = urlsplit(url).path.strip("/")
        self._loop.run(self._do(f"DROP DATABASE {name} WITH (FORCE)"))

    def stop(self) -> None:
        """End the server and leave nothing behind."""
        if self._server is not None:
            self._server.communicate()  # closes stdin
        self._loop.close()
        shutil.rmtree(self._place)

    def _url(self, name: str) -> str:
        return f"postgresql://{_USER}@/{name}?host={self._place}"

    async def _listens(self) -> None:
        import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - it brings no types

        while True:
            try:
                await self._do("SELECT 1")
            except (OSError, asyncpg.CannotConnectNowError):
                if self._server is None or self._server.poll() is not None:
                    log = (self._place / "log").read_text("utf-8", "replace")
                    raise StartError(f"PostgreSQL did not start: {log.strip()[-300:]}") from None
                await asyncio.sleep(0.02)
            else:
                return

    async def _make_newest(self) -> None:
        """Make the template of a database that needs no migration."""
        from reference_impl.store.database import database_url, make_engine  # noqa: PLC0415 - slow
        from reference_impl.store.migrate import upgrade  # noqa: PLC0415

        await self._copy("newest", "template0")
        engine = make_engine(database_url(self._url("newest")))
        await upgrade(engine)
        await engine.dispose()

    async def _copy(self, name: str, source: str) -> None:
        await self._do(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY file_copy")

    async def _do(self, statement: str) -> None:
        import asyncpg  # noqa: PLC0415

        connection = await asyncpg.connect(host=str(self._place), user=_USER, database="postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*map(str, reversed(_PLACES)), os.environ.get("PATH", "")]))
    if found is None:
        raise MissingError(f"there is no {name}; on Debian: apt-get install postgresql")
    return found


def _as_user() -> dict[str, Any]:
    """Whom to run the server as: anybody but root."""
    return {"user": _USER, "group": _USER, "extra_groups": ()} if os.geteuid() == 0 else {}
