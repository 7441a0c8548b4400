"""Starts the bundled reference implementation as a process of its own and gives its target. It is known by URL only."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.target import Target, TargetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

START_SECONDS = 30.0
USERS = ("alice", "bob", "carol")
SHORT_TIMES = ("--heartbeat-interval", "2", "--init-timeout", "2")
SHORT_TERMS: dict[str, Any] = {"heartbeat_interval": 2.0, "init_timeout": 2.0}
"""At level full the real time-outs are judged, short ones, so that nobody waits two minutes for them."""


@asynccontextmanager
async def bundled_reference(arguments: Sequence[str] = (), *, level: Any = "core") -> AsyncIterator[Target]:
    """The reference on a free port, with a database and a secret of its own, ended with the context."""
    secret = secrets.token_hex(32)
    with tempfile.TemporaryDirectory(prefix="onsembl-", ignore_cleanup_errors=True) as place:
        database = f"sqlite+aiosqlite:///{Path(place) / 'reference.sqlite3'}"
        log = Path(place) / "reference.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "reference_impl", "serve", "--port", "0", "--exit-with-stdin"),
                *("--db", database, "--log-level", "warning"),
                *(part for user in USERS for part in ("--user", user)),
                *(SHORT_TIMES if level == "full" else ()),
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=environment(secret),
                start_new_session=True,
            )
        try:
            facts = await _listening(process, log)
            yield Target(
                url=facts["url"],
                name="the bundled reference implementation",
                jwt_secret=secret,
                users=USERS,
                level=level,
                evidence=(sys.executable, "-m", "reference_impl", "evidence", "--db", database),
                bundled=True,
                **(SHORT_TERMS if level == "full" else {}),
            )
        finally:
            await _end(process)


def environment(secret: str) -> dict[str, str]:
    """This environment with its own key and none of a server's settings: what is judged is the reference as it is."""
    return {k: v for k, v in os.environ.items() if not k.startswith("ONSEMBL_")} | {"ONSEMBL_JWT_SECRET": secret}


async def _listening(process: asyncio.subprocess.Process, log: Path) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - asked for above
    line = b""
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
        return dict(json.loads(line))
    except (TimeoutError, ValueError):
        said = _last_words(log)
        raise TargetError(f"the bundled reference did not start; its last words: {said:.300}") from None


def _last_words(log: Path) -> str:
    return (log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"])[-1]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(3):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
