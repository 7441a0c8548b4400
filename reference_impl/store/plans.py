"""Statements that are the same every time, told to the driver itself.

SQLAlchemy writes the SQL and knows the types; to let it execute a statement costs several times what the
driver needs. So one that is marked `fixed` is compiled once, and from then on only its values pass through
what SQLAlchemy's types do to them. Any other statement takes SQLAlchemy's whole way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Float

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Dialect, Executable
    from sqlalchemy.types import TypeEngine

    Change = Callable[[Any], Any]

S = TypeVar("S", bound="Executable")
_MARK: Final = "onsembl_fixed"
_DOUBLE: Final = 701
"""What PostgreSQL calls double precision, as which every Float is kept."""


def fixed(statement: S) -> S:
    """Mark a statement that is built once and executed often: the same names of parameters each time."""
    return statement.execution_options(**{_MARK: True})


class Plan:
    """One statement as one driver takes it."""

    def __init__(self, statement: Any, names: Iterable[str], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=sorted(names))
        self.sql = str(compiled)
        order = compiled.positiontup or ()
        usual = compiled.params
        self._given: list[tuple[str, Any, Change | None]] = [
            (name, usual[name], _writer(compiled.binds[name].type, dialect)) for name in order
        ]
        said = compiled.effective_returning or (statement.exported_columns if statement.is_select else ())
        self._columns = [(column.key, _reader(column.type, dialect)) for column in said]
        if not all(name for name, _ in self._columns):
            raise ValueError(f"A column without a name: {self.sql}")

    def values(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the driver is given, in its order."""
        return tuple(
            value if write is None else write(value)
            for name, usual, write in self._given
            for value in (parameters.get(name, usual),)
        )

    def rows(self, found: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """What the driver found, by the names of the columns."""
        return [
            {
                name: value if read is None else read(value)
                for (name, read), value in zip(self._columns, row, strict=True)
            }
            for row in found
        ]


class Plans:
    """The plans of one engine, each made when its statement is executed for the first time."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._made: dict[int, tuple[Executable, Plan]] = {}
        """By identity; the statement is kept, so that no other can come to have it."""

    def of(self, statement: Any, parameters: Any) -> Plan | None:
        """How to tell a statement to the driver; None if that is left to SQLAlchemy."""
        if (made := self._made.get(id(statement))) is not None:
            return made[1]
        if not statement.get_execution_options().get(_MARK):
            return None
        names: Iterable[str] = (parameters[0] if isinstance(parameters, list) else parameters) or ()
        plan = Plan(statement, names, self._dialect)
        self._made[id(statement)] = (statement, plan)
        return plan


class Answer:
    """What SQLAlchemy's Result would give, as far as the store asks."""

    def __init__(self, rows: list[dict[str, Any]], rowcount: int) -> None:
        self.rows = rows
        self.rowcount = rowcount

    def mappings(self) -> Answer:
        """The rows by names, which they are."""
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each row."""
        return iter(self.rows)

    def all(self) -> list[dict[str, Any]]:
        """All rows."""
        return self.rows

    def first(self) -> Any:
        """The first row, or None."""
        return self.rows[0] if self.rows else None

    def scalar_one(self) -> Any:
        """The one value of the one row."""
        ((value,),) = (row.values() for row in self.rows)
        return value


def _writer(kind: TypeEngine[Any], dialect: Dialect) -> Change | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Change | None:
    return kind.dialect_impl(dialect).result_processor(dialect, _DOUBLE if isinstance(kind, Float) else None)
