"""A PostgreSQL for as long as something is tried out: a server in a temporary directory; nothing of it is kept."""

from __future__ import annotations

import asyncio
import itertools
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
        self._numbers = itertools.count(1)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster, start it, and make the template that every database is a copy of.

        Raises:
            StartError: it does not start.
        """
        data = self._place / "data"
        try:
            self._begin(data)
        except (OSError, LookupError) as error:  # no room, no such user
            raise StartError(f"PostgreSQL did not start: {error}") from error
        self._loop.run(self._prepare())

    def _begin(self, data: Path) -> None:
        self._place.chmod(0o755)
        data.mkdir()
        if os.geteuid() == 0:  # PostgreSQL refuses root
            shutil.chown(self._place, _USER)
            shutil.chown(data, _USER)
        made = [self._initdb, "-D", str(data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": "/", **_as_user()}
        with subprocess.Popen(made, **quiet) as initdb:  # noqa: S603 - our own words
            import reference_impl.store.migrate  # noqa: F401, PLC0415 - slow, and there is nothing else to do meanwhile

            _, said = initdb.communicate()
        if initdb.returncode:
            raise StartError(f"PostgreSQL did not start: {said.decode('utf-8', 'replace').strip()[-300:]}")
        options = [part for name, value in _QUICK.items() for part in ("-c", f"{name}={value}")]
        command = ["sh", "-c", _WITH_STDIN, "sh", self._postgres, "-D", str(data), "-k", str(self._place), *options]
        with (self._place / "log").open("wb") as log:
            told = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log, "cwd": "/", **_as_user()}
            self._server = subprocess.Popen(command, **told)  # noqa: S603 - our own words

    def make(self, *, empty: bool = False) -> str:
        """Make a database of the newest schema, or one without any table; returns its URL."""
        source = "template0" if empty else "newest"
        name = f"database_{next(self._numbers)}"
        self._loop.run(self._do(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY file_copy"))
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

    async def _prepare(self) -> None:
        import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415 - it brings no types

        from reference_impl.store.database import database_url, make_engine  # noqa: PLC0415 - slow
        from reference_impl.store.migrate import upgrade  # noqa: PLC0415

        while True:
            try:
                await self._do("CREATE DATABASE newest TEMPLATE template0")
                break
            except (OSError, asyncpg.CannotConnectNowError):
                if self._server is None or self._server.poll() is not None:
                    log = (self._place / "log").read_text("utf-8", "replace")
                    raise StartError(f"PostgreSQL did not start: {log.strip()[-300:]}") from None
                await asyncio.sleep(0.02)
        engine = make_engine(database_url(self._url("newest")))
        await upgrade(engine)
        await engine.dispose()

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
