"""Starting the reference and running the suite against it, each as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from reference_impl.prove.judging import Report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from typing import Any

SECRET: Final = "ONSEMBL_JWT_SECRET"  # noqa: S105 - the name of the variable
_ROOT: Final = Path(__file__).resolve().parents[2]
_STARTS_WITHIN_S: Final = 30.0
_HURRIED_S: Final = 100
"""Too little for cases that ask for patience: the suite leaves those out."""
_PATIENT_S: Final = 300
_MARGIN_S: Final = 30
_HEARTBEAT_S: Final = 2.0
_INIT_S: Final = 3.0
_USERS: Final = ("alice", "bob")


class Hurried(Protocol):
    """A run that leaves out what takes patience."""

    async def __call__(self, serve: Sequence[str], *, level: str = "full", only: Sequence[str] = ()) -> Report:
        """Judge a fresh server."""


class Patient(Protocol):
    """A run that takes its time over some clauses."""

    async def __call__(self, serve: Sequence[str], *, only: Sequence[str]) -> Report:
        """Judge a fresh server."""


class TroubleError(Exception):
    """A run that gave no report; the message says why."""


async def hurried(serve: Sequence[str], *, level: str = "full", only: Sequence[str] = ()) -> Report:
    """Judge a fresh server by all that needs no patience.

    Raises:
        TroubleError: there is no report.
    """
    async with _Place() as place, place.serving(serve) as url:
        arguments = [url, "--users", ",".join(_USERS), "--level", level, "--max-time", str(_HURRIED_S)]
        return await place.judged(arguments, only, _HURRIED_S)


async def patient(serve: Sequence[str], *, only: Sequence[str]) -> Report:
    """Judge a fresh server, with short time-outs of its own, by some clauses, however long that takes.

    Raises:
        TroubleError: there is no report.
    """
    timings = ["--heartbeat-interval", str(_HEARTBEAT_S), "--init-timeout", str(_INIT_S)]
    async with _Place() as place, place.serving([*serve, *timings]) as url:
        place.profile.write_text(
            f'url = "{url}"\nusers = {json.dumps(_USERS)}\njwt_secret_env = "{SECRET}"\n'
            f"[timings]\nheartbeat_interval = {_HEARTBEAT_S}\ninit_timeout = {_INIT_S}\n",
            encoding="utf-8",
        )
        arguments = [str(place.profile), "--level", "full", "--max-time", str(_PATIENT_S)]
        return await place.judged(arguments, only, _PATIENT_S)


class _Place:
    """A directory for the database, the report and whatever the suite saves; gone when the run is over."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="onsembl-prove-", ignore_cleanup_errors=True)
        self._path = Path(self._directory.name)
        self._environment = _environment(secrets.token_hex(32))
        self.profile = self._path / "target.toml"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._directory.cleanup()

    @asynccontextmanager
    async def serving(self, arguments: Sequence[str]) -> AsyncIterator[str]:
        """The URL of a server that runs as long as the block does."""
        users = [part for user in _USERS for part in ("--user", user)]
        fixed = ["--port", "0", "--db", str(self._path / "db.sqlite3"), "--log-level", "error", "--exit-with-stdin"]
        log = self._path / "server.log"
        with log.open("wb") as errors:
            process = await self._start("reference_impl", ["serve", *fixed, *users, *arguments], errors)
        try:
            yield await _url(process, log)
        finally:
            await _end(process)

    async def judged(self, arguments: Sequence[str], only: Sequence[str], within_s: float) -> Report:
        """Run the suite and read its report."""
        path = self._path / "report.json"
        narrowed = ["--only", ",".join(only)] if only else []
        log = self._path / "suite.log"
        with log.open("wb") as errors:
            run = ["run", *arguments, *narrowed, "--report", f"json={path}", "--quiet"]
            process = await self._start("conformance", run, errors)
        try:
            async with asyncio.timeout(within_s + _MARGIN_S):
                assert process.stdout is not None  # noqa: S101 - asked for below
                await process.stdout.read()
                code = await process.wait()
        except TimeoutError:
            raise TroubleError(f"the suite did not end within {within_s + _MARGIN_S:g} s") from None
        finally:
            await _end(process)
        try:
            return Report(code, json.loads(path.read_text("utf-8")))
        except (OSError, ValueError):
            raise TroubleError(f"the suite exits {code} without a report: {_last_words(log)}") from None

    async def _start(self, module: str, arguments: Sequence[str], errors: Any) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=PIPE if module == "reference_impl" else DEVNULL,
            stdout=PIPE,
            stderr=errors,
            env=self._environment,
            cwd=self._path,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end what we started
        )


def _environment(secret: str) -> Mapping[str, str]:
    """Ours, without what would change the server or the suite."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONSEMBL_")}
    paths = [str(_ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), SECRET: secret}


async def _url(process: Process, log: Path) -> str:
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        async with asyncio.timeout(_STARTS_WITHIN_S):
            return str(json.loads(await process.stdout.readline())["url"])
    except (TimeoutError, ValueError, KeyError):
        raise TroubleError(f"the reference did not start: {_last_words(log)}") from None


def _last_words(log: Path) -> str:
    said = log.read_text("utf-8", "replace").strip().splitlines()
    return said[-1][:300] if said else "it said nothing"


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
