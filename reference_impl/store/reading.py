"""Short reads: in SQLite on the spot (`plain`), else over connections of their own (`held`).

Pages of history go through the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.store.held import HeldEngine
from reference_impl.store.plain import PlainEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Executable

    from reference_impl.store.database import Engine


class Reads:
    """Reads rows that are committed; ends with the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def rows(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows of the answer, as mappings."""
        if isinstance(self._engine, PlainEngine):
            return self._engine.rows(statement, parameters)
        if isinstance(self._engine, HeldEngine):
            return await self._engine.rows(statement, parameters)
        async with self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(statement, parameters)).mappings().all()
            return rows

    async def first(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        """The first row, or None."""
        found = await self.rows(statement, parameters)
        return found[0] if found else None

    async def number(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> int:
        """The one number that the answer is."""
        (row,) = await self.rows(statement, parameters)
        (number,) = row.values()
        return int(number)
