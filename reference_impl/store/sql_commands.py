"""Commands in SQL, over SQLAlchemy Core."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from reference_impl.domain.queue import Queue, queue_of
from reference_impl.domain.vocabulary import CommandStatus
from reference_impl.store.command_rows import command_of, entry_of, part_of, part_row, row_of
from reference_impl.store.command_tables import commands, parts
from reference_impl.store.commands import CommandPage, CommandQuery, CommandTaken
from reference_impl.store.plans import fixed
from reference_impl.store.reading import Reads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.domain.agents import Activity
    from reference_impl.domain.commands import Change, Command
    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import GroupCommit

_OPEN: Final = [status.value for status in CommandStatus if not status.terminal]
_FARTHEST: Final = 2**62
_AT_ONCE: Final = 10_000
"""How many values one statement may name; both databases take three times as many."""


_PART_COLUMNS: Final = (
    "status",
    "delivered_to",
    "started_at",
    "completed_at",
    "error",
    "cancelled_at",
    "execution_time",
    "tokens_used",
)


class _Statements:
    """The statements that are the same every time, built once: building costs more than running."""

    def __init__(self) -> None:
        user = commands.c.user_id == bindparam("user")
        self.get = fixed(select(commands).where(commands.c.id == bindparam("command")))
        self.parts_of = fixed(select(parts).where(parts.c.command_id == bindparam("command")).order_by(parts.c.place))
        self.some = _oldest_first(select(commands).where(commands.c.id.in_(bindparam("ids", expanding=True))))
        self.parts_of_some = (
            select(parts)
            .where(parts.c.command_id.in_(bindparam("ids", expanding=True)))
            .order_by(parts.c.command_id, parts.c.place)
        )
        self.counts = select(commands.c.status, func.count().label("count")).where(user)
        self.counts = fixed(self.counts.group_by(commands.c.status))
        self.queues = (
            select(
                parts.c.agent_id,
                parts.c.command_id,
                parts.c.status,
                parts.c.delivered_to,
                parts.c.started_at,
                commands.c.type,
                commands.c.priority,
                commands.c.number,
            )
            .join(commands, commands.c.id == parts.c.command_id)
            .where(parts.c.user_id == bindparam("user"), parts.c.status.in_(_OPEN))
            .where(parts.c.agent_id.in_(bindparam("agents", expanding=True)))
        )
        newest = select(func.max(commands.c.number)).where(commands.c.user_id == bindparam("owner"))
        self.add = insert(commands).values(number=func.coalesce(newest.scalar_subquery(), 0) + 1)
        self.add = fixed(self.add.returning(commands.c.number))
        self.add_parts = fixed(insert(parts))
        self.save = fixed(
            update(commands)
            .where(commands.c.id == bindparam("command"))
            .values(status=bindparam("to_status"), updated_at=bindparam("to_updated_at"))
        )
        self.save_part = fixed(
            update(parts)
            .where(parts.c.command_id == bindparam("command"), parts.c.agent_id == bindparam("agent"))
            .values({name: bindparam(f"to_{name}") for name in _PART_COLUMNS})
        )


class SqlCommands:
    """The tables `commands` and `command_agents`."""

    def __init__(self, engine: Engine, commits: GroupCommit) -> None:
        self._reads = Reads(engine)
        self._commits = commits
        self._do = _Statements()

    async def get(self, command_id: str) -> Command | None:
        """The command, whoever owns it."""
        named = {"command": command_id}
        for row in await self._reads.rows(self._do.get, named):
            return command_of(row, map(part_of, await self._reads.rows(self._do.parts_of, named)))
        return None

    async def some(self, command_ids: Sequence[str]) -> Sequence[Command]:
        """Those of these commands that exist, oldest first."""
        if not command_ids:
            return []
        return await self._whole(await self._reads.rows(self._do.some, {"ids": list(command_ids)}))

    async def page(self, query: CommandQuery) -> CommandPage:
        """One page, newest first."""
        matching = select(commands).where(commands.c.user_id == query.user_id)
        if query.status is not None:
            matching = matching.where(commands.c.status == query.status.value)
        if query.agent_id is not None:
            theirs = select(parts.c.command_id).where(
                parts.c.user_id == query.user_id, parts.c.agent_id == query.agent_id
            )
            matching = matching.where(commands.c.id.in_(theirs))
        newest = matching.order_by(commands.c.number.desc()).limit(query.limit).offset(min(query.offset, _FARTHEST))
        rows = await self._reads.rows(newest)
        total = query.offset + len(rows)
        if len(rows) == query.limit or (query.offset and not rows):  # there may be more, or fewer
            counted = select(func.count().label("total")).select_from(matching.subquery())
            total = (await self._reads.rows(counted))[0]["total"]
        return CommandPage(await self._whole(rows), total)

    async def counts(self, user_id: str) -> Mapping[CommandStatus, int]:
        """How many commands of the user have each status (SYS-1)."""
        found = await self._reads.rows(self._do.counts, {"user": user_id})
        return {CommandStatus(row["status"]): row["count"] for row in found}

    async def ids(self, user_id: str, limit: int) -> Sequence[str]:
        """The ids of the user's unfinished commands, and of its newest ones up to the limit."""
        mine = select(commands.c.id).where(commands.c.user_id == user_id)
        newest = await self._reads.rows(mine.order_by(commands.c.number.desc()).limit(limit))
        waiting = await self._reads.rows(mine.where(commands.c.status.in_(_OPEN)))
        return list(dict.fromkeys(row["id"] for row in (*newest, *waiting)))

    async def unfinished(
        self, user_id: str, limit: int, agent_id: str | None = None, status: CommandStatus | None = None
    ) -> Sequence[Command]:
        """The user's oldest commands that are not finished: at all, or for this agent, or with this status there."""
        wanted = [status.value] if status else _OPEN
        matching = select(parts.c.command_id).where(parts.c.user_id == user_id, parts.c.status.in_(wanted))
        if agent_id is not None:
            matching = matching.where(parts.c.agent_id == agent_id)
        return await self._oldest(matching, limit)

    async def executing(self, limit: int, after: Command | None = None) -> Sequence[Command]:
        """The oldest commands of any user that some agent is executing; given one, those after it."""
        running = CommandStatus.EXECUTING.value
        return await self._oldest(select(parts.c.command_id).where(parts.c.status == running), limit, after)

    async def _oldest(self, matching: Select[Any], limit: int, after: Command | None = None) -> Sequence[Command]:
        chosen = _oldest_first(select(commands).where(commands.c.id.in_(matching))).limit(limit)
        if after is not None:
            chosen = chosen.where(tuple_(commands.c.number, commands.c.id) > (after.number, after.command_id))
        return await self._whole(await self._reads.rows(chosen))

    async def _whole(self, rows: Sequence[Any]) -> list[Command]:
        """Commands with their parts, in the order of their rows."""
        belonging: dict[str, list[Any]] = {row["id"]: [] for row in rows}
        if rows:
            for row in await self._reads.rows(self._do.parts_of_some, {"ids": list(belonging)}):
                belonging[row["command_id"]].append(row)
        return [command_of(row, map(part_of, belonging[row["id"]])) for row in rows]

    async def queues(self, user_id: str, agent_ids: Sequence[str]) -> Mapping[str, Queue]:
        """The queue of each of these agents."""
        entries: dict[str, list[Any]] = {agent_id: [] for agent_id in agent_ids}
        for first in range(0, len(agent_ids), _AT_ONCE):
            asked = {"user": user_id, "agents": list(agent_ids[first : first + _AT_ONCE])}
            for row in await self._reads.rows(self._do.queues, asked):
                entries[row["agent_id"]].append(row)
        return {agent_id: queue_of(agent_id, map(entry_of, rows)) for agent_id, rows in entries.items()}

    async def activity(self, user_id: str, agent_id: str) -> Activity:
        """What an agent is doing."""
        return (await self.queues(user_id, [agent_id]))[agent_id].activity

    def begins(self, user_id: str, agent_id: str) -> None:
        """Nothing has to be written down for that."""

    async def add(self, command: Command) -> Command:
        """Insert it; the answer knows its number."""
        rows = [
            {
                "command_id": command.command_id,
                "agent_id": part.agent_id,
                "user_id": command.user_id,
                "place": place,
                **part_row(part),
            }
            for place, part in enumerate(command.parts)
        ]

        async def write(connection: AsyncConnection) -> int:
            number: int = (
                await connection.execute(self._do.add, {"owner": command.user_id, **row_of(command)})
            ).scalar_one()
            await connection.execute(self._do.add_parts, rows)
            return number

        try:
            number = await self._commits.write(write)
        except IntegrityError:
            raise CommandTaken(command.command_id) from None
        return replace(command, number=number)

    async def save(self, changes: Sequence[Change]) -> None:
        """Write what differs, all of it or nothing."""
        whole = [
            {
                "command": change.after.command_id,
                "to_status": change.after.status.value,
                "to_updated_at": change.after.updated_at,
            }
            for change in changes
            if (change.before.status, change.before.updated_at) != (change.after.status, change.after.updated_at)
        ]
        changed = [
            {
                "command": change.after.command_id,
                "agent": part.agent_id,
                **{f"to_{name}": value for name, value in part_row(part).items()},
            }
            for change in changes
            for _, part in change.parts()
        ]

        async def write(connection: AsyncConnection) -> None:
            for statement, rows in ((self._do.save, whole), (self._do.save_part, changed)):
                if rows:  # one alone is told as one: drivers have a slower way for many
                    await connection.execute(statement, rows if len(rows) > 1 else rows[0])

        if whole or changed:
            await self._commits.write(write)


def _oldest_first(chosen: Select[Any]) -> Select[Any]:
    return chosen.order_by(commands.c.number, commands.c.id)
