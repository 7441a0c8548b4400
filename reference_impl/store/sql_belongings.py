"""Presets and constraints in SQL."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from reference_impl.domain.presets import Constraint, Preset
from reference_impl.store.account_tables import constraints, presets
from reference_impl.store.belongings import NameTaken
from reference_impl.store.group_commit import Statement
from reference_impl.store.reading import Reads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import GroupCommit

T = TypeVar("T", Preset, Constraint)
_FARTHEST: Final = 2**62
_ATTEMPTS: Final = 5


class _Belongings(Generic[T]):
    """A table whose rows have `id`, `user_id` and `created_at`."""

    def __init__(self, engine: Engine, commits: GroupCommit, table: Table, read: Callable[..., T]) -> None:
        self._reads = Reads(engine)
        self._commits = commits
        self._table = table
        self._read: Callable[..., T] = read

    async def page(self, user_id: str, limit: int, offset: int) -> tuple[Sequence[T], int]:
        """One page, newest first, ties by id; and how many there are altogether."""
        mine = self._table.c.user_id == user_id
        query = select(self._table).where(mine).order_by(self._table.c.created_at.desc(), self._table.c.id)
        rows = await self._reads.rows(query.limit(limit).offset(min(offset, _FARTHEST)))
        total = await self._reads.number(select(func.count()).select_from(self._table).where(mine))
        return [self._read(**row) for row in rows], total

    async def get(self, user_id: str, item_id: str) -> T | None:
        """One of the user's."""
        found = await self._reads.first(select(self._table).where(self._is(user_id, item_id)))
        return None if found is None else self._read(**found)

    async def delete(self, user_id: str, item_id: str) -> bool:
        """Remove one; says whether it was there."""
        return bool(await self._commits.write(Statement(delete(self._table).where(self._is(user_id, item_id)))))

    def _is(self, user_id: str, item_id: str) -> Any:
        return (self._table.c.id == item_id) & (self._table.c.user_id == user_id)


class SqlPresets(_Belongings[Preset]):
    """The `presets` table."""

    def __init__(self, engine: Engine, commits: GroupCommit) -> None:
        super().__init__(engine, commits, presets, _preset)

    async def add(self, preset: Preset) -> None:
        """Keep a new one."""
        await self._named(insert(presets).values(_row(preset)))

    async def put(self, preset: Preset) -> bool:
        """Replace one."""
        return bool(await self._named(update(presets).where(self._is(preset.user_id, preset.id)).values(_row(preset))))

    async def _named(self, statement: Any) -> int:
        try:
            return await self._commits.write(Statement(statement))
        except IntegrityError:
            raise NameTaken from None


class SqlConstraints(_Belongings[Constraint]):
    """The `user_constraints` table."""

    def __init__(self, engine: Engine, commits: GroupCommit) -> None:
        super().__init__(engine, commits, constraints, Constraint)

    async def add(self, constraint: Constraint) -> None:
        """Keep a new one."""
        await self._as_default(constraint, insert(constraints).values(asdict(constraint)))

    async def put(self, constraint: Constraint) -> bool:
        """Replace one."""
        mine = self._is(constraint.user_id, constraint.id)
        return bool(await self._as_default(constraint, update(constraints).where(mine).values(asdict(constraint))))

    async def _as_default(self, constraint: Constraint, statement: Any) -> int:
        """Write, and take the default from whoever had it, in one transaction; another node may come in between."""
        others = (constraints.c.user_id == constraint.user_id) & (constraints.c.id != constraint.id)
        no_more = (
            update(constraints)
            .where(others, constraints.c.is_default)
            .values(is_default=False, updated_at=constraint.updated_at)
        )

        async def write(connection: AsyncConnection) -> int:
            if constraint.is_default and await self._still(connection, constraint, statement):
                await connection.execute(no_more)
            count: int = (await connection.execute(statement)).rowcount
            return count

        for attempt in range(_ATTEMPTS):
            try:
                return await self._commits.write(write)
            except IntegrityError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def _still(self, connection: AsyncConnection, constraint: Constraint, statement: Any) -> bool:
        """Whether there is something to make the default: one that was deleted meanwhile takes it from nobody."""
        if statement.is_insert:
            return True
        mine = select(constraints.c.id).where(self._is(constraint.user_id, constraint.id))
        return (await connection.execute(mine)).first() is not None


def _preset(**row: Any) -> Preset:
    variables, kinds = row.pop("variables"), row.pop("target_agent_types")
    return Preset(**row, variables=tuple(variables), target_agent_types=tuple(kinds))


def _row(preset: Preset) -> dict[str, Any]:
    row = asdict(preset)
    return {**row, "variables": list(row["variables"]), "target_agent_types": list(row["target_agent_types"])}
