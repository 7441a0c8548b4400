"""A backend that the suite starts itself, as its profile says, and restarts; all it started ends with it."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from conformance.launch import HeldError
from conformance.redact import Redactor
from conformance.target import Target, TargetError
from conformance.world.command import CommandError, printed
from conformance.world.ready import answers

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from conformance.launch import Launch

GUARD = Path(__file__).with_name("guard.py")
START_SECONDS = 60.0
RESTART_SECONDS = 60.0
END_SECONDS = 10.0
"""Given to a backend that is asked to end; then it is made to."""
LOOK = 0.05
LONGEST = 300
"""Characters of a backend's last words that are told."""


@asynccontextmanager
async def started(target: Target) -> AsyncIterator[Target]:
    """The target, started where its profile says how, ended with the context. Raises `TargetError`."""
    if target.launch is None:
        yield target
        return
    backend = Backend(target, target.launch)
    try:
        await backend.start()
        yield replace(target, held=backend)
    except HeldError as error:
        raise TargetError(str(error)) from None
    finally:
        await backend.end()


class Backend:
    """The process of a target's command, in the care of a guard (`guard.py`)."""

    def __init__(self, target: Target, launch: Launch) -> None:
        self._target = target
        self._launch = launch
        self._redactor = Redactor(target.secrets)
        self._guard: Process | None = None

    async def start(self) -> None:
        """Starts it, if that is ours to do, and waits until it is ready. Raises `HeldError`."""
        if not self._launch.command:
            return
        if await answers(self._target.origin, well=False):
            raise HeldError(
                f"{self._target.origin} answers already, before {self._named('command')} was started: end what listens "
                "there, leave command out, or write {port} for a free port in url and command"
            )
        self._guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(GUARD), *self._launch.command),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={**os.environ, **self._launch.env},
            start_new_session=True,
        )
        await self.ready()

    async def end(self) -> None:
        """Ends it and whatever it started, by force if need be."""
        if (guard := self._guard) is None:
            return
        self._guard = None
        assert guard.stdin is not None  # noqa: S101 - asked for above
        guard.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await guard.wait()
                return
        with suppress(ProcessLookupError):
            guard.kill()
        await guard.wait()

    async def restart(self, *, kill: bool = False) -> None:
        """By the profile's command, else by ending the process and starting it again. Raises `HeldError`."""
        if self._launch.restart and not kill:
            try:
                await printed(self._launch.restart, seconds=RESTART_SECONDS, env=self._launch.env)
            except CommandError as error:
                raise HeldError(self._redactor.text(f"{self._named('restart')} {error}")) from None
            await self.ready()
            return
        await self._stop("KILL" if kill else "TERM")
        await self._vacated()
        await self.start()

    async def nodes(self) -> tuple[str, ...]:
        """The profile's nodes."""
        return self._target.nodes

    async def own(self) -> tuple[str, Backend]:
        """It is the one to restart: there is no other."""
        return "", self

    async def limited(self) -> str:
        """It is the one whose limit the profile names."""
        return ""

    async def _stop(self, how: str) -> None:
        guard, self._guard = self._guard, None
        if guard is None or guard.stdin is None:
            raise HeldError(f"{self._named('command')} is not running: there is nothing to restart")
        with suppress(ConnectionError):
            guard.stdin.write(f"{how}\n".encode())
            await guard.stdin.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await guard.wait()
                return
        self._guard = guard
        await self.end()

    async def _vacated(self) -> None:
        """What the command started elsewhere (a container, say) may answer a moment longer; no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                while await answers(self._target.origin, well=False):  # noqa: ASYNC110 - nobody tells of its end
                    await asyncio.sleep(LOOK)

    async def ready(self) -> None:
        """Waits until it answers as the profile says. Raises `HeldError`."""
        seconds = START_SECONDS
        url = urljoin(self._target.origin, self._launch.ready) if self._launch.ready else self._target.origin
        try:
            async with asyncio.timeout(seconds):
                while not await answers(url, well=bool(self._launch.ready)):
                    if self._guard is not None and self._guard.returncode is not None:
                        raise HeldError(await self._died())
                    if (task := asyncio.current_task()) is not None and task.cancelling():
                        raise asyncio.CancelledError  # whoever was asked meanwhile took it for its own
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            what = "with 2xx" if self._launch.ready else "in HTTP"
            name = "command" if self._guard is not None else "restart"
            raise HeldError(
                f"{self._named(name)} was started, but {url} does not answer {what} within {seconds:g} s: "
                "see `ready` and the port"
            ) from None

    async def _died(self) -> str:
        assert self._guard is not None  # noqa: S101 - see the caller
        assert self._guard.stdout is not None  # noqa: S101 - asked for at its start
        said = (await self._guard.stdout.read()).decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        words = self._redactor.text(said[-1])[:LONGEST]
        return f"{self._named('command')} ended with {self._guard.returncode} before it was ready; it said: {words}"

    def _named(self, setting: str) -> str:
        """A command as a person knows it: by the file it stands in and its first word, not by its arguments."""
        first = getattr(self._launch, setting)[0]
        where = f"{self._target.profile}: " if self._target.profile else ""
        return f"{where}{setting} ({first} …)"
