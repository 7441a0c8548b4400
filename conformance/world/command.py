"""Runs a command of the target's profile, without a shell. Time and output are bounded: what it prints is data."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 20.0
MOST = 16 * 1024 * 1024
LAST_WORDS = 4096


class CommandError(Exception):
    """The command gave nothing to go by; the message says why, in part of a sentence."""


async def printed(command: Sequence[str], *, seconds: float = SECONDS, env: Mapping[str, str] | None = None) -> bytes:
    """What the command prints; whatever it has started ends with it, when its time is over. Raises `CommandError`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env={**os.environ, **(env or {})}, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise CommandError(f"could not be started: {error}") from None
    assert process.stdout is not None  # noqa: S101 - asked for above
    assert process.stderr is not None  # noqa: S101
    done = False
    try:
        async with asyncio.timeout(seconds):
            output, said = await asyncio.gather(_most(process.stdout), _last(process.stderr))
            code = await process.wait()
        done = True
    except TimeoutError:
        raise CommandError(f"did not end within {seconds:g} s") from None
    finally:
        if not done:
            with suppress(ProcessLookupError, PermissionError, TimeoutError):
                os.killpg(process.pid, signal.SIGKILL)  # the group outlives its first process where a child holds on
                async with asyncio.timeout(1):
                    while await process.stdout.read(65536):
                        pass  # to its end, or the pipe would stay open
                    await process.wait()
    if code:
        raise CommandError(f"ended with {code}, its last words: {said or 'none'}")
    return output


async def _most(stream: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await stream.read(65536):
        size += len(chunk)
        if size > MOST:
            raise CommandError(f"printed more than {MOST // 2**20} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


async def _last(stream: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stream.read(65536):
        kept = (kept + chunk)[-LAST_WORDS:]
    return (kept.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
