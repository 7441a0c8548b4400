"""Wrong on purpose: each defect replaces one part, so that the suite can be seen to notice.

A defect is a module of this package named after it, with one object `DEFECT`. Nothing but the
command line joins defects to a server, and the correct code knows nothing of them.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.parts import Parts


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

    def apply(self, parts: Parts) -> Parts:
        """Replace what must be wrong."""


class UnknownDefectError(ValueError):
    """There is no defect of that name."""


def names() -> list[str]:
    """All defects, found by looking at the package; none is imported."""
    return sorted(found.name.replace("_", "-") for found in iter_modules(__path__) if not found.name.startswith("_"))


def load(wanted: Sequence[str]) -> list[Defect]:
    """Import defects by name.

    Raises:
        UnknownDefectError: with a sentence that lists the names there are.
    """
    known = names()
    for name in wanted:
        if name not in known:
            raise UnknownDefectError(f"There is no defect {name!r}; there are: {', '.join(known)}")
    return [import_module(f"{__name__}.{name.replace('-', '_')}").DEFECT for name in wanted]
