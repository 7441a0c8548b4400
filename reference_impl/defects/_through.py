"""What most defects need: an object that is another one, but for a method or two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.parts import Parts

    _Any = Any
else:
    _Any = object


class Through(_Any):  # type: ignore[misc]  # it stands for any part
    """Passes everything on to what it wraps; a subclass overrides what is to be wrong."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Knowing(Through):
    """The same, with the parts at hand."""

    def __init__(self, inner: Any, parts: Parts) -> None:
        super().__init__(inner)
        self.parts = parts


@dataclass(frozen=True)
class Replacing:
    """A defect that is a name, its clauses, a sentence, and one function on parts; of a hard one, what it needs."""

    name: str
    clauses: tuple[str, ...]
    summary: str
    replace: Callable[[Parts], Parts]
    needs: str = ""

    def apply(self, parts: Parts) -> Parts:
        """Replace what must be wrong."""
        return self.replace(parts)
