"""Wrong on purpose: each defect replaces one part, so that the suite can be seen to notice.

A defect is a module of this package named after it, with one object `DEFECT`. Nothing but the
command line joins defects to a server, and the correct code knows nothing of them. Those in `hard`
are for generated sequences to find.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reference_impl.parts import Parts


_HARD: Final = "hard"


class Defect(Protocol):
    """One way to break the contract."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def clauses(self) -> tuple[str, ...]:
        """The clauses it breaks."""

    @property
    def summary(self) -> str:
        """What the wire shows, in one sentence."""

    @property
    def needs(self) -> str:
        """What must come together for it to show, where that is three steps or two actors at once."""

    def apply(self, parts: Parts) -> Parts:
        """Replace what must be wrong."""


class UnknownDefectError(ValueError):
    """There is no defect of that name; its sentence names those that are like it, else all."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        near = get_close_matches(name, known, n=3)
        instead = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}"
        super().__init__(f"There is no defect {name!r}; {instead}")


def names() -> list[str]:
    """The defects that rules were made for, found by looking at the package; none is imported."""
    return _modules(__path__)


def hard_names() -> list[str]:
    """Those that generated sequences are to find by themselves."""
    return _modules([f"{path}/{_HARD}" for path in __path__])


def _modules(paths: Iterable[str]) -> list[str]:
    found = (one for one in iter_modules(paths) if not (one.ispkg or one.name.startswith("_")))
    return sorted(one.name.replace("_", "-") for one in found)


def load(wanted: Sequence[str]) -> list[Defect]:
    """Import defects by name.

    Raises:
        UnknownDefectError: there is none of one of these names.
    """
    known, hard = names(), hard_names()
    for name in wanted:
        if name not in {*known, *hard}:
            raise UnknownDefectError(name, known + hard)
    return [
        import_module(f"{__name__}{f'.{_HARD}' * (name in hard)}.{name.replace('-', '_')}").DEFECT for name in wanted
    ]
