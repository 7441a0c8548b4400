"""Where presets and constraints are kept: the ports.

Every method names the user it is for; what belongs to another one is as good as not there (ISO-1).
Lists are newest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.domain.presets import Constraint, Preset


class NameTaken(Exception):  # noqa: N818 - it is an answer
    """The user has another preset of that name; nothing was changed (PRE-1)."""


class PresetStore(Protocol):
    """The presets of all users."""

    async def page(self, user_id: str, limit: int, offset: int) -> tuple[Sequence[Preset], int]:
        """One page, and how many there are altogether."""

    async def get(self, user_id: str, preset_id: str) -> Preset | None:
        """One preset."""

    async def add(self, preset: Preset) -> None:
        """Keep a new one.

        Raises:
            NameTaken: the name is used.
        """

    async def put(self, preset: Preset) -> bool:
        """Replace one; says whether it was still there.

        Raises:
            NameTaken: the name is used.
        """

    async def delete(self, user_id: str, preset_id: str) -> bool:
        """Remove one; says whether it was there."""


class ConstraintStore(Protocol):
    """The constraints of all users; one that becomes the default takes that from the one before (LIM-1)."""

    async def page(self, user_id: str, limit: int, offset: int) -> tuple[Sequence[Constraint], int]:
        """One page, and how many there are altogether."""

    async def get(self, user_id: str, constraint_id: str) -> Constraint | None:
        """One constraint."""

    async def add(self, constraint: Constraint) -> None:
        """Keep a new one."""

    async def put(self, constraint: Constraint) -> bool:
        """Replace one; says whether it was still there."""

    async def delete(self, user_id: str, constraint_id: str) -> bool:
        """Remove one; says whether it was there."""
