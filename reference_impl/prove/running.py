"""Running the suite, a process of its own, against a reference that it starts as a profile says."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from reference_impl.prove.judging import Report
from reference_impl.prove.programs import COLD, Programs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECRET: Final = "ONSEMBL_JWT_SECRET"  # noqa: S105 - the name of the variable
_ROOT: Final = Path(__file__).resolve().parents[2]
_WITHIN_S: Final = 300
"""Given to one run; enough for cases that ask for patience."""
_MARGIN_S: Final = 60
_USERS: Final = ("alice", "bob", "carol")
_GROUPS: Final = 41
"""Groups of users for generated sequences: each that is played has one to itself."""
_TIMINGS: Final = {"heartbeat_interval": 4.0, "init_timeout": 2.0, "cancel_grace": 2.0}
"""At level full the real time-outs run, short ones: seconds, as the profile and the server's options name them."""

_LOGIN: Final = ("--device-interval", "0.5", "--device-ttl", "13")
_QUEUE_ROOM: Final = 60
"""Commands that may wait for an agent here, so that nobody sends a thousand."""


class Suite(Protocol):
    """Runs the suite once, against a server of its own."""

    async def __call__(self, serve: Sequence[str], *, level: str = "full", only: Sequence[str] = ()) -> Report:
        """Judge a fresh server that is served so, by some clauses or by all."""


class Hunting(Protocol):
    """Lets generated sequences look for what is wrong with a fresh server."""

    async def __call__(self, serve: Sequence[str], seed: int, seconds: float) -> Hunt:
        """Play what is drawn from a seed, for so long at most."""


@dataclass(frozen=True, slots=True)
class Hunt:
    """What generated sequences came upon."""

    report: Report
    script: Mapping[str, Any] | None
    """The smallest that breaks something, as plain data."""


class TroubleError(Exception):
    """A run that gave no report; the message says why."""


async def suite(
    serve: Sequence[str], *, level: str = "full", only: Sequence[str] = (), programs: Programs = COLD
) -> Report:
    """Judge a fresh server, which the suite starts, and restarts where a clause asks for that.

    Raises:
        TroubleError: there is no report.
    """
    with _Place(programs) as place:
        return await place.judged(serve, level, only)


async def hunt(serve: Sequence[str], seed: int, seconds: float, *, programs: Programs = COLD) -> Hunt:
    """Let generated sequences alone look for what is wrong with a fresh server.

    Raises:
        TroubleError: there is no report.
    """
    with _Place(programs) as place:
        return await place.hunted(serve, seed, seconds)


class _Place:
    """A directory for the database, the report and whatever the suite saves; gone when the run is over."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._directory = tempfile.TemporaryDirectory(prefix="onsembl-prove-", ignore_cleanup_errors=True)
        self._path = Path(self._directory.name)
        self._environment = _environment(secrets.token_hex(32))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._directory.cleanup()

    async def judged(self, serve: Sequence[str], level: str, only: Sequence[str]) -> Report:
        """Run the suite and read its report."""
        narrowed = ["--only", ",".join(only)] if only else []
        return await self._run(self._profile(serve, level), ["--max-time", str(_WITHIN_S), *narrowed])

    async def hunted(self, serve: Sequence[str], seed: int, seconds: float) -> Hunt:
        """Let the suite draw sequences and play them, nothing else, until something breaks or the time is over."""
        sequences = ["--effort", "deep", "--only", "sequence/*,stopping/*", "--fail-fast"]
        limits = ["--seed", str(seed), "--max-time", str(seconds)]
        users = [f"{name}-{number}" if number else name for number in range(_GROUPS) for name in _USERS]
        report = await self._run(self._profile(serve, "full", users), [*sequences, *limits])
        found = [
            one
            for clause in report.document["clauses"].values()
            for finding in clause["findings"]
            for word in finding["replay"].split()
            if clause["counts"] and word.endswith(".json") and (one := _script(self._path / word)) is not None
        ]
        return Hunt(report, min(found, key=lambda script: len(json.dumps(script)), default=None))

    async def _run(self, profile: str, options: Sequence[str]) -> Report:
        target, report, log = (self._path / name for name in ("target.toml", "report.json", "suite.log"))
        target.write_text(profile, encoding="utf-8")
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(*self._programs.suite, "run", str(target), *options, "--report", f"json={report}", "--quiet"),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=errors,
                env=self._environment,
                cwd=self._path,
                start_new_session=True,  # Ctrl-C reaches us alone, and we end what we started
            )
        try:
            async with asyncio.timeout(_WITHIN_S + _MARGIN_S):
                assert process.stdout is not None  # noqa: S101 - asked for above
                await process.stdout.read()
                code = await process.wait()
        except TimeoutError:
            raise TroubleError(f"the suite did not end within {_WITHIN_S + _MARGIN_S:g} s") from None
        finally:
            await _end(process)
        try:
            return Report(code, json.loads(report.read_text("utf-8")))
        except (OSError, ValueError):
            raise TroubleError(f"the suite exits {code} without a report: {_last_words(log)}") from None

    def _profile(self, serve: Sequence[str], level: str, names: Sequence[str] = _USERS) -> str:
        """The target as the suite is told of it: how to start it, how to sign in, and what it promises."""
        database, outbox = str(self._path / "db.sqlite3"), str(self._path / "mails")
        program = self._programs.reference
        users = [part for user in names for part in ("--user", user)]
        timings = _TIMINGS if level == "full" else {}
        options = [part for name, value in timings.items() for part in ("--" + name.replace("_", "-"), str(value))]
        server = ["--port", "{port}", "--db", database, "--log-level", "error", "--mail-outbox", outbox, *_LOGIN]
        settings: dict[str, object] = {
            "url": "http://127.0.0.1:{port}",
            "level": level,
            "users": list(names),
            "jwt_secret_env": SECRET,
            "command": [*program, "serve", *server, *users, *options, *serve],
            "ready": "/health",
            "evidence": [*program, "evidence", "--db", database],
        }
        mail = [*program, "mail", "--to", "{email}", "--outbox", outbox]
        tables: dict[str, Mapping[str, object]] = {
            "allow": {"destructive": True},
            "timings": timings,
            "limits": {"queue_room": _QUEUE_ROOM},
            "env": {"ONSEMBL_LIMITS__COMMANDS_WAITING": str(_QUEUE_ROOM)},
            "login": {"email": f"{_USERS[0]}@example.com", "mail_command": mail},
        }
        lines = [_setting(item) for item in settings.items()]
        for name, table in tables.items():
            lines += [f"[{name}]", *(_setting(item) for item in table.items())]
        return "\n".join(lines) + "\n"


def _script(path: Path) -> Mapping[str, Any] | None:
    """The script of a saved failure."""
    try:
        saved: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return saved.get("script")


def _setting(item: tuple[str, object]) -> str:
    """A line of TOML; of JSON it shares texts, numbers, flags and lists."""
    return f"{item[0]} = {json.dumps(item[1])}"


def _environment(secret: str) -> Mapping[str, str]:
    """Ours, without what would change the server or the suite."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONSEMBL_")}
    paths = [str(_ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), SECRET: secret}


def _last_words(log: Path) -> str:
    said = log.read_text("utf-8", "replace").strip().splitlines()
    return said[-1][:300] if said else "it said nothing"


async def _end(process: Process) -> None:
    """Let it end what it started; then make it."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(15):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
