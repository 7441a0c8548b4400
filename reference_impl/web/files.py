"""The contract's own files, in an installed package and in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reference_impl.domain.errors import Refusal

_HERE: Final = Path(__file__).resolve().parents[1]
_PLACES: Final = (_HERE / "_contracts", _HERE.parent / "contracts")


def read(name: str) -> bytes:
    """Read a file of contracts/.

    Raises:
        Refusal: there is none of that name.
    """
    for place in _PLACES:
        path = (place / name).resolve()
        if path.is_relative_to(place) and path.is_file():
            return path.read_bytes()
    raise Refusal("NOT_FOUND", "There is no such document", status=404)
