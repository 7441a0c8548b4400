"""How the suite and the reference are started: anew, or by processes that have loaded all they need (`warm.py`)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Sequence

_WITHIN_S: Final = 60
_NOBODY: Final = "http://127.0.0.1:9"
"""Nothing listens there: a run that has loaded everything, and judges nothing."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The first words of the two command lines."""

    suite: tuple[str, ...] = (sys.executable, "-m", "conformance")
    reference: tuple[str, ...] = (sys.executable, "-m", "reference_impl")


COLD: Final = Programs()


@asynccontextmanager
async def warm_programs() -> AsyncIterator[Programs]:
    """Both, ready to be called at a fraction of their start; where processes cannot fork, as new ones each time."""
    if not hasattr(os, "fork"):
        yield COLD
        return
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onsembl-warm-")))
        database, outbox = str(place / "rehearsal.sqlite3"), str(place / "mails")
        served = ["serve", "--port", "0", "--db", database, "--log-level", "error", "--exit-with-stdin"]
        looked = [["evidence", "--db", database], ["mail", "--to", "nobody@example.com", "--outbox", outbox]]
        told = ["run", _NOBODY, "--level", "full", "--token", "none", "--report", f"json={place / 'report.json'}"]
        async with asyncio.TaskGroup() as group:
            suite = group.create_task(_warm(stack, place, "conformance", [[*told, "--quiet"]]))
            reference = group.create_task(_warm(stack, place, "reference_impl", [served, *looked]))
        yield Programs(suite.result(), reference.result())


async def _warm(
    stack: AsyncExitStack, place: Path, module: str, rehearsals: Sequence[Sequence[str]]
) -> tuple[str, ...]:
    """The words that call it; it is as if it had been started anew, should it not get warm."""
    listening = str(place / module)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "reference_impl.warm", listening, module, json.dumps(rehearsals)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        start_new_session=True,
    )
    stack.push_async_callback(_end, process)
    assert process.stdout is not None  # noqa: S101 - asked for above
    async with asyncio.timeout(_WITHIN_S):
        called = await process.stdout.readline()
        ready = await process.stdout.readline()
    return tuple(json.loads(called)["call"]) if ready else (sys.executable, "-m", module)


async def _end(process: Process) -> None:
    """It ends with its input, and so does all that it still holds."""
    assert process.stdin is not None  # noqa: S101 - asked for above
    process.stdin.close()
    await process.wait()
