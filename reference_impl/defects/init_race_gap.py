"""A dashboard is subscribed a moment after its snapshot was read; what happens in between is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._steps import publishing
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.hub import Member

GAP_S: Final = 0.05
"""About one query more."""


class _Late(Knowing):
    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.gone: set[Member] = set()

    def join(self, user_id: str, member: Member) -> None:
        self.parts.clock.call_later(GAP_S, lambda: None if member in self.gone else self.inner.join(user_id, member))

    def leave(self, user_id: str, member: Member) -> None:
        self.gone.add(member)
        self.inner.leave(user_id, member)


DEFECT = Replacing(
    "init-race-gap",
    ("DSH-4",),
    "An event between snapshot and subscription is lost",
    publishing(_Late),
)
