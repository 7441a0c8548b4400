"""An emergency stop reads which commands there are, and cancels those that still are as they were read."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._steps import controlling
from reference_impl.defects._through import Knowing, Replacing, Through
from reference_impl.defects.hard._before import a_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_impl.domain.commands import Command
    from reference_impl.domain.vocabulary import CommandStatus
    from reference_impl.parts import Parts

_MANY: Final = 1000
_READ: ContextVar[Mapping[str, CommandStatus] | None] = ContextVar("read", default=None)


class _Store(Through):
    async def unfinished(self, *facts: Any) -> Sequence[Command]:
        read = _READ.get() or {}
        found = await self.inner.unfinished(*facts)
        return [one for one in found if read.get(one.command_id, one.status) is one.status]


class _Hasty(Knowing):
    async def emergency_stop(self, user_id: str, *facts: Any) -> Any:
        read = {one.command_id: one.status for one in await self.parts.commands.unfinished(user_id, _MANY)}
        await a_query()
        token = _READ.set(read)
        try:
            return await self.inner.emergency_stop(user_id, *facts)
        finally:
            _READ.reset(token)


def _apply(parts: Parts) -> Parts:
    return controlling(_Hasty)(replace(parts, commands=_Store(parts.commands)))


DEFECT = Replacing(
    "stop-misses-started",
    ("STP-1",),
    "An emergency stop leaves out a command that starts at that moment",
    _apply,
    "two actors at once: an agent starts a command while a user stops everything",
)
