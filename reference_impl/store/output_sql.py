"""What agents put out, in SQL; all writes of a moment share one transaction (see `group_commit`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, delete, exists, func, select

from reference_impl.domain.output import Kept
from reference_impl.store.group_commit import Statement
from reference_impl.store.output_rows import (
    chunk_of,
    chunk_row,
    node_of,
    report_of,
    report_row,
    trace_of,
    trace_row,
)
from reference_impl.store.output_tables import reports, terminal_output, traces
from reference_impl.store.outputs import Found, OutputQuery, ReportQuery
from reference_impl.store.plans import fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Column, Executable, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.domain.forest import Node
    from reference_impl.domain.output import Chunk, Report, Trace
    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import GroupCommit
    from reference_impl.store.outputs import Room

_FARTHEST: Final = 2**62
"""No table has more rows than this, and no database takes much larger numbers."""
_PACED: Final = 10_000
"""So many users' writes are counted at a time."""
_OFTEN: Final = 1000
"""After so many writes of a user it is seen to that the room suffices."""
_TABLES: Final = (terminal_output, traces, reports)


class _Statements:
    """The statements that never change, built once: building costs more than running."""

    def __init__(self, dialect: str) -> None:
        insert = import_module(f"sqlalchemy.dialects.{dialect}").insert
        said = terminal_output.c
        mine = (said.source == bindparam("source")) & (said.agent_id == bindparam("agent_id"))
        values = [column for column in said if column.name != "position"]
        risen = select(*(bindparam(column.name, type_=column.type) for column in values)).where(
            ~exists().where(mine, said.sequence >= bindparam("sequence"))
        )
        self.append = insert(terminal_output).from_select([column.name for column in values], risen)
        self.append = fixed(self.append.on_conflict_do_nothing())
        self.known = fixed(select(said.position).where(mine, said.sequence == bindparam("sequence")))
        self.save_trace = _upsert(
            insert(traces), [traces.c.command_id, traces.c.trace_id], ("parent_id", "said", "size")
        )
        kept = {"position", "report_id", "user_id", "agent_id", "created_at"}
        changed = tuple(column.name for column in reports.c if column.name not in kept)
        self.save_report = _upsert(insert(reports), [reports.c.report_id], changed)
        self.nodes = select(traces.c.position, traces.c.trace_id, traces.c.parent_id, traces.c.size)
        self.nodes = self.nodes.where(traces.c.user_id == bindparam("user_id"))
        self.nodes = self.nodes.where(traces.c.command_id == bindparam("command_id")).order_by(traces.c.position)
        self.nodes = fixed(self.nodes)
        this = (reports.c.report_id == bindparam("report_id")) & (reports.c.user_id == bindparam("user_id"))
        self.report = fixed(select(reports).where(this))
        self.prune = {table: _prune(table) for table in _TABLES}
        self.rows = {
            table: select(table).where(_position(table).in_(bindparam("at", expanding=True))) for table in _TABLES
        }


def _position(table: Table) -> Column[int]:
    return table.c.position


def _upsert(insert: Any, key: Sequence[Any], changed: Sequence[str]) -> Any:
    """Insert, or change what may change; never what is another agent's or user's."""
    table = insert.table
    upsert = insert.on_conflict_do_update(
        index_elements=key,
        set_={name: insert.excluded[name] for name in changed},
        where=(table.c.agent_id == insert.excluded.agent_id) & (table.c.user_id == insert.excluded.user_id),
    )
    return fixed(upsert)


def _prune(table: Table) -> Executable:
    """Delete a user's oldest rows, those that exceed the room."""
    mine = table.c.user_id == bindparam("user_id")
    last = select(table.c.position).where(mine).order_by(table.c.position.desc())
    last = last.limit(1).offset(bindparam("room", type_=Integer))
    return fixed(delete(table).where(mine, table.c.position <= last.scalar_subquery()))


