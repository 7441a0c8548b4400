"""Writes of many connections in one transaction: a commit costs the same for one as for fifty."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.store.database import Engine

T = TypeVar("T")
Write: TypeAlias = "Callable[[AsyncConnection], Awaitable[T]]"


@dataclass(frozen=True, slots=True)
class Statement:
    """A write of one statement; it tells how many rows that changed."""

    what: Executable
    parameters: Any = None
    """Its own, or a list of many rows' (then nobody knows how many changed)."""

    async def __call__(self, connection: AsyncConnection) -> int:
        """Do it."""
        return (await connection.execute(self.what, self.parameters)).rowcount


class Row(Statement):
    """A row that is added, and nobody asks what became of it: many of one moment are written at once."""


class GroupCommit:
    """One task writes everything, in the order it was asked for.

    A caller waits until its write is committed. What is asked for while a transaction runs goes
    into the next one. A write must leave no trace but in the database: when one of a group
    fails, each is tried again in a transaction of its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[Write[Any], asyncio.Future[Any]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def write(self, write: Write[T]) -> T:
        """Write, and return when it is committed."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, done))
        self._wake.set()
        return await done

    async def close(self) -> None:
        """Stop the task; the callers have their answers already."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def perform(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Do the writes in one transaction."""
        async with self._transaction() as connection:
            results = [None if isinstance(write, Row) else await write(connection) for write in writes]
            for rows in merged(writes):
                await rows(connection)
            return results

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            group, self._waiting = self._waiting, []
            if len(group) == 1 or not await self._together(group):
                for write, done in group:
                    await self._alone(write, done)

    def _transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._engine.begin()

    async def _together(self, group: list[tuple[Write[Any], asyncio.Future[Any]]]) -> bool:
        try:
            results = await self.perform([write for write, _ in group])
        except Exception:  # noqa: BLE001 - whose fault it is comes out when each is tried alone
            return False
        for (_, done), result in zip(group, results, strict=True):
            if not done.done():
                done.set_result(result)
        return True

    async def _alone(self, write: Write[Any], done: asyncio.Future[Any]) -> None:
        try:
            (result,) = await self.perform([write])
        except Exception as error:  # noqa: BLE001 - it is raised where the write was asked for
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(result)


def merged(writes: Iterable[Write[Any]]) -> list[Statement]:
    """The rows among these, all of one table in one statement."""
    rows: dict[int, list[Row]] = {}
    for write in writes:
        if isinstance(write, Row):
            rows.setdefault(id(write.what), []).append(write)
    return [
        one[0] if len(one) == 1 else Statement(one[0].what, [row.parameters for row in one]) for one in rows.values()
    ]
