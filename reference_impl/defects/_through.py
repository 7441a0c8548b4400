"""What most defects need: an object that is another one, but for a method or two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.parts import Parts


class Through:
    """Passes everything on to what it wraps; a subclass overrides what is to be wrong."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass(frozen=True)
class Replacing:
    """A defect that is a name, its clauses, a sentence, and one function on parts."""

    name: str
    clauses: tuple[str, ...]
    summary: str
    replace: Callable[[Parts], Parts]

    def apply(self, parts: Parts) -> Parts:
        """Replace what must be wrong."""
        return self.replace(parts)
