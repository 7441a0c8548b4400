"""Writes of one node among several: none of a turn that was given to another node meanwhile (CNS-5)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from reference_impl.store.fence_tables import fences
from reference_impl.store.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import Write

T = TypeVar("T")


class TurnLostError(Exception):
    """The turn was given to another node, because this one took too long; nothing was written."""


class FencedCommits(GroupCommit):
    """Each write of a turn first leaves the turn's number, which must not be behind another's."""

    def __init__(self, engine: Engine, turn: Callable[[], tuple[str, int] | None]) -> None:
        super().__init__(engine)
        self._turn = turn
        insert: Any = import_module(f"sqlalchemy.dialects.{engine.dialect.name}").insert(fences)
        self._pass: Any = insert.on_conflict_do_update(
            index_elements=[fences.c.user_id],
            set_={"fence": insert.excluded.fence},
            where=fences.c.fence <= insert.excluded.fence,
        )

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        """In SQLite one that waits for other nodes' writes at once: later, after a read, it could only fail."""
        async with super()._transaction() as connection:
            if self._engine.dialect.name == "sqlite":
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    async def write(self, write: Write[T]) -> T:
        """Write, and return when it is committed.

        Raises:
            TurnLostError: another node has taken a later turn of this user.
        """
        turn = self._turn()
        return await super().write(write if turn is None else self._fenced(write, *turn))

    def _fenced(self, write: Write[T], user_id: str, fence: int) -> Callable[[AsyncConnection], Awaitable[T]]:
        async def fenced(connection: AsyncConnection) -> T:
            passed = await connection.execute(self._pass, {"user_id": user_id, "fence": fence})
            if not passed.rowcount:
                raise TurnLostError(f"The turn {fence} is over")
            return await write(connection)

        return fenced