class SqlOutputs:
    """The tables `terminal_output`, `traces` and `reports`."""

    def __init__(self, engine: Engine, commits: GroupCommit, room: Room) -> None:
        self._engine = engine
        self._commits = commits
        self._room = {terminal_output: room.output, traces: room.traces, reports: room.reports}
        self._written: dict[tuple[Table, str], int] = {}
        self._do = _Statements(engine.dialect.name)

    async def append(self, chunk: Chunk) -> Kept:
        """Keep a chunk, if its sequence is above all of its source (TRM-4)."""
        row = chunk_row(chunk)

        async def write(connection: AsyncConnection) -> Kept:
            if (await connection.execute(self._do.append, row)).rowcount:
                return Kept.NEW
            mine = {"source": chunk.source, "agent_id": chunk.agent_id, "sequence": chunk.sequence}
            known = (await connection.execute(self._do.known, mine)).first()
            return Kept.BEHIND if known is None else Kept.KNOWN

        kept = await self._commits.write(write)
        if kept is Kept.NEW:
            await self._bound(terminal_output, chunk.user_id)
        return kept

    async def find_output(self, query: OutputQuery) -> Found:
        """Find a page of terminal output, oldest first."""
        said = terminal_output.c
        wanted = [said.user_id == query.user_id]
        wanted += [said.agent_id == query.agent_id] if query.agent_id is not None else []
        wanted += [said.command_id == query.command_id] if query.command_id is not None else []
        wanted += [said.stream == query.stream.value] if query.stream is not None else []
        wanted += [said.received_at >= query.since] if query.since is not None else []
        return await self._find(terminal_output, wanted, [said.position], query)

    async def chunks(self, positions: Sequence[int]) -> Sequence[Chunk]:
        """Read chunks, in this order; those that are gone are left out."""
        return await self._rows(terminal_output, positions, chunk_of)

    async def save_trace(self, trace: Trace) -> bool:
        """Insert, or update by trace id within the command; False if that id is another agent's there."""
        return await self._save(traces, self._do.save_trace, trace_row(trace))

    async def find_traces(self, user_id: str, command_id: str) -> Sequence[Node]:
        """All entries of a command, in the order they came."""
        async with self._engine.connect() as connection:
            found = await connection.execute(self._do.nodes, {"user_id": user_id, "command_id": command_id})
            return [node_of(row) for row in found.mappings()]

    async def traces(self, positions: Sequence[int]) -> Sequence[Trace]:
        """Read entries, in this order."""
        return await self._rows(traces, positions, trace_of)

    async def save_report(self, report: Report) -> bool:
        """Insert, or update by report id; False if that id is another agent's or user's (RPT-1)."""
        return await self._save(reports, self._do.save_report, report_row(report))

    async def report(self, user_id: str, report_id: str) -> Report | None:
        """The user's report."""
        this = {"report_id": report_id, "user_id": user_id}
        async with self._engine.connect() as connection:
            row = (await connection.execute(self._do.report, this)).mappings().first()
        return None if row is None else report_of(row)

    async def find_reports(self, query: ReportQuery) -> Found:
        """Find a page of reports, newest first."""
        wanted = [reports.c.user_id == query.user_id]
        wanted += [reports.c.agent_id == query.agent_id] if query.agent_id is not None else []
        wanted += [reports.c.status == query.status.value] if query.status is not None else []
        order = [reports.c.created_at.desc(), reports.c.position.desc()]
        return await self._find(reports, wanted, order, query)

    async def reports(self, positions: Sequence[int]) -> Sequence[Report]:
        """Read reports, in this order."""
        return await self._rows(reports, positions, report_of)

    async def _find(self, table: Table, wanted: Sequence[Any], order: Sequence[Any], query: Any) -> Found:
        page: Select[Any] = select(table.c.position, table.c.size).where(*wanted).order_by(*order)
        page = page.limit(query.limit).offset(min(query.offset, _FARTHEST))
        async with self._engine.connect() as connection:
            rows = [(row.position, row.size) for row in await connection.execute(page)]
            total = query.offset + len(rows)
            if len(rows) == query.limit or (query.offset and not rows):  # there may be more, or fewer
                count = select(func.count()).select_from(table).where(*wanted)
                total = (await connection.execute(count)).scalar_one()
        return Found(rows, total)

    async def _rows(
        self, table: Table, positions: Sequence[int], read: Callable[[Mapping[Any, Any]], Any]
    ) -> list[Any]:
        async with self._engine.connect() as connection:
            result = await connection.execute(self._do.rows[table], {"at": list(positions)})
            found = {row["position"]: read(row) for row in result.mappings()}
        return [found[position] for position in positions if position in found]

    async def _save(self, table: Table, statement: Executable, row: dict[str, Any]) -> bool:
        saved = bool(await self._commits.write(Statement(statement, row)))
        if saved:
            await self._bound(table, row["user_id"])
        return saved

    async def _bound(self, table: Table, user_id: str) -> None:
        """Now and then, delete what exceeds the user's room; counting here only paces it."""
        written = self._written.pop((table, user_id), 0) + 1
        if written < max(1, min(_OFTEN, self._room[table] // 10)):
            if len(self._written) >= _PACED:
                self._written.pop(next(iter(self._written)))
            self._written[table, user_id] = written
            return
        await self._commits.write(Statement(self._do.prune[table], {"user_id": user_id, "room": self._room[table]}))
